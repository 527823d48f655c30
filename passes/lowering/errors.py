"""What `lower-to-fixed` refuses."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.fixed.format import Format


@dataclass(eq=False)
class InputWithoutFormat(CaloccError):
    """No plain quantizer follows an input, and no option declares its format."""

    name: str
    reason: str

    @property
    def where(self) -> str:
        return f"input {self.name!r}"

    @property
    def what(self) -> str:
        return f"the model does not say how many bits this input has: {self.reason}"

    @property
    def hint(self) -> str:
        return (
            "let all read one QActivation such as quantized_bits(12,3,alpha=1) on this input, or "
            f"pass --input {self.name}=fixed<W,I>, or --calibrate data.npz with typical inputs"
        )


@dataclass(eq=False)
class UnquantizedConstant(CaloccError):
    """A weight tensor needs more bits than are multiplied, whether it has a quantizer or not."""

    layer: str
    width: int
    quantizer: str | None
    limit: int

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        bits = f"they need {self.width} bits, and {self.limit} is the limit"
        if self.quantizer is None:
            return f"its weights are not quantized: {bits}"
        return f"its weights are quantized by {self.quantizer}, but {bits}"

    @property
    def hint(self) -> str:
        kernel = "a kernel quantizer such as quantized_bits(8,0,alpha=1)"
        return f"train with {kernel}, or pass --set {self.layer}.kernel=fixed<W,I>"


@dataclass(eq=False)
class UnquantizedTable(CaloccError):
    """The rows of an embedding need more bits than are kept."""

    layer: str
    width: int
    limit: int

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        bits = f"its entries need {self.width} bits, and {self.limit} is the limit"
        return f"its table is not quantized: {bits}"

    @property
    def hint(self) -> str:
        return (
            "add one QActivation that keeps 0 right behind it for all that read it, or pass "
            f"--set {self.layer}.embeddings=fixed<W,I>"
        )


@dataclass(eq=False)
class FractionalIndices(CaloccError):
    """Numbers of rows that may not be integers."""

    layer: str
    format: Format

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"its indices have the format {self.format}, with {self.format.frac} fraction bits"

    @property
    def hint(self) -> str:
        return (
            "declare the input of indices as integers, --input NAME=ufixed<W,W>, or quantize them "
            "by a QActivation such as quantized_bits(8,8,keep_negative=0,alpha=1)"
        )


@dataclass(eq=False)
class NeedsQuantizer(CaloccError):
    """A function without a finite fixed-point form is not followed by a quantizer."""

    layer: str
    function: str
    readers: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        result = f"the result of {self.function} has no number of bits"
        return f"{result}: no quantizer stands between it and {self.readers}"

    @property
    def hint(self) -> str:
        return (
            "add one QActivation right behind it for all that read it, or pass "
            f"--set {self.layer}.output=fixed<W,I>"
        )


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
class StepNeedsFormat(CaloccError):
    """A state, or a function in a step, without a number of bits."""

    layer: str
    part: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"{self.part} is not quantized, so it gains bits with every time step"

    @property
    def hint(self) -> str:
        keys = ("state", "activation", "recurrent_activation")
        settings = " ".join(f"--set {self.layer}.{key}=fixed<W,I>" for key in keys)
        return (
            "train with a state_quantizer and quantized activations (quantized_tanh, "
            f"quantized_sigmoid), or give the formats that the layer leaves open: {settings}"
        )


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


@dataclass(eq=False)
class NoArgmax(CaloccError):
    """A softmax whose greatest result may not be that of its greatest operand alone."""

    layer: str
    frac: int
    classes: int

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return (
            f"two of {self.classes} operands with {self.frac} fraction bits that are next to each "
            "other can have the same softmax, so --exact-argmax cannot be kept"
        )

    @property
    def hint(self) -> str:
        return "quantize its operand to fewer fraction bits, or leave --exact-argmax out"
