"""What calocc refuses of a configuration of hls4ml."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.diagnostics import CaloccError


@dataclass(eq=False)
class BadHlsConfig(CaloccError):
    """A configuration of hls4ml that cannot be read, or that has an entry without a meaning."""

    source: str
    place: str
    problem: str
    advice: str

    @property
    def where(self) -> str:
        return f"{self.source}, {self.place}" if self.place else self.source

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return self.advice


@dataclass(eq=False)
class HlsContradiction(CaloccError):
    """A type in a configuration of hls4ml that a quantizer of the model contradicts."""

    source: str
    place: str
    layer: str
    wanted: str
    quantizer: str

    @property
    def where(self) -> str:
        return f"{self.source}, {self.place}"

    @property
    def what(self) -> str:
        return (
            f"{self.wanted} cannot hold the values of layer {self.layer!r}, which the model "
            f"quantizes by {self.quantizer}"
        )

    @property
    def hint(self) -> str:
        return "remove the entry: calocc takes formats from the quantizers of a model"


@dataclass(eq=False)
class HlsWrap(CaloccError):
    """Weights that would wrap round in the type that a configuration of hls4ml gives them."""

    source: str
    place: str
    layer: str
    wanted: str
    values: int
    largest: float

    @property
    def where(self) -> str:
        return f"{self.source}, {self.place}"

    @property
    def what(self) -> str:
        return (
            f"{self.values} weights of layer {self.layer!r}, up to {self.largest:g} in magnitude, "
            f"lie outside of {self.wanted} and would wrap round"
        )

    @property
    def hint(self) -> str:
        return "give the type more integer bits, or the mode SAT"
