"""`--set layer.key=value`: formats and foldings given by hand."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.inputs import BadFormat, parse_format
from calocc.dialects.fixed.format import Format

FORMATS = (
    *("kernel", "recurrent_kernel", "bias", "embeddings"),
    *("activation", "recurrent_activation", "state", "output"),
)
FOLDINGS = ("pe", "simd", "pixels", "reuse")


@dataclass(eq=False)
class UnknownSetting(CaloccError):
    """A setting with a key that does not exist."""

    text: str

    @property
    def where(self) -> str:
        return f"option --set {self.text}"

    @property
    def what(self) -> str:
        return "this is not a setting"

    @property
    def hint(self) -> str:
        keys = ", ".join((*FORMATS, *FOLDINGS))
        return f"write LAYER.KEY=VALUE with one of the keys {keys}"


@dataclass(eq=False)
class FoldingIgnored(CaloccError):
    """A folding for an optimisation level that balances nothing."""

    text: str
    opt_level: int

    @property
    def where(self) -> str:
        return f"option --set {self.text}"

    @property
    def what(self) -> str:
        return f"foldings are chosen from -O2 on, so -O{self.opt_level} would ignore this one"

    @property
    def hint(self) -> str:
        return "compile with -O2 or -O3"


@dataclass(frozen=True)
class Settings:
    """Formats by (layer, tensor), and foldings as the balance pass takes them."""

    formats: dict[tuple[str, str], Format]
    pins: tuple[str, ...]


def parse_settings(texts: tuple[str, ...], opt_level: int = 2) -> Settings:
    """Sort settings by kind; raise UnknownSetting, BadFormat or FoldingIgnored."""
    formats: dict[tuple[str, str], Format] = {}
    pins: list[str] = []
    for text in texts:
        place, equals, value = text.partition("=")
        layer, dot, key = place.rpartition(".")
        if not (equals and dot and layer) or key not in (*FORMATS, *FOLDINGS):
            raise UnknownSetting(text)
        if key in FOLDINGS:
            if opt_level < 2:
                raise FoldingIgnored(text, opt_level)
            pins.append(text)
        elif (layer, key) in formats:
            raise BadFormat(f"option --set {place}", "this tensor is given two formats")
        else:
            formats[layer, key] = parse_format(f"option --set {place}", value)
    return Settings(formats, tuple(pins))
