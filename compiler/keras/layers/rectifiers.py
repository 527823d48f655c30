"""Layers that pass what lies above a threshold, and little of what lies below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.activation import activate, bounded
from calocc.compiler.keras.layers.axes import several_behind_batch, with_parameters
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single, stored
from calocc.dialects.qnn.elementwise import GateOp, LeakyReluOp, ReluOp
from calocc.dialects.qnn.op import shape_of


@keras_layer("ReLU")
def relu(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """x above a threshold, up to a bound if one is given; (x - threshold) * slope elsewhere."""
    x = single(config, inputs)
    slope = _not_negative(config, "negative_slope")
    threshold = _not_negative(config, "threshold")
    bound = config.take_optional_float("max_value")
    y = _gate(builder, config, x, threshold, slope)
    return y if bound is None else bounded(builder, config, y, bound)


@keras_layer("ThresholdedReLU")
def thresholded(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """x above theta, 0 elsewhere."""
    theta = _not_negative(config, "theta", 1.0)
    return _gate(builder, config, single(config, inputs), theta, 0.0)


def _not_negative(config: LayerConfig, key: str, default: float = 0.0) -> float:
    """A number that Keras does not let be negative either."""
    value = config.take_float(key, default)
    if value < 0:
        raise refused(config, f"its {key} {value} is negative", "use 0 or more, as Keras wants")
    return value


def _gate(
    builder: Builder, config: LayerConfig, x: SSAValue, threshold: float, slope: float
) -> SSAValue:
    if threshold == 0:
        return _leaky(builder, config, x, np.asarray(slope))
    constants = [builder.constant(config, np.asarray(c)) for c in (threshold, slope)]
    return builder.add(config, GateOp((x, *constants), layer=config.layer.name))


def _leaky(builder: Builder, config: LayerConfig, x: SSAValue, slope: NDArray[Any]) -> SSAValue:
    if not slope.any():
        return builder.add(config, ReluOp((x,), layer=config.layer.name))
    factor = builder.constant(config, slope)
    return builder.add(config, LeakyReluOp((x, factor), layer=config.layer.name))


@keras_layer("LeakyReLU")
def leaky_relu(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """x where it is not negative, alpha * x elsewhere."""
    slope = np.asarray(config.take_float("alpha", 0.3))
    return _leaky(builder, config, single(config, inputs), slope)


@keras_layer("PReLU")
def prelu(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """x where it is not negative, x times a stored slope elsewhere.

    The slopes differ along all axes but the shared ones.
    """
    x = single(config, inputs)
    shared = several_behind_batch(config, "shared_axes", x)
    shape = [1 if k in shared else n for k, n in enumerate(shape_of(x))]
    slopes = stored(config, "alpha", *shape)
    return with_parameters(
        builder, config, x, [slopes], lambda *args: LeakyReluOp(args, layer=config.layer.name)
    )


@keras_layer("ELU")
def elu(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""
    alpha = np.asarray(config.take_float("alpha", 1.0))
    y = activate(builder, config, single(config, inputs), "elu")
    return y if alpha == 1 else _leaky(builder, config, y, alpha)
