"""Layers that normalise or pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.linear import (
    expect_plain_normalisation,
    moving_variance,
    require_rank,
    window_of,
)
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    refused,
    single,
    stored,
)
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantizers import Quantizer
from calocc.dialects.qnn.windows import Window


@keras_layer("BatchNormalization")
def batch_normalization(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """Per channel of the last axis, with the moving statistics."""
    return normalise(builder, config, single(config, inputs), {})


def normalise(
    builder: Builder, config: LayerConfig, x: SSAValue, quantizers: Mapping[str, Quantizer | None]
) -> SSAValue:
    """Batch normalisation at inference; `quantizers` are those of its stored parameters."""
    channels = shape_of(x)[-1]
    expect_plain_normalisation(config, len(shape_of(x)))
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    gamma = stored(config, "gamma", channels) if config.take_bool("scale", True) else ones
    beta = stored(config, "beta", channels) if config.take_bool("center", True) else zeros
    variance, epsilon = moving_variance(config, channels)
    arrays = {
        "gamma": gamma,
        "beta": beta,
        "mean": stored(config, "moving_mean", channels),
        "variance": variance,
    }
    for name, quantizer in quantizers.items():
        if quantizer is not None:
            arrays[name] = quantizer(arrays[name].astype(np.float64))
    parameters = [builder.constant(config, array) for array in arrays.values()]
    name = config.layer.name
    return builder.add(config, BatchNormOp(x, *parameters, epsilon=epsilon, layer=name))


def pool(
    builder: Builder,
    config: LayerConfig,
    x: SSAValue,
    window: Window,
    average: bool,
    factor: float | None = None,
) -> SSAValue:
    """The maximum over windows, or the sum times `factor` (default: 1 / number of pixels)."""
    name = config.layer.name
    if not average:
        return builder.add(config, PoolOp(x, Pooling.MAX, window, name))
    if window.padding:
        advice = "pad with ZeroPadding2D, or choose a size that divides the image"
        raise refused(config, "an average over padded windows divides by varying counts", advice)
    total = builder.add(config, PoolOp(x, Pooling.SUM, window, name))
    scale = builder.constant(config, np.asarray(1 / window.taps if factor is None else factor))
    zero = builder.constant(config, np.asarray(0.0))
    return builder.add(config, AffineOp((total, scale, zero), layer=name))


def pool_window(config: LayerConfig, x: SSAValue) -> Window:
    """The window of a pooling layer over an image; by default it moves by its own size."""
    shape = require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    size = config.take_pair("pool_size", (2, 2))
    strides = size if config.take("strides") is None else config.take_pair("strides")
    return window_of(config, shape, size, strides)


@keras_layer("MaxPooling2D", "AveragePooling2D")
def pooling2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Maximum or average over windows."""
    x = single(config, inputs)
    window = pool_window(config, x)
    return pool(builder, config, x, window, "Average" in config.layer.class_name)


@keras_layer("MaxPooling1D", "AveragePooling1D")
def pooling1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Maximum or average over windows of one row."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    config.expect_default("data_format", "channels_last")
    (size,) = config.take_ints("pool_size", 1, (2,))
    (stride,) = (size,) if config.take("strides") is None else config.take_ints("strides", 1)
    window = window_of(config, (1, length, channels), (1, size), (1, stride))
    name = config.layer.name
    image = builder.add(config, ReshapeOp(x, (1, length, channels), name))
    pooled = pool(builder, config, image, window, "Average" in config.layer.class_name)
    return builder.add(config, ReshapeOp(pooled, shape_of(pooled)[1:], name))


@keras_layer("GlobalAveragePooling2D", "GlobalMaxPooling2D")
def global_pooling2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Maximum or average over the whole image."""
    x = single(config, inputs)
    height, width, channels = require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    window = Window(height, width)
    pooled = pool(builder, config, x, window, "Average" in config.layer.class_name)
    if config.take_bool("keepdims", False):
        return pooled
    return builder.add(config, ReshapeOp(pooled, (channels,), config.layer.name))


@keras_layer("GlobalAveragePooling1D", "GlobalMaxPooling1D")
def global_pooling1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Maximum or average over the whole sequence."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    config.expect_default("data_format", "channels_last")
    name = config.layer.name
    image = builder.add(config, ReshapeOp(x, (1, length, channels), name))
    pooled = pool(builder, config, image, Window(1, length), "Average" in config.layer.class_name)
    shape = (1, channels) if config.take_bool("keepdims", False) else (channels,)
    return builder.add(config, ReshapeOp(pooled, shape, name))


@keras_layer(
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout", "AlphaDropout"),
    *("GaussianNoise", "ActivityRegularization"),
)
def dropout(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Nothing at inference."""
    config.ignore("rate", "noise_shape", "seed", "data_format", "stddev", "l1", "l2")
    return single(config, inputs)
