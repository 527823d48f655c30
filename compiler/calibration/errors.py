"""What calibration refuses."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.calibration.bits import Bits
from calocc.compiler.diagnostics import CaloccError


@dataclass(eq=False)
class AccuracyNotReached(CaloccError):
    """An accuracy that no number of bits within reach keeps."""

    target: float
    reached: float
    bits: Bits

    @property
    def where(self) -> str:
        return f"option --accuracy {self.target:g}"

    @property
    def what(self) -> str:
        return (
            f"the relative error is {self.reached:.2g} with {self.bits.weights} bits for weights "
            f"and {self.bits.activations} for activations"
        )

    @property
    def hint(self) -> str:
        return "ask for less, give more bits, or calibrate with data that are typical of the inputs"


@dataclass(eq=False)
class BadRequest(CaloccError):
    """Options of calibration that do not make sense."""

    option: str
    problem: str

    @property
    def where(self) -> str:
        return f"option --{self.option}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "see calocc --help: bits from 2 to 16, an accuracy above 0, data with --calibrate"
