"""What `lower-to-fixed` refuses."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.diagnostics import CaloccError


@dataclass(eq=False)
class InputWithoutFormat(CaloccError):
    """No quantizer follows an input, and no option declares its format."""

    name: str

    @property
    def where(self) -> str:
        return f"input {self.name!r}"

    @property
    def what(self) -> str:
        return "the model does not say how many bits this input has"

    @property
    def hint(self) -> str:
        return (
            "start the model with a QActivation on this input, or pass "
            f"--input {self.name}=fixed<W,I>, or --calibrate data.npz with typical inputs"
        )


@dataclass(eq=False)
class UnquantizedConstant(CaloccError):
    """A weight tensor needs more bits than any multiplier has."""

    layer: str
    width: int

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"its weights are not quantized: they need {self.width} bits"

    @property
    def hint(self) -> str:
        return f"train with a kernel quantizer, or pass --set {self.layer}.kernel=fixed<W,I>"


@dataclass(eq=False)
class NeedsQuantizer(CaloccError):
    """A function without a finite fixed-point form is not followed by a quantizer."""

    layer: str
    function: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"the result of {self.function} is not quantized, so it has no number of bits"

    @property
    def hint(self) -> str:
        return f"add a QActivation behind it, or pass --set {self.layer}.output=fixed<W,I>"


@dataclass(eq=False)
class DataDependent(CaloccError):
    """An activation quantizer whose scale depends on the data."""

    layer: str
    quantizer: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"the scale of {self.quantizer} depends on the batch of data"

    @property
    def hint(self) -> str:
        return "give the activation quantizer a number as alpha and train again"


@dataclass(eq=False)
class NoCommonGrid(CaloccError):
    """An activation quantizer whose values are not multiples of one number of few bits."""

    layer: str
    quantizer: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"the values of {self.quantizer} are not multiples of one power of two"

    @property
    def hint(self) -> str:
        return "use a quantizer with evenly spaced values, e.g. quantized_bits(8,2,alpha=1)"


@dataclass(eq=False)
class TooManySteps(CaloccError):
    """A function that cannot be computed and is too large to be stored."""

    layer: str
    points: int
    limit: int

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"the function needs a table of {self.points} entries; {self.limit} is the limit"

    @property
    def hint(self) -> str:
        return "add a QActivation of fewer bits in front of it and train again"


@dataclass(eq=False)
class TooWide(CaloccError):
    """An exact result that leaves 62 bits."""

    layer: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return "its exact result needs more than 62 bits"

    @property
    def hint(self) -> str:
        return (
            f"quantize its operands to fewer bits, for example --set {self.layer}.kernel=fixed<W,I>"
        )
