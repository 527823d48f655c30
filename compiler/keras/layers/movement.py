"""Layers that only move elements: permutations, crops, paddings, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, cast

from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.linear import require_rank
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    refused,
    single,
)
from calocc.dialects.qnn.movement import PadOp, ReshapeOp, TransposeOp, UpsampleOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding

_LARGEST = 1 << 26


def _edges(config: LayerConfig, value: object) -> Padding:
    """n, (rows, columns) or ((top, bottom), (left, right))."""
    given = cast(Sequence[Any], value) if isinstance(value, list | tuple) else (value, value)
    edges: list[Any] = []
    for entry in given:
        edges.extend(cast(Sequence[Any], entry) if isinstance(entry, list | tuple) else [entry] * 2)
    if len(edges) != 4 or not all(type(e) is int and 0 <= e < _LARGEST for e in edges):
        raise refused(config, f"{value} is not understood", "use ((top, bottom), (left, right))")
    return Padding(*edges)


def _ends(config: LayerConfig, key: str) -> tuple[int, int]:
    """n or (before, after)."""
    before, after = config.take_ints(key, 2, (1, 1))
    if min(before, after) < 0:
        raise refused(config, f"{key}={(before, after)} is negative", "use sizes of 0 or above")
    return before, after


@keras_layer("ZeroPadding2D")
def zero_padding2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Zeros around the image."""
    x = single(config, inputs)
    require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    padding = _edges(config, config.take("padding", 1))
    return builder.add(config, PadOp(x, padding, config.layer.name))


@keras_layer("ZeroPadding1D")
def zero_padding1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Zeros before and after the sequence."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    before, after = _ends(config, "padding")
    name = config.layer.name
    image = builder.add(config, ReshapeOp(x, (1, length, channels), name))
    padded = builder.add(config, PadOp(image, Padding(0, 0, before, after), name))
    return builder.add(config, ReshapeOp(padded, shape_of(padded)[1:], name))


def crop(
    builder: Builder, config: LayerConfig, x: SSAValue, axis: int, edges: tuple[int, int]
) -> SSAValue:
    """The tensor without the first and last elements of an axis."""
    size = shape_of(x)[axis]
    if sum(edges) >= size:
        raise refused(config, f"cropping {edges} leaves nothing of {size}", "crop less")
    if edges == (0, 0):
        return x
    return builder.add(config, SliceOp(x, axis, edges[0], size - edges[1], config.layer.name))


@keras_layer("Cropping2D")
def cropping2d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The image without its outer rows and columns."""
    x = single(config, inputs)
    require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    top, bottom, left, right = _edges(config, config.take("cropping", 0))
    x = crop(builder, config, x, 0, (top, bottom))
    return crop(builder, config, x, 1, (left, right))


@keras_layer("Cropping1D")
def cropping1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The sequence without its ends."""
    x = single(config, inputs)
    require_rank(config, x, 2)
    return crop(builder, config, x, 0, _ends(config, "cropping"))


@keras_layer("UpSampling1D")
def upsampling1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each step of a sequence repeated."""
    x = single(config, inputs)
    length, channels = require_rank(config, x, 2)
    name = config.layer.name
    image = builder.add(config, ReshapeOp(x, (1, length, channels), name))
    repeated = builder.add(config, UpsampleOp(image, (1, config.take_int("size", 2)), name))
    return builder.add(config, ReshapeOp(repeated, shape_of(repeated)[1:], name))


@keras_layer("RepeatVector")
def repeat_vector(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A vector (F,) as n equal rows (n, F)."""
    x = single(config, inputs)
    (features,) = require_rank(config, x, 1)
    name = config.layer.name
    image = builder.add(config, ReshapeOp(x, (1, 1, features), name))
    rows = builder.add(config, UpsampleOp(image, (config.take_int("n"), 1), name))
    return builder.add(config, ReshapeOp(rows, (shape_of(rows)[0], features), name))


@keras_layer("Permute")
def permute(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The axes in another order; Keras counts them from 1, without the batch axis."""
    x = single(config, inputs)
    dims = config.take_ints("dims", len(shape_of(x)))
    if sorted(dims) != list(range(1, len(dims) + 1)):
        raise refused(config, f"dims={dims} is no permutation", "name every axis once, from 1")
    order = tuple(d - 1 for d in dims)
    if order == tuple(range(len(order))):
        return x
    return builder.add(config, TransposeOp(x, order, config.layer.name))


@keras_layer("Flatten")
def flatten(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """All elements in one axis."""
    x = single(config, inputs)
    config.expect_default("data_format", "channels_last")
    return builder.add(config, ReshapeOp(x, (prod(shape_of(x)),), config.layer.name))


def _target(config: LayerConfig) -> tuple[int, ...]:
    value = config.take("target_shape")
    sizes = cast(Sequence[Any], value) if isinstance(value, list | tuple) else ()
    if not sizes or not all(type(n) is int and (0 < n < _LARGEST or n == -1) for n in sizes):
        raise refused(config, f"target_shape={value} is not understood", "use a list of sizes")
    return tuple(sizes)


@keras_layer("Reshape")
def reshape(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The same elements in another shape; one size may be -1."""
    x = single(config, inputs)
    target = _target(config)
    known = prod(n for n in target if n != -1)
    shape = tuple(prod(shape_of(x)) // max(known, 1) if n == -1 else n for n in target)
    return builder.add(config, ReshapeOp(x, shape, config.layer.name))
