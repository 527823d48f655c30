"""Layers that normalise, pool, move or merge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any, cast

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.linear import (
    expect_plain_normalisation,
    require_rank,
    window_of,
)
from calocc.compiler.keras.layers.registry import (
    Builder,
    UnsupportedLayer,
    keras_layer,
    single,
)
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.elementwise import AddOp, AffineOp
from calocc.dialects.qnn.movement import ConcatOp, PadOp, ReshapeOp, UpsampleOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.windows import Padding, Window


def _refuse(config: LayerConfig, reason: str, advice: str) -> UnsupportedLayer:
    return UnsupportedLayer(config.layer.name, config.layer.class_name, reason, advice)


@keras_layer("BatchNormalization")
def batch_normalization(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """Per channel of the last axis, with the moving statistics."""
    x = single(config, inputs)
    shape = shape_of(x)
    expect_plain_normalisation(config, len(shape))
    layer = config.layer
    ones, zeros = np.ones(shape[-1], np.float32), np.zeros(shape[-1], np.float32)
    gamma = layer.weight("gamma") if config.take_bool("scale", True) else ones
    beta = layer.weight("beta") if config.take_bool("center", True) else zeros
    arrays = (gamma, beta, layer.weight("moving_mean"), layer.weight("moving_variance"))
    parameters = [builder.constant(config, a) for a in arrays]
    epsilon = config.take_float("epsilon", 1e-3)
    return builder.add(config, BatchNormOp(x, *parameters, epsilon, layer.name))


def _pool(
    builder: Builder, config: LayerConfig, x: SSAValue, window: Window, average: bool
) -> SSAValue:
    name = config.layer.name
    if not average:
        return builder.add(config, PoolOp(x, Pooling.MAX, window, name))
    if window.padding:
        advice = "pad with ZeroPadding2D, or choose a size that divides the image"
        raise _refuse(config, "an average over padded windows divides by varying counts", advice)
    total = builder.add(config, PoolOp(x, Pooling.SUM, window, name))
    scale = builder.constant(config, np.asarray(1 / window.taps))
    zero = builder.constant(config, np.asarray(0.0))
    return builder.add(config, AffineOp((total, scale, zero), layer=name))


@keras_layer("MaxPooling2D", "AveragePooling2D")
def pooling2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Maximum or average over windows."""
    x = single(config, inputs)
    shape = require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    size = config.take_pair("pool_size", (2, 2))
    strides = size if config.take("strides") is None else config.take_pair("strides")
    window = window_of(config, shape, size, strides)
    return _pool(builder, config, x, window, "Average" in config.layer.class_name)


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
    pooled = _pool(builder, config, image, window, "Average" in config.layer.class_name)
    return builder.add(config, ReshapeOp(pooled, shape_of(pooled)[1:], name))


@keras_layer("GlobalAveragePooling2D", "GlobalMaxPooling2D")
def global_pooling2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Maximum or average over the whole image."""
    x = single(config, inputs)
    height, width, channels = require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    window = Window(height, width)
    pooled = _pool(builder, config, x, window, "Average" in config.layer.class_name)
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
    pooled = _pool(builder, config, image, Window(1, length), "Average" in config.layer.class_name)
    shape = (1, channels) if config.take_bool("keepdims", False) else (channels,)
    return builder.add(config, ReshapeOp(pooled, shape, name))


@keras_layer("UpSampling2D")
def upsampling2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each pixel repeated down and across."""
    x = single(config, inputs)
    require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    config.expect_default("interpolation", "nearest")
    return builder.add(config, UpsampleOp(x, config.take_pair("size", (2, 2)), config.layer.name))


@keras_layer("ZeroPadding2D")
def zero_padding2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Zeros around the image."""
    x = single(config, inputs)
    require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    padding = _edges(config, config.take("padding", 1))
    return builder.add(config, PadOp(x, padding, config.layer.name))


def _edges(config: LayerConfig, value: object) -> Padding:
    """n, (rows, columns) or ((top, bottom), (left, right))."""
    pair = value if isinstance(value, list | tuple) else (value, value)
    edges: list[Any] = []
    for entry in cast(Sequence[Any], pair):
        edges.extend(entry if isinstance(entry, list | tuple) else (entry, entry))
    if len(edges) != 4 or not all(type(e) is int and e >= 0 for e in edges):
        raise _refuse(config, f"padding={value} is not understood", "use ((top, bottom), ...)")
    return Padding(*edges)


@keras_layer("Flatten")
def flatten(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """All elements in one axis."""
    x = single(config, inputs)
    config.expect_default("data_format", "channels_last")
    return builder.add(config, ReshapeOp(x, (prod(shape_of(x)),), config.layer.name))


@keras_layer("Reshape")
def reshape(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The same elements in another shape; one size may be -1."""
    x = single(config, inputs)
    target: tuple[int, ...] = tuple(config.take("target_shape"))
    known = prod(n for n in target if n != -1)
    shape = tuple(prod(shape_of(x)) // max(known, 1) if n == -1 else n for n in target)
    return builder.add(config, ReshapeOp(x, shape, config.layer.name))


@keras_layer("Dropout", "SpatialDropout1D", "SpatialDropout2D")
def dropout(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Nothing at inference."""
    config.ignore("rate", "noise_shape", "seed", "data_format")
    return single(config, inputs)


@keras_layer("Add")
def add(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The sum of two or more operands."""
    return reduce(lambda a, b: builder.add(config, AddOp((a, b), layer=config.layer.name)), inputs)


@keras_layer("Concatenate")
def concatenate(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Operands one after the other along an axis (Keras counts the batch axis)."""
    axis = config.take_int("axis", -1)
    rank = len(shape_of(inputs[0]))
    if not (1 <= axis <= rank or -rank <= axis <= -1):
        raise _refuse(config, f"axis={axis} is not an axis of its operands", "choose another axis")
    position = axis - 1 if axis > 0 else rank + axis
    return builder.add(config, ConcatOp(inputs, position, layer=config.layer.name))
