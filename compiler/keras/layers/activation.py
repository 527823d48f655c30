"""Activation layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import (
    Builder,
    UnsupportedLayer,
    keras_layer,
    single,
)
from calocc.dialects.qnn.elementwise import LeakyReluOp, MinimumOp, ReluOp
from calocc.dialects.qnn.function import FUNCTIONS, FunctionOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.quantizers import Quantizer
from calocc.dialects.qnn.softmax import SoftmaxOp


def activate(
    builder: Builder, config: LayerConfig, x: SSAValue, activation: Quantizer | str
) -> SSAValue:
    """Apply a quantizer, or a Keras activation by name."""
    name = config.layer.name
    if isinstance(activation, Quantizer):
        return builder.quantize(config, x, activation)
    if activation == "linear":
        return x
    if activation == "relu":
        return builder.add(config, ReluOp((x,), layer=name))
    if activation == "softmax":
        return builder.add(config, SoftmaxOp(x, layer=name))
    if activation in FUNCTIONS:
        return builder.add(config, FunctionOp(activation, x, name))
    known = ", ".join(("linear", "relu", "softmax", *FUNCTIONS))
    raise UnsupportedLayer(
        name,
        config.layer.class_name,
        f"the activation {activation!r} is not known",
        f"use a quantizer or one of {known}",
    )


@keras_layer("Activation", "QActivation")
def activation(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A quantizer or an activation by name."""
    return activate(builder, config, single(config, inputs), config.take_activation("activation"))


@keras_layer("ReLU")
def relu(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """max(x, 0), with a slope below 0 and a bound above if given."""
    x = single(config, inputs)
    slope = config.take_float("negative_slope", 0.0)
    bound = config.take_optional_float("max_value")
    config.expect_default("threshold", 0.0)
    y = _leaky(builder, config, x, slope)
    if bound is None:
        return y
    top = builder.constant(config, np.asarray(bound))
    return builder.add(config, MinimumOp((y, top), layer=config.layer.name))


@keras_layer("LeakyReLU")
def leaky_relu(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """x where it is not negative, alpha * x elsewhere."""
    return _leaky(builder, config, single(config, inputs), config.take_float("alpha", 0.3))


def _leaky(builder: Builder, config: LayerConfig, x: SSAValue, slope: float) -> SSAValue:
    if slope == 0:
        return builder.add(config, ReluOp((x,), layer=config.layer.name))
    if slope < 0:
        raise UnsupportedLayer(
            config.layer.name,
            config.layer.class_name,
            f"its slope {slope} is negative",
            "train with a slope of 0 or above",
        )
    factor = builder.constant(config, np.asarray(slope))
    return builder.add(config, LeakyReluOp((x, factor), layer=config.layer.name))


@keras_layer("Softmax")
def softmax(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Softmax over the last axis."""
    x = single(config, inputs)
    axis = config.take_int("axis", -1)
    if axis not in (-1, len(shape_of(x))):
        raise UnsupportedLayer(
            config.layer.name,
            config.layer.class_name,
            f"it runs over axis {axis}, which is not the last one",
            "transpose so that the softmax runs over the last axis",
        )
    return builder.add(config, SoftmaxOp(x, layer=config.layer.name))
