"""Dense and convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.errors import RefusedQuantizer
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    refused,
    single,
    stored,
)
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import AddOp
from calocc.dialects.qnn.movement import ConcatOp, ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.quantizers import Quantizer, UnsupportedQuantizer, promote_kernel
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding, Window, reach

Floats = NDArray[Any]
_LARGEST_WINDOW = 1 << 20


def kernel_quantizer(config: LayerConfig, key: str = "kernel_quantizer") -> Quantizer | None:
    """The quantizer of a kernel; plain Keras layers have none.

    Raises RefusedQuantizer, also for one that a kernel cannot have.
    """
    quantizer = config.take_quantizer(key)
    try:
        return None if quantizer is None else promote_kernel(quantizer)
    except UnsupportedQuantizer as error:
        raise RefusedQuantizer(config.layer.name, config.layer.class_name, key, error) from None


def finish_linear(
    builder: Builder, config: LayerConfig, y: SSAValue, bias: Floats | None = None
) -> SSAValue:
    """Bias (the stored one if there is none given) and activation behind a product."""
    y = add_bias(builder, config, y, bias)
    if (wanted := builder.wishes.sums(config.layer)) is not None:
        y = builder.quantize(config, y, wanted)
    return activate(builder, config, y, config.take_activation("activation"))


def add_bias(
    builder: Builder,
    config: LayerConfig,
    y: SSAValue,
    bias: Floats | None = None,
    copies: int = 1,
) -> SSAValue:
    """The bias given, or the stored one for each of so many blocks of channels, if there is one."""
    quantizer = config.take_quantizer("bias_quantizer")
    if bias is None and config.take_bool("use_bias", True):
        bias = np.tile(stored(config, "bias", shape_of(y)[-1] // copies), copies)
    if bias is None:
        return y
    offset = builder.weight(config, "bias", bias, quantizer)
    return builder.add(config, AddOp((y, offset), layer=config.layer.name))


@keras_layer("Dense", "QDense")
def dense(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Matrix product over the last axis, bias, activation."""
    x = single(config, inputs)
    kernel = stored(config, "kernel", shape_of(x)[-1], config.take_int("units"))
    weights = builder.weight(config, "kernel", kernel, kernel_quantizer(config))
    y = builder.add(config, DenseOp(x, weights, layer=config.layer.name))
    return finish_linear(builder, config, y)


def window_of(
    config: LayerConfig,
    image: tuple[int, ...],
    size: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Window:
    """The window of a layer over an image (H, W, C) under its `padding`."""
    expect_window(config, size, strides, dilation)
    padding = config.take_str("padding", "valid", ("valid", "same"))
    if padding == "same":
        return Window.same(image[0], image[1], size, strides, dilation)
    return Window(*size, strides, Padding(), dilation)


def expect_window(
    config: LayerConfig, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> None:
    """Sizes from 1 to any that a design could have; only one of strides and dilation above 1."""
    for apart in (strides, dilation):
        if not all(1 <= n <= _LARGEST_WINDOW for n in (*size, *apart)):
            reason = f"a window of size {tuple(size)} cannot move by {tuple(apart)}"
            raise refused(config, reason, "use sizes and strides of 1 and above")
    if max(strides) > 1 and max(dilation) > 1:
        reason = f"it both moves by {tuple(strides)} and is dilated by {tuple(dilation)}"
        raise refused(config, reason, "Keras takes strides or a dilation_rate above 1, not both")


def row_window(config: LayerConfig, length: int, channels: int, size: int, stride: int) -> Window:
    """The window of a layer over a sequence, an image of one row; `causal` pads in front only."""
    (dilation,) = config.take_ints("dilation_rate", 1, (1,))
    if config.take("padding") != "causal":
        image = (1, length, channels)
        return window_of(config, image, (1, size), (1, stride), (1, dilation))
    expect_window(config, (size,), (stride,), (dilation,))
    in_front = Padding(0, 0, reach(size, dilation) - 1, 0)
    return Window(1, size, (1, stride), in_front, (1, dilation))


def require_rank(config: LayerConfig, x: SSAValue, rank: int) -> tuple[int, ...]:
    """The operand's shape without batch, which must have `rank` axes."""
    shape = shape_of(x)
    if len(shape) != rank:
        raise refused(
            config,
            f"its operand has the shape {shape}, it takes {rank} axes besides the batch",
            "reshape the operand in the model",
        )
    return shape


def expect_plain_convolution(config: LayerConfig) -> None:
    """Channels last, without mask."""
    config.expect_default("data_format", "channels_last")
    config.expect_default("mask", None)


def kernel2d(config: LayerConfig, channels: int) -> Floats:
    """The stored kernel (height, width, channels, filters) of a 2-D convolution."""
    size, filters = config.take_pair("kernel_size"), config.take_int("filters")
    return stored(config, "kernel", *size, channels, filters)


def convolve2d(builder: Builder, config: LayerConfig, x: SSAValue, kernel: Floats) -> SSAValue:
    """Products of the windows over an image with a kernel (height, width, channels, filters)."""
    size = kernel.shape[0], kernel.shape[1]
    strides = config.take_pair("strides", (1, 1))
    dilation = config.take_pair("dilation_rate", (1, 1))
    window = window_of(config, shape_of(x), size, strides, dilation)
    return convolve(builder, config, x, kernel, window)


def _channels_of_group(config: LayerConfig, channels: int) -> int:
    """How many of the channels each group has."""
    groups, filters = config.take_int("groups", 1), config.take_int("filters")
    if groups < 1 or channels % groups or filters % groups:
        reason = f"{groups} groups do not divide {channels} channels and {filters} filters"
        raise refused(config, reason, "save the model again")
    return channels // groups


@keras_layer("Conv2D", "QConv2D")
def conv2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """2-D convolution, perhaps in groups of channels, bias, activation."""
    x = single(config, inputs)
    channels = require_rank(config, x, 3)[-1]
    expect_plain_convolution(config)
    own = _channels_of_group(config, channels)
    y = convolve2d(builder, config, x, kernel2d(config, own))
    return finish_linear(builder, config, y)


@keras_layer("Conv1D", "QConv1D")
def conv1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """1-D convolution: an image of one row."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    expect_plain_convolution(config)
    name = config.layer.name
    (size,), (stride,) = config.take_ints("kernel_size", 1), config.take_ints("strides", 1, (1,))
    own = _channels_of_group(config, channels)
    kernel = stored(config, "kernel", size, own, config.take_int("filters"))
    image = builder.add(config, ReshapeOp(x, (1, length, channels), name))
    window = row_window(config, length, channels, size, stride)
    y = convolve(builder, config, image, kernel[None], window)
    y = builder.add(config, ReshapeOp(y, shape_of(y)[1:], name))
    return finish_linear(builder, config, y)


def convolve(
    builder: Builder, config: LayerConfig, image: SSAValue, kernel: Floats, window: Window
) -> SSAValue:
    """Products of windows with a kernel (height, width, channels of a group, filters).

    A group is a convolution of its own on its channels; groups of one channel are one depthwise
    convolution. The scales of data-dependent quantizers hold for one filter, so groups keep them.
    """
    name, groups = config.layer.name, shape_of(image)[-1] // kernel.shape[2]
    quantizer = kernel_quantizer(config)
    if groups == 1:
        weights = builder.weight(config, "kernel", kernel, quantizer)
        return builder.add(config, ConvOp(image, weights, window, layer=name))
    if kernel.shape[2] == 1 and not (quantizer and quantizer.data_dependent):
        taps = kernel.reshape(*kernel.shape[:2], groups, -1)
        weights = builder.weight(config, "kernel", taps, quantizer)
        return builder.add(config, DepthwiseOp(image, weights, window, layer=name))
    parts = [
        _group(builder, config, image, part, window, k, quantizer)
        for k, part in enumerate(np.split(kernel, groups, axis=-1))
    ]
    return builder.add(config, ConcatOp(parts, 2, layer=name))


def _group(
    builder: Builder,
    config: LayerConfig,
    image: SSAValue,
    kernel: Floats,
    window: Window,
    k: int,
    quantizer: Quantizer | None,
) -> SSAValue:
    """The convolution of group `k` on its channels."""
    name, own = config.layer.name, kernel.shape[2]
    part = builder.add(config, SliceOp(image, 2, k * own, (k + 1) * own, name))
    weights = builder.weight(config, "kernel", kernel, quantizer)
    return builder.add(config, ConvOp(part, weights, window, layer=name))
