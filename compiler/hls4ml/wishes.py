"""A configuration of hls4ml applied to a Keras model: what it says of types, where that is sound.

The model comes first. What a quantizer of the model fixes may be repeated but not changed. A type
that names its layer is honoured otherwise; one for a class or for all layers fills in what a model
without quantizers leaves open, and is passed over in a model that has quantizers, which says itself
where it rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from calocc.compiler.hls4ml.configuration import HlsConfiguration, Wish
from calocc.compiler.hls4ml.errors import BadHlsConfig, HlsContradiction, HlsWrap
from calocc.compiler.hls4ml.precision import parse_precision, type_text
from calocc.compiler.inputs import quantize_argument
from calocc.compiler.keras.layers.wishes import Wishes
from calocc.compiler.keras.model import KerasLayer, KerasModel
from calocc.compiler.ports import input_ports, main_function
from calocc.compiler.report import Json
from calocc.dialects.fixed.format import Format, Overflow
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.movement import MovementOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import FixedPoint, Quantizer
from calocc.dialects.qnn.softmax import SoftmaxOp

VARIABLES = {
    "kernel": "weight",
    "depthwise_kernel": "depthwise",
    "pointwise_kernel": "pointwise",
    "recurrent_kernel": "recurrent_weight",
}
"""hls4ml's names of weight tensors, where they are not those of Keras."""
CODES = ("quantized_po2", "quantized_relu_po2", "binary", "ternary")
"""Quantizers whose hls4ml types say how values are encoded, not what they are."""
ACTIVATIONS = ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax")
"""Plain layers whose result hls4ml does not infer."""


@dataclass
class HlsWishes(Wishes):
    """The types that a configuration gives to the layers of one model."""

    config: HlsConfiguration
    model: KerasModel
    notes: list[str] = field(default_factory=list[str])
    """What is done otherwise than the configuration says, or than the model says."""

    @property
    def quantized(self) -> bool:
        """Whether the model has quantizers."""
        return any(_is_quantized(layer) for layer in self.model.layers)

    def require_layers(self) -> None:
        """Raise BadHlsConfig for a layer that the model does not have."""
        known = {name.lower(): name for layer in self.model.layers for name in _names(layer)}
        for name, section in self.config.layers.items():
            if name not in known:
                close = get_close_matches(name, known, n=1, cutoff=0.6)
                guess = f"did you mean {known[close[0]]}? " if close else ""
                advice = f"{guess}the layers are {', '.join(n.name for n in self.model.layers)}"
                problem = "the model has no layer of this name"
                raise BadHlsConfig(self.config.source, section.place, problem, advice)

    # Weights.

    def weight(
        self, layer: KerasLayer, tensor: str, values: NDArray[Any], own: Quantizer | None
    ) -> Quantizer | None:
        """The model's own quantizer, else the configured type.

        Raises HlsContradiction, and HlsWrap for weights that are outside of their type.
        """
        wish = self._wish(layer, VARIABLES.get(tensor, tensor)) or self.config.fallback
        if wish is None:
            return own
        if own is not None:
            self._require_kept(layer, wish, own, own(values) if not own.data_dependent else None)
            return own
        outside = values[_beyond(values, wish.cast)]
        if outside.size and wish.cast.overflow == Overflow.WRAP:
            largest = float(np.abs(outside).max())
            text = type_text(wish.cast)
            raise HlsWrap(
                self.config.source, wish.place, layer.name, text, int(outside.size), largest
            )
        return wish.cast

    def _require_kept(
        self, layer: KerasLayer, wish: Wish, own: Quantizer, values: NDArray[Any] | None
    ) -> None:
        """Raise HlsContradiction if a layer's own type changes what its quantizer yields."""
        if not wish.explicit or own.NAME in CODES:
            return
        if values is None:  # levels with a scale that is found from the data
            same = wish.cast.bits >= int(getattr(own, "bits", 0))
        else:
            same = np.array_equal(wish.cast(values), values)
        if not same:
            raise self._contradiction(layer, wish, own)

    def _contradiction(self, layer: KerasLayer, wish: Wish, own: Quantizer) -> HlsContradiction:
        text = type_text(wish.cast)
        return HlsContradiction(self.config.source, wish.place, layer.name, text, str(own))

    # Results.

    def sums(self, layer: KerasLayer) -> Quantizer | None:
        """The type of the result that hls4ml sees in front of a layer's own activation."""
        if _activation(layer) is None:
            return None
        return self._honoured(layer.name, self._wish(layer, "result"))

    def result(self, layer: KerasLayer, value: SSAValue) -> Quantizer | None:
        """The type of a layer's result, if it may and need be rounded to it."""
        own_name, behind = _names(layer)
        inner = _activation(layer) is not None
        name = behind if inner or behind.lower() in self.config.layers else own_name
        kinds = ("Softmax", "Activation") if inner else _kinds(layer)
        wish = self.config.wish(name, kinds, "result")
        if (own := _source(value)) is not None:
            self._require_held(layer, wish, own)
            return None
        if wish is None and self._needs_type(layer, value, inner):
            wish = self.config.fallback
            return None if wish is None else wish.cast
        return self._honoured(name, wish)

    def _require_held(self, layer: KerasLayer, wish: Wish | None, own: Quantizer) -> None:
        """Raise HlsContradiction if a type does not hold all that a quantizer can yield."""
        format = own.format
        if wish is None or not wish.explicit or format is None or own.NAME in CODES:
            return
        if not _holds(wish.cast.format, format):
            raise self._contradiction(layer, wish, own)

    def _honoured(self, name: str, wish: Wish | None) -> Quantizer | None:
        if wish is None or (self.quantized and not wish.explicit):
            return None
        if self.quantized:
            text = f"its result is rounded to {type_text(wish.cast)}, which the model does not do"
            self.notes.append(f"layer {name!r}: {text}")
        return wish.cast

    def _needs_type(self, layer: KerasLayer, value: SSAValue, inner: bool) -> bool:
        """Whether hls4ml gives the result its default type: it infers those of sums only."""
        owner = value.owner
        real = isinstance(owner, FunctionOp | SoftmaxOp)
        plain = not self.quantized
        normalised = isinstance(owner, BatchNormOp)
        return real or (plain and (inner or normalised or layer.class_name in ACTIVATIONS))

    def _wish(self, layer: KerasLayer, variable: str) -> Wish | None:
        return self.config.wish(layer.name, _kinds(layer), variable)

    # Inputs, and what is known after the compilation.

    def declare_inputs(self, module: ModuleOp, declared: Sequence[str]) -> None:
        """Give inputs their configured types, but for those that are declared already."""
        function = main_function(module)
        for index, port in enumerate(input_ports(module)):
            layer = self.model.layer(port.name)
            wish = self._wish(layer, "result") or self.config.fallback
            if wish is None or port.name in declared:
                continue
            own = _quantizer_behind(function.args[index])
            if own is None:
                quantize_argument(module, index, port, wish.cast)
            else:
                self._require_held(layer, wish, own)

    def accumulator_notes(self, rows: Sequence[Json]) -> Iterator[str]:
        """What is said of accumulators that do not hold the sums that can occur."""
        layers = {layer.name: layer for layer in self.model.layers}
        for row in rows:
            layer = layers.get(row["layer"])
            wish = None if layer is None else self._wish(layer, "accum")
            proved = cast(FixedPoint, parse_precision(row["proved"]))
            if wish is not None and wish.explicit and not _holds(wish.cast.format, proved.format):
                text = f"the accumulator {type_text(wish.cast)} does not hold its sums"
                yield f"layer {row['layer']!r}: {text}; calocc takes {row['proved']}"

    @property
    def reuse(self) -> dict[str, int]:
        """Reuse factors by layer."""
        found = ((n.name, self.config.reuse(n.name, _kinds(n))) for n in self.model.layers)
        return {name: factor for name, factor in found if factor is not None}

    @property
    def strategies(self) -> dict[str, str]:
        """Strategies by layer."""
        return {n.name: self.config.strategy(n.name, _kinds(n)) for n in self.model.layers}


def _is_quantized(layer: KerasLayer) -> bool:
    return layer.class_name.startswith("Q") or layer.class_name.endswith("FixedPointQuantizer")


def _kinds(layer: KerasLayer) -> tuple[str, ...]:
    """The names of a class in hls4ml: that of Keras, and its own."""
    name = layer.class_name
    return name, {"InputLayer": "Input"}.get(name, name.removeprefix("Q"))


def _activation(layer: KerasLayer) -> str | None:
    """The activation that a layer with weights holds, of which hls4ml makes a layer of its own."""
    if layer.class_name in ("Activation", "QActivation"):
        return None
    given = layer.config.get("activation")
    if isinstance(given, dict):
        return str(cast(dict[str, Any], given).get("class_name"))
    return None if given in (None, "linear") else str(given)


def _names(layer: KerasLayer) -> tuple[str, ...]:
    """The names that hls4ml has for a layer: its own, and that of the activation behind it."""
    return layer.name, f"{layer.name}_{_activation(layer) or 'linear'}"


def _source(value: SSAValue) -> Quantizer | None:
    """The quantizer that has made the elements of a value, wherever they were moved since."""
    owner = value.owner
    while isinstance(owner, MovementOp):
        owner = owner.x.owner
    attribute = owner.quantizer if isinstance(owner, QuantizeOp) else None
    return None if attribute is None else attribute.quantizer


def _quantizer_behind(argument: SSAValue) -> Quantizer | None:
    """The quantizer that all readers of an input are."""
    readers = [use.operation for use in argument.uses]
    found = {
        str(r.quantizer.quantizer): r.quantizer.quantizer
        for r in readers
        if isinstance(r, QuantizeOp) and r.quantizer is not None
    }
    alike = len(found) == 1 and all(isinstance(r, QuantizeOp) for r in readers)
    return next(iter(found.values())) if alike else None


def _beyond(values: NDArray[Any], cast: FixedPoint) -> NDArray[np.bool_]:
    """Which values lie outside the range of a type."""
    format = cast.format
    low, high = format.min_mantissa * format.lsb, (format.max_mantissa + 1) * format.lsb
    return (values < low) | (values >= high)


def _holds(outer: Format, inner: Format) -> bool:
    """Whether every value of one format is one of the other."""
    shift = outer.frac - inner.frac
    if shift < 0:
        return False
    return outer.holds(inner.min_mantissa << shift, inner.max_mantissa << shift)
