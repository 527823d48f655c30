"""Dense and convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.registry import (
    Builder,
    UnsupportedLayer,
    keras_layer,
    single,
    stored,
)
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.quantizers import Quantizer, promote_kernel
from calocc.dialects.qnn.windows import Padding, Window

Floats = NDArray[Any]
_LARGEST_WINDOW = 1 << 20


def kernel_quantizer(config: LayerConfig, key: str = "kernel_quantizer") -> Quantizer | None:
    """The quantizer of a kernel; plain Keras layers have none."""
    quantizer = config.take_quantizer(key)
    return None if quantizer is None else promote_kernel(quantizer)


def finish_linear(
    builder: Builder, config: LayerConfig, y: SSAValue, bias: Floats | None = None
) -> SSAValue:
    """Bias (the stored one if there is none given) and activation behind a product."""
    quantizer = config.take_quantizer("bias_quantizer")
    if bias is None and config.take_bool("use_bias", True):
        bias = stored(config, "bias", shape_of(y)[-1])
    if bias is not None:
        offset = builder.weight(config, "bias", bias, quantizer)
        y = builder.add(config, AddOp((y, offset), layer=config.layer.name))
    return activate(builder, config, y, config.take_activation("activation"))


@keras_layer("Dense", "QDense")
def dense(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Matrix product over the last axis, bias, activation."""
    x = single(config, inputs)
    kernel = stored(config, "kernel", shape_of(x)[-1], config.take_int("units"))
    weights = builder.weight(config, "kernel", kernel, kernel_quantizer(config))
    y = builder.add(config, DenseOp(x, weights, layer=config.layer.name))
    return finish_linear(builder, config, y)


def window_of(
    config: LayerConfig, image: tuple[int, ...], size: tuple[int, int], strides: tuple[int, int]
) -> Window:
    """The window of a layer over an image (H, W, C) under its `padding`."""
    if not all(1 <= n <= _LARGEST_WINDOW for n in (*size, *strides)):
        layer, advice = config.layer, "use sizes and strides of 1 and above"
        reason = f"a window of size {size} cannot move by {strides}"
        raise UnsupportedLayer(layer.name, layer.class_name, reason, advice)
    padding = config.take_str("padding", "valid", ("valid", "same"))
    if padding == "same":
        return Window.same(image[0], image[1], size, strides)
    return Window(*size, strides, Padding())


def require_rank(config: LayerConfig, x: SSAValue, rank: int) -> tuple[int, ...]:
    """The operand's shape without batch, which must have `rank` axes."""
    shape = shape_of(x)
    if len(shape) != rank:
        raise UnsupportedLayer(
            config.layer.name,
            config.layer.class_name,
            f"its operand has the shape {shape}, it takes {rank} axes besides the batch",
            "reshape the operand in the model",
        )
    return shape


def _expect_plain_convolution(config: LayerConfig, ones: tuple[int, ...]) -> None:
    config.expect_default("data_format", "channels_last")
    config.expect_default("dilation_rate", ones)
    config.expect_default("groups", 1)
    config.expect_default("mask", None)


def _convolve(builder: Builder, config: LayerConfig, x: SSAValue, kernel: Floats) -> SSAValue:
    """Products of windows with a kernel (height, width, channels, filters), and its quantizer."""
    size = kernel.shape[0], kernel.shape[1]
    window = window_of(config, shape_of(x), size, config.take_pair("strides", (1, 1)))
    weights = builder.weight(config, "kernel", kernel, kernel_quantizer(config))
    return builder.add(config, ConvOp(x, weights, window, layer=config.layer.name))


def _kernel2d(config: LayerConfig, channels: int) -> Floats:
    size, filters = config.take_pair("kernel_size"), config.take_int("filters")
    return stored(config, "kernel", *size, channels, filters)


@keras_layer("Conv2D", "QConv2D")
def conv2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """2-D convolution, bias, activation."""
    x = single(config, inputs)
    channels = require_rank(config, x, 3)[-1]
    _expect_plain_convolution(config, (1, 1))
    y = _convolve(builder, config, x, _kernel2d(config, channels))
    return finish_linear(builder, config, y)


@keras_layer("Conv1D", "QConv1D")
def conv1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """1-D convolution: an image of one row."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    _expect_plain_convolution(config, (1,))
    name = config.layer.name
    (size,), (stride,) = config.take_ints("kernel_size", 1), config.take_ints("strides", 1, (1,))
    window = window_of(config, (1, length, channels), (1, size), (1, stride))
    kernel = stored(config, "kernel", size, channels, config.take_int("filters"))
    weights = builder.weight(config, "kernel", kernel[None], kernel_quantizer(config))
    image = builder.add(config, ReshapeOp(x, (1, length, channels), name))
    y = builder.add(config, ConvOp(image, weights, window, layer=name))
    y = builder.add(config, ReshapeOp(y, shape_of(y)[1:], name))
    return finish_linear(builder, config, y)


@keras_layer("QConv2DBatchnorm")
def conv2d_batchnorm(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """2-D convolution with the batch normalisation folded into kernel and bias before they are
    quantized."""
    x = single(config, inputs)
    channels = require_rank(config, x, 3)[-1]
    _expect_plain_convolution(config, (1, 1))
    _expect_plain_folding(config)
    kernel, bias = folded(config, _kernel2d(config, channels))
    y = _convolve(builder, config, x, kernel)
    return finish_linear(builder, config, y, bias)


def _expect_plain_folding(config: LayerConfig) -> None:
    """Both folding modes and all training parameters coincide at inference."""
    expect_plain_normalisation(config, 3)
    config.expect_default("renorm_clipping", None)
    config.expect_default("adjustment", None)
    config.ignore("renorm_momentum", "ema_freeze_delay", "folding_mode")


def expect_plain_normalisation(config: LayerConfig, rank: int) -> None:
    """A batch normalisation over the last of `rank` axes, as it is at inference."""
    axis = config.take("axis", -1)
    if axis not in (-1, rank, [-1], [rank]):
        layer, advice = config.layer, "normalise over the last axis"
        reason = f"axis={axis} is not the channel axis"
        raise UnsupportedLayer(layer.name, layer.class_name, reason, advice)
    config.expect_default("renorm", False)
    config.expect_default("virtual_batch_size", None)
    config.ignore("fused")


def folded(config: LayerConfig, kernel: Floats) -> tuple[Floats, Floats]:
    """Kernel and bias of QConv2DBatchnorm at inference, in float32 as QKeras computes them.

    inv = gamma / sqrt(variance + epsilon); kernel * inv; inv * (bias - mean) + beta.
    """
    filters = kernel.shape[-1]
    variance, epsilon = moving_variance(config, filters)
    inverse = 1 / np.sqrt(variance + np.float32(epsilon))
    if config.take_bool("scale", True):
        inverse = inverse * stored(config, "gamma", filters)
    bias = stored(config, "bias", filters) if config.take_bool("use_bias", True) else np.float32(0)
    offset = inverse * (bias - stored(config, "moving_mean", filters))
    if config.take_bool("center", True):
        offset = offset + stored(config, "beta", filters)
    return kernel * inverse, offset


def moving_variance(config: LayerConfig, channels: int) -> tuple[Floats, float]:
    """The variance per channel and epsilon of a batch normalisation; their sum is positive."""
    variance = stored(config, "moving_variance", channels)
    epsilon = config.take_float("epsilon", 1e-3)
    if (least := float(variance.min())) + epsilon <= 0:
        layer, advice = config.layer, "the file is damaged or the training diverged"
        reason = f"its moving variance {least:g} plus epsilon {epsilon:g} is not positive"
        raise UnsupportedLayer(layer.name, layer.class_name, reason, advice)
    return variance, epsilon
