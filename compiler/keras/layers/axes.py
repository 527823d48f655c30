"""Axes as Keras counts them, and tensors with an axis moved to an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, refused
from calocc.dialects.qnn.movement import ReshapeOp, TransposeOp
from calocc.dialects.qnn.op import QnnOp, shape_of


def behind_batch(
    config: LayerConfig, key: str, axis: int, x: SSAValue, whose: str = "its operand"
) -> int:
    """An axis that Keras counts from the batch or from the end, counted behind the batch.

    Raise UnsupportedLayer, which names `key`, for the batch and for an axis that `x` has not.
    """
    rank = len(shape_of(x))
    if not (1 <= axis <= rank or -rank <= axis <= -1):
        raise refused(config, f"{key}={axis} is not an axis of {whose}", "choose another axis")
    return axis - 1 if axis > 0 else rank + axis


def several_behind_batch(
    config: LayerConfig, key: str, x: SSAValue, default: int | None = None
) -> list[int]:
    """The axes in a list, or a single one, as `behind_batch` counts them; ascending."""
    value = config.take(key, default)
    entries = cast(list[object], value if isinstance(value, list) else [value])
    if value is None:
        return []
    if not entries or not all(type(axis) is int for axis in entries):
        raise refused(config, f"{key}={value} is not a list of axes", "choose one axis")
    return sorted({behind_batch(config, key, axis, x) for axis in cast(list[int], entries)})


def reordered(builder: Builder, config: LayerConfig, x: SSAValue, order: Sequence[int]) -> SSAValue:
    """The tensor with its axes in another order."""
    if list(order) == list(range(len(order))):
        return x
    return builder.add(config, TransposeOp(x, order, config.layer.name))


def to_end(rank: int, axis: int) -> list[int]:
    """The order of axes in which `axis` is the last."""
    return [*(k for k in range(rank) if k != axis), axis]


def to_front(rank: int, axis: int) -> list[int]:
    """The order of axes in which `axis` is the first."""
    return [axis, *(k for k in range(rank) if k != axis)]


def reshaped(
    builder: Builder, config: LayerConfig, x: SSAValue, shape: tuple[int, ...]
) -> SSAValue:
    """The same elements in another shape."""
    if shape_of(x) == shape:
        return x
    return builder.add(config, ReshapeOp(x, shape, config.layer.name))


def with_parameters(
    builder: Builder,
    config: LayerConfig,
    x: SSAValue,
    parameters: Sequence[NDArray[Any]],
    op: Callable[..., QnnOp],
) -> SSAValue:
    """An op on `x` and parameters of its rank, which may differ along any axes.

    Ops take a parameter per channel: the first axis along which any differs becomes, with all
    axes behind it, the axis of channels.
    """
    shape = shape_of(x)
    differs = (k for k in range(len(shape)) if any(p.shape[k] > 1 for p in parameters))
    first = next(differs, len(shape) - 1)
    rows = [np.broadcast_to(p, (*(1,) * first, *shape[first:])).reshape(-1) for p in parameters]
    merged = reshaped(builder, config, x, (*shape[:first], prod(shape[first:])))
    y = builder.add(config, op(merged, *(builder.constant(config, row) for row in rows)))
    return reshaped(builder, config, y, shape)
