"""What calocc asks of the nodes of an hls4ml model; the one place that knows their attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.hls4ml.precision import precision_of
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import UnsupportedLayer
from calocc.compiler.keras.model import KerasLayer
from calocc.dialects.qnn.quantizers import FixedPoint

Floats = NDArray[np.float64]

_UNROLL = {1: (0,), 2: (1, 0), 3: (1, 2, 0), 4: (1, 2, 3, 0)}
"""From (filters, taps, ...), the order for the strategy Resource, to (taps, ..., filters)."""


@dataclass(frozen=True, eq=False)
class Node:
    """One layer of a `ModelGraph` (`hls4ml.model.layers.Layer`)."""

    layer: Any
    config: LayerConfig = field(init=False)
    """Names the layer in messages and ops."""

    def __post_init__(self) -> None:
        named = KerasLayer(self.layer.name, self.layer.class_name, {}, (), {})
        object.__setattr__(self, "config", LayerConfig(named))

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(self.layer.name)

    @property
    def kind(self) -> str:
        """The class that hls4ml gives the layer, whatever it was called in the model."""
        return str(self.layer.class_name)

    @property
    def inputs(self) -> list[str]:
        """The tensors it reads."""
        return [str(name) for name in self.layer.inputs]

    @property
    def outputs(self) -> list[str]:
        """The tensors it makes."""
        return [str(name) for name in self.layer.outputs]

    def attr(self, key: str, default: Any = None) -> Any:
        """An attribute as it is."""
        return self.layer.get_attr(key, default)

    def whole(self, key: str, default: int | None = None) -> int:
        """An attribute that is an integer."""
        value = self.attr(key, default)
        if value is None or int(value) != value:
            raise self.refused(f"its {key} is {value!r}, no integer", "convert the model again")
        return int(value)

    def shape(self, tensor: str | None = None) -> tuple[int, ...]:
        """The shape of a result, without the axis of events."""
        variable = self.layer.get_output_variable(tensor)
        return tuple(int(n) for n in variable.shape)

    def result(self, tensor: str | None = None) -> FixedPoint:
        """The cast to the type of a result."""
        type = self.layer.get_output_variable(tensor).type.precision
        return self._cast(type, "result")

    def operand(self) -> FixedPoint:
        """The cast to the type of the first operand."""
        return self._cast(self.layer.get_input_variable().type.precision, "operand")

    def type(self, key: str) -> FixedPoint:
        """The cast to a type among the attributes (`accum`, `table`, ...)."""
        return self._cast(self.attr(f"{key}_t").precision, key)

    def weight_type(self, name: str) -> FixedPoint | None:
        """The cast to the type of a weight tensor; None for powers of two, which need none."""
        type = self.layer.weights[name].type.precision
        if type.__class__.__name__.endswith("ExponentPrecisionType"):
            return None
        return self._cast(type, name)

    def weight(self, name: str) -> Floats:
        """The values that hls4ml writes for a weight tensor, channels last; the type cuts them."""
        variable = self.layer.weights[name]
        values = np.asarray(variable.data, np.float64)
        if self.attr("_weights_transposed", False) and name == "weight":
            values = values.transpose(_UNROLL[values.ndim])
        return _as_written(values, variable.precision_fmt)

    def has_weight(self, name: str) -> bool:
        """Whether it has a weight tensor of that name."""
        return name in self.layer.weights

    def _cast(self, type: Any, what: str) -> FixedPoint:
        try:
            cast = precision_of(type)
        except ValueError as error:
            advice = "give the layer fixed-point types of at most 62 bits"
            raise self.refused(f"the type of its {what}: {error}", advice) from None
        if cast is None:
            advice = "let hls4ml infer it, model.apply_flow('convert'), or state it in hls_config"
            raise self.refused(f"the type of its {what} is not known yet", advice)
        return cast

    def refused(self, reason: str, advice: str) -> UnsupportedLayer:
        """The refusal of this layer, to be raised."""
        return UnsupportedLayer(self.name, self.kind, reason, advice)


def _as_written(values: Floats, form: str) -> Floats:
    """The values after a way through text with as many decimals as the type has fraction bits.

    That is enough for every value of the type itself; others may be rounded up to one.
    """
    decimals = int(form.partition(".")[2].partition("f")[0] or 0)
    scaled = np.ldexp(values, decimals)
    rest = scaled != np.rint(scaled)
    if not rest.any():
        return values
    written = values.copy()
    written[rest] = [float(form.format(v)) for v in values[rest].tolist()]
    return written
