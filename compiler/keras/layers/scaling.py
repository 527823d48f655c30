"""Products with one number, and with kernels of one or two bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.linear import finish_linear, kernel_quantizer
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single, stored
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.op import shape_of

Floats = NDArray[Any]


@keras_layer("QScaleShift")
def scale_shift(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """weight * x + bias with one quantized number each, activation."""
    x = single(config, inputs)
    numbers: list[SSAValue] = []
    used = {"weight": True, "bias": config.take_bool("use_bias", True)}
    for name, is_used in used.items():
        quantizer = kernel_quantizer(config, f"{name}_quantizer")  # also that of the bias
        number = stored(config, name, 1, 1) if is_used else np.zeros((1, 1))
        values = number.astype(np.float64)
        if quantizer is not None and is_used:
            values = quantizer(values)
        numbers.append(builder.constant(config, values.reshape(())))
    y = builder.add(config, AffineOp((x, *numbers), layer=config.layer.name))
    return activate(builder, config, y, config.take_activation("activation"))


@keras_layer("BinaryDense")
def binary_dense(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Matrix product with H where the kernel is positive and -H elsewhere, bias, activation."""
    return _narrow(builder, config, inputs, lambda w: np.where(w > 0, 1.0, -1.0))


@keras_layer("TernaryDense")
def ternary_dense(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Matrix product with H where the kernel is above H/2, -H up to -H/2, 0 between; bias,
    activation."""
    return _narrow(builder, config, inputs, lambda w: 1.0 * (w > 0.5) - (w <= -0.5))


def _narrow(
    builder: Builder,
    config: LayerConfig,
    inputs: Sequence[SSAValue],
    levels: Callable[[Floats], Floats],
) -> SSAValue:
    """A dense layer whose kernel has few levels, times `H`, or what `Glorot` stands for."""
    x = single(config, inputs)
    kernel = stored(config, "kernel", shape_of(x)[-1], config.take_int("units"))
    scale = _scale(config, kernel.shape)
    config.ignore("kernel_lr_multiplier", "bias_lr_multiplier")
    weights = builder.constant(config, levels(kernel / np.float32(scale)))
    y = builder.add(config, DenseOp(x, weights, layer=config.layer.name))
    if scale != 1:
        constants = [builder.constant(config, np.asarray(c)) for c in (scale, 0.0)]
        y = builder.add(config, AffineOp((y, *constants), layer=config.layer.name))
    return finish_linear(builder, config, y)


def _scale(config: LayerConfig, shape: tuple[int, ...]) -> float:
    if config.take("H", 1.0) == "Glorot":
        return float(np.float32(np.sqrt(1.5 / sum(shape))))
    scale = float(np.float32(config.take_float("H", 1.0)))
    if not 0 < scale < np.inf:
        raise refused(config, f"its H={scale:g} is no positive number", "save the model again")
    return scale
