"""Layers of QKeras that fold their batch normalisation into kernel and bias, then quantize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.depthwise import depthwise, stored_taps
from calocc.compiler.keras.layers.linear import (
    convolve2d,
    expect_plain_convolution,
    finish_linear,
    kernel2d,
    kernel_quantizer,
    require_rank,
)
from calocc.compiler.keras.layers.normalisation import epsilon_of, expect_channels
from calocc.compiler.keras.layers.registry import Builder, keras_layer, single, stored
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.op import shape_of

Floats = NDArray[Any]


@keras_layer("QConv2DBatchnorm")
def conv2d_batchnorm(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """2-D convolution with the batch normalisation folded into kernel and bias before they are
    quantized."""
    x = single(config, inputs)
    channels = require_rank(config, x, 3)[-1]
    expect_plain_convolution(config)
    config.expect_default("groups", 1)
    _expect_plain_folding(config, 3)
    kernel = kernel2d(config, channels)
    inverse, bias = folded(config, kernel.shape[-1])
    y = convolve2d(builder, config, x, kernel * inverse)
    return finish_linear(builder, config, y, bias)


@keras_layer("QDepthwiseConv2DBatchnorm")
def depthwise_conv2d_batchnorm(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """Each channel convolved with its own kernels, the batch normalisation folded into them."""
    x = single(config, inputs)
    require_rank(config, x, 3)
    expect_plain_convolution(config)
    config.expect_default("groups", 1)
    _expect_plain_folding(config, 3)
    taps = stored_taps(config, x, config.take_pair("kernel_size"))
    inverse, bias = folded(config, taps.shape[2] * taps.shape[3])
    kernel = taps * inverse.reshape(taps.shape[2:])
    y = depthwise(builder, config, x, kernel)
    return finish_linear(builder, config, y, bias)


@keras_layer("QDenseBatchnorm")
def dense_batchnorm(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Matrix product over the last axis, the batch normalisation folded into kernel and bias."""
    x = single(config, inputs)
    _expect_plain_folding(config, len(shape_of(x)))
    kernel = stored(config, "kernel", shape_of(x)[-1], config.take_int("units"))
    inverse, bias = folded(config, kernel.shape[-1])
    weights = builder.weight(config, "kernel", kernel * inverse, kernel_quantizer(config))
    y = builder.add(config, DenseOp(x, weights, layer=config.layer.name))
    return finish_linear(builder, config, y, bias)


def _expect_plain_folding(config: LayerConfig, rank: int) -> None:
    """Both folding modes and all training parameters coincide at inference."""
    expect_channels(config, rank)
    config.expect_default("renorm_clipping", None)
    config.expect_default("adjustment", None)
    config.ignore("renorm_momentum", "ema_freeze_delay", "folding_mode")


def folded(config: LayerConfig, filters: int) -> tuple[Floats, Floats]:
    """Factor of the kernel and bias, per filter, in float32 as QKeras computes them.

    inv = gamma / sqrt(variance + epsilon); inv * (bias - mean) + beta.
    """
    variance = stored(config, "moving_variance", filters)
    inverse = 1 / np.sqrt(variance + np.float32(epsilon_of(config, variance)))
    if config.take_bool("scale", True):
        inverse = inverse * stored(config, "gamma", filters)
    bias = stored(config, "bias", filters) if config.take_bool("use_bias", True) else np.float32(0)
    offset = inverse * (bias - stored(config, "moving_mean", filters))
    if config.take_bool("center", True):
        offset = offset + stored(config, "beta", filters)
    return inverse, offset
