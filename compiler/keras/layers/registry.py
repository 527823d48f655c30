"""Which function imports which Keras class, and what importers work with."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from numpy.typing import NDArray
from xdsl.ir import Block, SSAValue

from calocc.compiler.diagnostics import CaloccError, Reasoned
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.wishes import Wishes
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.op import QnnOp, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import Quantizer, parse


@dataclass(eq=False)
class UnknownLayer(CaloccError):
    """No importer knows the class of a layer."""

    layer: str
    class_name: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r} ({self.class_name})"

    @property
    def what(self) -> str:
        return "this class of layer is not known"

    @property
    def hint(self) -> str:
        close = difflib.get_close_matches(self.class_name, IMPORTERS, n=1, cutoff=0.6)
        guess = f"the closest known class is {close[0]}; " if close else ""
        return f"{guess}known classes: {', '.join(sorted(IMPORTERS))}"


@dataclass(eq=False)
class LayerClash(CaloccError):
    """Two modules want to import the same class of layer."""

    class_name: str
    first: str
    second: str

    @property
    def where(self) -> str:
        return f"class {self.class_name!r}"

    @property
    def what(self) -> str:
        return f"both {self.first} and {self.second} import it"

    @property
    def hint(self) -> str:
        return "uninstall one of the two packages, or give the layer a name of its own"


@dataclass(eq=False)
class UnsupportedLayer(Reasoned, CaloccError):
    """A layer whose parameters or operands have no exact streaming form here."""

    layer: str
    class_name: str
    reason: str
    advice: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r} ({self.class_name})"


def refused(config: LayerConfig, reason: str, advice: str) -> UnsupportedLayer:
    """The refusal of a layer, to be raised."""
    return UnsupportedLayer(config.layer.name, config.layer.class_name, reason, advice)


@dataclass(eq=False)
class UnusedOverride(CaloccError):
    """An override that names no layer, or a tensor that the layer does not have."""

    text: str

    @property
    def where(self) -> str:
        return f"option --set {self.text}"

    @property
    def what(self) -> str:
        return "no layer of the model takes this setting"

    @property
    def hint(self) -> str:
        return "write LAYER.kernel=, LAYER.bias= or LAYER.output= with a layer of the model"


@dataclass
class Overrides:
    """Formats that a user gives by hand: {(layer, tensor): format}."""

    formats: Mapping[tuple[str, str], Format] = field(default_factory=dict[tuple[str, str], Format])
    used: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def take(self, layer: str, tensor: str) -> Quantizer | None:
        """A quantizer to the format that was given for this tensor.

        `kernel` also stands for `depthwise_kernel` and the like.
        """
        for name in (tensor, tensor.rpartition("_")[2]):
            if (layer, name) in self.formats:
                self.used.add((layer, name))
                return quantizer_to(self.formats[layer, name])
        return None

    def finish(self) -> None:
        """Raise UnusedOverride if any was never taken."""
        for layer, tensor in self.formats.keys() - self.used:
            raise UnusedOverride(f"{layer}.{tensor}")


def quantizer_to(format: Format) -> Quantizer:
    """The QKeras quantizer that rounds half to even and saturates to a format."""
    integer = format.integer - format.signed
    return parse(f"quantized_bits({format.width},{integer},keep_negative={format.signed},alpha=1)")


@dataclass
class Builder:
    """Collects the ops of a model; every op is verified as it comes.

    `masked` are the values that have a mask in Keras.
    """

    overrides: Overrides
    block: Block = field(default_factory=Block)
    masked: set[SSAValue] = field(default_factory=set[SSAValue])
    wishes: Wishes = field(default_factory=Wishes)

    def add(self, config: LayerConfig, op: QnnOp) -> SSAValue:
        """Append an op of this layer.

        Raise VerifyException if shapes do not fit, as the constructors of ops do, and
        UnsupportedLayer if the result is larger than any design could be.
        """
        layer = config.layer
        op.verify()
        if (size := prod(shape_of(op.result))) > _LARGEST_TENSOR:
            raise refused(config, f"its result has {size} elements", "make the model smaller")
        self.block.add_op(op)
        if SSAValue.is_valid_name(layer.name):
            op.result.name_hint = layer.name
        return op.result

    def constant(self, config: LayerConfig, array: NDArray[Any]) -> SSAValue:
        """A constant of reals."""
        return self.add(config, ConstantOp.real(array, config.layer.name))

    def weight(
        self, config: LayerConfig, tensor: str, array: NDArray[Any], quantizer: Quantizer | None
    ) -> SSAValue:
        """A weight tensor and its quantizer; a format given by the user comes first."""
        value = self.constant(config, array)
        chosen = self.overrides.take(config.layer.name, tensor) or self.wishes.weight(
            config.layer, tensor, array, quantizer
        )
        return value if chosen is None else self.quantize(config, value, chosen)

    def quantize(self, config: LayerConfig, value: SSAValue, quantizer: Quantizer) -> SSAValue:
        """Apply a QKeras quantizer."""
        return self.add(config, QuantizeOp.real(value, quantizer, config.layer.name))


_LARGEST_TENSOR = 1 << 26

Importer = Callable[[Builder, LayerConfig, Sequence[SSAValue]], SSAValue]
IMPORTERS: dict[str, Importer] = {}


def keras_layer(*class_names: str) -> Callable[[Importer], Importer]:
    """Register a function as the importer of these Keras classes.

    It gets the builder, the layer's config and the operands, adds ops, and returns the result;
    the caller checks afterwards that every config key was read. Raises LayerClash for a class that
    another module imports already.
    """

    def register(importer: Importer) -> Importer:
        for name in class_names:
            known = IMPORTERS.get(name)
            if known is not None and known.__module__ != importer.__module__:
                raise LayerClash(name, known.__module__, importer.__module__)
        IMPORTERS.update(dict.fromkeys(class_names, importer))
        return importer

    return register


def stored(config: LayerConfig, weight: str, *shape: int | None) -> NDArray[Any]:
    """A weight of this shape, None for any size; raise MissingWeight or UnsupportedLayer."""
    array = config.layer.weight(weight)
    if array.ndim != len(shape) or any(
        wanted not in (size, None) for size, wanted in zip(array.shape, shape, strict=True)
    ):
        expected = str(shape).replace("None", "any")
        reason = f"its stored {weight} has the shape {array.shape}, not {expected}"
        raise refused(config, reason, "save the model again: its config and its weights disagree")
    return array


def single(config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The one operand of a layer; raise UnsupportedLayer if there are several."""
    if len(inputs) != 1:
        raise refused(config, f"it has {len(inputs)} operands, not one", "merge them")
    return inputs[0]


def pair(config: LayerConfig, inputs: Sequence[SSAValue]) -> tuple[SSAValue, SSAValue]:
    """The two operands of a layer; raise UnsupportedLayer if there are not two."""
    if len(inputs) != 2:
        raise refused(config, f"it has {len(inputs)} operands, not two", "give it two operands")
    return inputs[0], inputs[1]
