"""Activation layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.dialect import HARD_SIGMOID_OF_KERAS_3
from calocc.compiler.keras.layers.axes import behind_batch, reordered, to_end
from calocc.compiler.keras.layers.off_grid import quantized
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    refused,
    single,
)
from calocc.dialects.qnn.elementwise import (
    AffineOp,
    LeakyReluOp,
    MaximumOp,
    MinimumOp,
    ReluOp,
)
from calocc.dialects.qnn.function import FUNCTIONS, FunctionOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.quantizers import QuantizedRelu, Quantizer
from calocc.dialects.qnn.softmax import SoftmaxOp

_QKERAS_LINES = {
    "hard_sigmoid": (0.5, 0.5, 0.0),
    "hard_tanh": (1.0, 0.0, -1.0),
    "smooth_sigmoid": (0.1875, 0.5, 0.0),
    "smooth_tanh": (0.375, 0.0, -1.0),
}
"""Slope, offset, least value (the greatest is 1). The hard_sigmoid of Keras has a slope of 0.2."""
_QKERAS_STEPS = {"binary_sigmoid": 0.0, "binary_tanh": -1.0}
"""The value at 0 and below; above it is 1."""
_LEAKY_SLOPE = 0.2
"""That of the activation by name; the layer LeakyReLU has its own."""
_ALIASES = {"silu": "swish", "hard_swish": "hard_silu", "celu": "elu"}
_OF_KERAS = [name for name in FUNCTIONS if name != "mu_law"]
_PIECEWISE = ("linear", "relu", "relu6", "leaky_relu", "hard_tanh", "softmax")
ACTIVATIONS = (*_PIECEWISE, *_OF_KERAS, *_ALIASES)
"""Those of Keras by name."""
ACTIVATIONS_OF_QKERAS = (*_QKERAS_LINES, *_QKERAS_STEPS)
"""Those that layers of QKeras know besides, or instead."""


def activate(
    builder: Builder, config: LayerConfig, x: SSAValue, activation: Quantizer | str
) -> SSAValue:
    """Apply a quantizer, or an activation by name.

    Layers of QKeras look for the name among its own functions before those of Keras.
    """
    name = config.layer.name
    if isinstance(activation, Quantizer):
        return quantized(builder, config, x, activation)
    if activation == "linear":
        return x
    if activation in _QKERAS_LINES and config.layer.class_name.startswith("Q"):
        return _clipped_line(builder, config, x, *_QKERAS_LINES[activation])
    if activation in _QKERAS_STEPS and config.layer.class_name.startswith("Q"):
        return _step(builder, config, x, _QKERAS_STEPS[activation])
    if activation == HARD_SIGMOID_OF_KERAS_3:
        return _clipped_line(builder, config, x, 1 / 6, 0.5, 0.0)
    if activation == "hard_tanh":
        return _clipped_line(builder, config, x, 1.0, 0.0, -1.0)
    if activation == "leaky_relu":
        slope = builder.constant(config, np.asarray(_LEAKY_SLOPE))
        return builder.add(config, LeakyReluOp((x, slope), layer=name))
    if activation == "relu":
        return builder.add(config, ReluOp((x,), layer=name))
    if activation == "softmax":
        return builder.add(config, SoftmaxOp(x, layer=name))
    if activation == "relu6":
        return bounded(builder, config, builder.add(config, ReluOp((x,), layer=name)), 6.0)
    activation = _ALIASES.get(activation, activation)
    if activation in _OF_KERAS:
        return builder.add(config, FunctionOp(activation, x, name))
    raise refused(
        config,
        f"the activation {activation!r} is not known",
        f"use a quantizer or one of {', '.join(ACTIVATIONS)}",
    )


def _clipped_line(
    builder: Builder, config: LayerConfig, x: SSAValue, slope: float, offset: float, least: float
) -> SSAValue:
    """clip(slope * x + offset, least, 1)"""
    name = config.layer.name
    constants = [builder.constant(config, np.asarray(c)) for c in (slope, offset, least, 1.0)]
    y = builder.add(config, AffineOp((x, *constants[:2]), layer=name))
    y = builder.add(config, MaximumOp((y, constants[2]), layer=name))
    return builder.add(config, MinimumOp((y, constants[3]), layer=name))


def _step(builder: Builder, config: LayerConfig, x: SSAValue, least: float) -> SSAValue:
    """round(x/2 + 1/2) within 0 and 1, ties to even as in QKeras; 0 is then moved to `least`."""
    name = config.layer.name
    half = builder.constant(config, np.asarray(0.5))
    y = builder.add(config, AffineOp((x, half, half), layer=name))
    y = builder.quantize(config, y, QuantizedRelu(bits=1, integer=1))
    if not least:
        return y
    constants = [builder.constant(config, np.asarray(c)) for c in (1.0 - least, least)]
    return builder.add(config, AffineOp((y, *constants), layer=name))


@keras_layer("Activation", "QActivation")
def activation(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A quantizer or an activation by name."""
    return activate(builder, config, single(config, inputs), config.take_activation("activation"))


def bounded(builder: Builder, config: LayerConfig, y: SSAValue, bound: float) -> SSAValue:
    """min(y, bound)"""
    top = builder.constant(config, np.asarray(bound))
    return builder.add(config, MinimumOp((y, top), layer=config.layer.name))


@keras_layer("Softmax")
def softmax(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Softmax over one axis (Keras counts the batch axis)."""
    x, name = single(config, inputs), config.layer.name
    axis = behind_batch(config, "axis", config.take_int("axis", -1), x)
    order = to_end(len(shape_of(x)), axis)
    last = reordered(builder, config, x, order)
    weights = builder.add(config, SoftmaxOp(last, layer=name))
    return reordered(builder, config, weights, [order.index(k) for k in range(len(order))])
