"""Depthwise and separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.linear import (
    expect_size,
    finish_linear,
    require_rank,
    window_of,
)
from calocc.compiler.keras.layers.registry import (
    Builder,
    UnsupportedLayer,
    keras_layer,
    single,
    stored,
)
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.quantizers import promote_kernel
from calocc.dialects.qnn.windows import Window


def _kernel(
    builder: Builder, config: LayerConfig, weight: str, quantizer_key: str, rows: bool = False
) -> SSAValue:
    """A kernel and its quantizer; with `rows` a 1-D kernel becomes one of a single row."""
    array = stored(config, weight, 3 if rows else 4)
    quantizer = config.take_quantizer(quantizer_key)
    promoted = None if quantizer is None else promote_kernel(quantizer)
    return builder.weight(config, weight, array[None] if rows else array, promoted)


def _depthwise(
    builder: Builder,
    config: LayerConfig,
    image: SSAValue,
    kernel: SSAValue,
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> SSAValue:
    """The depthwise product over an image; `sizes` are those of the kernel and the strides."""
    size, strides = sizes
    if shape_of(kernel)[:2] != size or shape_of(kernel)[3] != config.take_int(
        "depth_multiplier", 1
    ):
        layer = config.layer
        reason = f"its configuration does not fit the stored kernel {shape_of(kernel)}"
        advice = "save the model again: its config and its weights disagree"
        raise UnsupportedLayer(layer.name, layer.class_name, reason, advice)
    window = window_of(config, shape_of(image), size, strides)
    return builder.add(config, DepthwiseOp(image, kernel, window, layer=config.layer.name))


def _bias(builder: Builder, config: LayerConfig) -> SSAValue | None:
    quantizer = config.take_quantizer("bias_quantizer")
    if not config.take_bool("use_bias", True):
        return None
    return builder.weight(config, "bias", stored(config, "bias", 1), quantizer)


def _expect_plain(config: LayerConfig, ones: tuple[int, ...]) -> None:
    config.expect_default("data_format", "channels_last")
    config.expect_default("dilation_rate", ones)
    config.expect_default("groups", 1)


def _sizes_2d(config: LayerConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    return config.take_pair("kernel_size"), config.take_pair("strides", (1, 1))


@keras_layer("DepthwiseConv2D", "QDepthwiseConv2D")
def depthwise_conv2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each channel convolved with its own kernels, bias, activation."""
    x = single(config, inputs)
    require_rank(config, x, 3)
    _expect_plain(config, (1, 1))
    kernel = _kernel(builder, config, "depthwise_kernel", "depthwise_quantizer")
    y = _depthwise(builder, config, x, kernel, _sizes_2d(config))
    return finish_linear(builder, config, y, _bias(builder, config))


@keras_layer("SeparableConv2D", "QSeparableConv2D")
def separable_conv2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A depthwise, then a 1 x 1 convolution, bias, activation."""
    x = single(config, inputs)
    require_rank(config, x, 3)
    _expect_plain(config, (1, 1))
    kernel = _kernel(builder, config, "depthwise_kernel", "depthwise_quantizer")
    y = _depthwise(builder, config, x, kernel, _sizes_2d(config))
    y = _pointwise(builder, config, y, rows=False)
    return finish_linear(builder, config, y, _bias(builder, config))


@keras_layer("SeparableConv1D", "QSeparableConv1D")
def separable_conv1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A depthwise, then a pointwise convolution over a sequence, bias, activation."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    _expect_plain(config, (1,))
    (size,), (stride,) = config.take_ints("kernel_size", 1), config.take_ints("strides", 1, (1,))
    kernel = _kernel(builder, config, "depthwise_kernel", "depthwise_quantizer", rows=True)
    image = builder.add(config, ReshapeOp(x, (1, length, channels), config.layer.name))
    y = _depthwise(builder, config, image, kernel, ((1, size), (1, stride)))
    y = _pointwise(builder, config, y, rows=True)
    y = builder.add(config, ReshapeOp(y, shape_of(y)[1:], config.layer.name))
    return finish_linear(builder, config, y, _bias(builder, config))


def _pointwise(builder: Builder, config: LayerConfig, x: SSAValue, rows: bool) -> SSAValue:
    kernel = _kernel(builder, config, "pointwise_kernel", "pointwise_quantizer", rows)
    expect_size(config, "filters", shape_of(kernel)[-1])
    return builder.add(config, ConvOp(x, kernel, Window(1, 1), layer=config.layer.name))
