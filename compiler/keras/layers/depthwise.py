"""Depthwise and separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.linear import (
    finish_linear,
    kernel_quantizer,
    require_rank,
    row_window,
    window_of,
)
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    single,
    stored,
)
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.windows import Window

Floats = NDArray[Any]


def stored_taps(config: LayerConfig, image: SSAValue, size: tuple[int, ...]) -> Floats:
    """The kernel (height, width, channels, multiplier); `size` has one or two dimensions."""
    shape = (*size, shape_of(image)[-1], config.take_int("depth_multiplier", 1))
    array = stored(config, "depthwise_kernel", *shape)
    return array.reshape(1, *shape) if len(size) == 1 else array


def depthwise(builder: Builder, config: LayerConfig, image: SSAValue, kernel: Floats) -> SSAValue:
    """The depthwise product over an image."""
    size, strides = (kernel.shape[0], kernel.shape[1]), config.take_pair("strides", (1, 1))
    dilation = config.take_pair("dilation_rate", (1, 1))
    window = window_of(config, shape_of(image), size, strides, dilation)
    return _over(builder, config, image, kernel, window)


def _over(
    builder: Builder, config: LayerConfig, image: SSAValue, kernel: Floats, window: Window
) -> SSAValue:
    quantizer = kernel_quantizer(config, "depthwise_quantizer")
    weights = builder.weight(config, "depthwise_kernel", kernel, quantizer)
    return builder.add(config, DepthwiseOp(image, weights, window, layer=config.layer.name))


def _expect_plain(config: LayerConfig) -> None:
    config.expect_default("data_format", "channels_last")
    config.expect_default("groups", 1)


def _depthwise2d(builder: Builder, config: LayerConfig, x: SSAValue) -> SSAValue:
    require_rank(config, x, 3)
    _expect_plain(config)
    kernel = stored_taps(config, x, config.take_pair("kernel_size"))
    return depthwise(builder, config, x, kernel)


@keras_layer("DepthwiseConv2D", "QDepthwiseConv2D")
def depthwise_conv2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each channel convolved with its own kernels, bias, activation."""
    y = _depthwise2d(builder, config, single(config, inputs))
    return finish_linear(builder, config, y)


@keras_layer("SeparableConv2D", "QSeparableConv2D")
def separable_conv2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A depthwise, then a 1 x 1 convolution, bias, activation."""
    y = _depthwise2d(builder, config, single(config, inputs))
    return finish_linear(builder, config, _pointwise(builder, config, y, (1, 1)))


def _depthwise1d(builder: Builder, config: LayerConfig, x: SSAValue) -> SSAValue:
    """The depthwise product over a sequence, as an image of one row."""
    length, channels = require_rank(config, x, 2)
    _expect_plain(config)
    (size,), (stride,) = config.take_ints("kernel_size", 1), config.take_ints("strides", 1, (1,))
    image = builder.add(config, ReshapeOp(x, (1, length, channels), config.layer.name))
    kernel = stored_taps(config, image, (size,))
    return _over(builder, config, image, kernel, row_window(config, length, channels, size, stride))


@keras_layer("DepthwiseConv1D")
def depthwise_conv1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each channel of a sequence convolved with its own kernels, bias, activation."""
    y = _depthwise1d(builder, config, single(config, inputs))
    y = builder.add(config, ReshapeOp(y, shape_of(y)[1:], config.layer.name))
    return finish_linear(builder, config, y)


@keras_layer("SeparableConv1D", "QSeparableConv1D")
def separable_conv1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A depthwise, then a pointwise convolution over a sequence, bias, activation."""
    y = _depthwise1d(builder, config, single(config, inputs))
    y = _pointwise(builder, config, y, (1,))
    y = builder.add(config, ReshapeOp(y, shape_of(y)[1:], config.layer.name))
    return finish_linear(builder, config, y)


def _pointwise(
    builder: Builder, config: LayerConfig, x: SSAValue, size: tuple[int, ...]
) -> SSAValue:
    """A convolution of one pixel; `size` is (1,) or (1, 1)."""
    channels, filters = shape_of(x)[-1], config.take_int("filters")
    kernel = stored(config, "pointwise_kernel", *size, channels, filters)
    quantizer = kernel_quantizer(config, "pointwise_quantizer")
    weights = builder.weight(
        config, "pointwise_kernel", kernel.reshape(1, 1, channels, filters), quantizer
    )
    return builder.add(config, ConvOp(x, weights, Window(1, 1), layer=config.layer.name))
