"""Layers that combine several tensors element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.axes import behind_batch
from calocc.compiler.keras.layers.registry import Builder, keras_layer, pair, refused
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    ExactElementwiseOp,
    MaximumOp,
    MinimumOp,
    MultiplyOp,
    SubtractOp,
)
from calocc.dialects.qnn.movement import ConcatOp, ReshapeOp
from calocc.dialects.qnn.op import shape_of


def fold(
    builder: Builder,
    config: LayerConfig,
    inputs: Sequence[SSAValue],
    op: Callable[..., ExactElementwiseOp],
) -> SSAValue:
    """The operands joined two by two, from the left; broadcasting as Keras does."""
    rank = max(len(shape_of(i)) for i in inputs)
    aligned = [_with_rank(builder, config, i, rank) for i in inputs]
    try:
        np.broadcast_shapes(*(shape_of(a) for a in aligned))
    except ValueError:
        shapes = ", ".join(str(shape_of(i)) for i in inputs)
        reason = f"its operands have the shapes {shapes}, which do not fit"
        raise refused(config, reason, "save the model again") from None
    return reduce(lambda a, b: builder.add(config, op((a, b), layer=config.layer.name)), aligned)


def _with_rank(builder: Builder, config: LayerConfig, x: SSAValue, rank: int) -> SSAValue:
    """Keras puts the missing axes of an operand right behind the batch axis."""
    shape = shape_of(x)
    if len(shape) == rank:
        return x
    missing = (1,) * (rank - len(shape))
    return builder.add(config, ReshapeOp(x, (*missing, *shape), config.layer.name))


@keras_layer("Add")
def add(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The sum of two or more operands."""
    return fold(builder, config, inputs, AddOp)


@keras_layer("Multiply")
def multiply(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The product of two or more operands."""
    return fold(builder, config, inputs, MultiplyOp)


@keras_layer("Maximum")
def maximum(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The greatest of two or more operands."""
    return fold(builder, config, inputs, MaximumOp)


@keras_layer("Minimum")
def minimum(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The least of two or more operands."""
    return fold(builder, config, inputs, MinimumOp)


@keras_layer("Subtract")
def subtract(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The first operand less the second."""
    return fold(builder, config, pair(config, inputs), SubtractOp)


@keras_layer("Average")
def average(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The mean of two or more operands."""
    total = fold(builder, config, inputs, AddOp)
    scale = builder.constant(config, np.asarray(1 / len(inputs)))
    zero = builder.constant(config, np.asarray(0.0))
    return builder.add(config, AffineOp((total, scale, zero), layer=config.layer.name))


@keras_layer("Concatenate")
def concatenate(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Operands one after the other along an axis (Keras counts the batch axis)."""
    given = config.take_int("axis", -1)
    axis = behind_batch(config, "axis", given, inputs[0], "its operands")
    return builder.add(config, ConcatOp(inputs, axis, layer=config.layer.name))
