"""Layers that pool, and those that do nothing at inference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.axes import with_parameters
from calocc.compiler.keras.layers.linear import (
    require_rank,
    window_of,
)
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    single,
)
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.windows import Window


def pool(
    builder: Builder,
    config: LayerConfig,
    x: SSAValue,
    window: Window,
    average: bool,
    factor: float | None = None,
) -> SSAValue:
    """The maximum over windows, or the sum times `factor` (default: 1 / number of pixels).

    Pixels that padding has added do not count: at the borders the factor grows.
    """
    name = config.layer.name
    if not average:
        return builder.add(config, PoolOp(x, Pooling.MAX, window, name))
    total = builder.add(config, PoolOp(x, Pooling.SUM, window, name))
    counts = pixels(shape_of(x), window)
    scale = window.taps / counts * (1 / window.taps if factor is None else factor)
    return with_parameters(
        builder, config, total, [scale, np.zeros_like(scale)], lambda *a: AffineOp(a, layer=name)
    )


def pixels(image: tuple[int, ...], window: Window) -> NDArray[np.float64]:
    """How many pixels of an image (H, W, C) each window holds, shape (H', W', 1)."""
    ones = ConstantOp.real(np.ones((*image[:2], 1)))
    return PoolOp(ones, Pooling.SUM, window).evaluate_real(ones.value.numpy()[None])[0]


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
    *("GaussianNoise", "ActivityRegularization", "Identity"),
)
def dropout(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Nothing at inference."""
    config.ignore("rate", "noise_shape", "seed", "data_format", "stddev", "l1", "l2")
    return single(config, inputs)
