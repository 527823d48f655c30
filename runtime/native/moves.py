"""Processes that move elements as compiled steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.dataflow.reverse import ReverseOp
from calocc.dialects.dataflow.routing import BufferOp, ConcatOp, PadOp, UpsampleOp
from calocc.dialects.dataflow.slice import SliceOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.runtime.native.library import Axis, Move
from calocc.runtime.native.network import Assembly
from calocc.runtime.native.units import Unit, origin

Axes = Sequence[tuple[int, int, int]]
"""Sizes, steps in the operand and steps in the result, outermost first."""


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements from one index to the next along each axis."""
    return tuple(prod(shape[k + 1 :]) for k in range(len(shape)))


def axes_of(shape: Sequence[int], source: Sequence[int], target: Sequence[int]) -> Axes:
    """Axes, with those taken together along which both sides lie side by side."""
    merged: list[tuple[int, int, int]] = []
    for size, x, y in zip(shape, source, target, strict=True):
        if merged and merged[-1][1:] == (size * x, size * y):
            merged[-1] = (merged[-1][0] * size, x, y)
        elif size > 1:
            merged.append((size, x, y))
    return merged or [(1, 1, 1)]


def move(
    a: Assembly,
    x: int,
    y: int,
    axes: Axes,
    source: int = 0,
    target: int = 0,
    fill: int | None = None,
) -> None:
    """Move elements of x from `source` on to `target` of y on, the rest of which is filled."""
    array = (Axis * len(axes))(*(Axis(*axis) for axis in axes))
    filled = 0 if fill is None else a.values[y].elements
    places = (source, target, filled, fill or 0)
    a.add(Move(x, y, a.kind(x), a.kind(y), *places, array, len(axes)), [x], y)


def _mover(describe: Callable[[Any], tuple[Axes, int]]) -> Callable[[Assembly, Unit], None]:
    """The builder of a process whose axes and first element that is read `describe` tells."""

    def build(a: Assembly, unit: Unit) -> None:
        axes, source = describe(unit.op)
        x = a.number(origin(unit.op.operands[0]))
        move(a, x, a.number(unit.result), axes, source)

    return build


def _upsampled(op: UpsampleOp) -> tuple[Axes, int]:
    height, width, channels = stream_of(op.x).shape
    down, across = op.factors.get_values()
    shape = (height, down, width, across, channels)
    return axes_of(shape, (width * channels, 0, channels, 0, 1), strides(shape)), 0


def _transposed(op: BufferOp) -> tuple[Axes, int]:
    steps = strides(stream_of(op.x).shape)
    shape = op.result.type.shape
    source = [steps[k] for k in op.permutation.get_values()]
    return axes_of(shape, source, strides(shape)), 0


def _sliced(op: SliceOp) -> tuple[Axes, int]:
    axis, start, _ = op.range
    steps, shape = strides(stream_of(op.x).shape), op.result.type.shape
    return axes_of(shape, steps, strides(shape)), start * steps[axis]


def _reversed(op: ReverseOp) -> tuple[Axes, int]:
    shape = op.result.type.shape
    steps = strides(shape)
    return axes_of(shape, (-steps[0], *steps[1:]), steps), (shape[0] - 1) * steps[0]


def _concat(a: Assembly, unit: Unit) -> None:
    op = unit.op
    assert isinstance(op, ConcatOp)
    y = a.number(op.result)
    steps = strides(op.result.type.shape)
    axis, target = op.concat_axis.value.data, 0
    for operand in op.operands:
        shape = stream_of(operand).shape
        axes = axes_of(shape, strides(shape), steps)
        move(a, a.number(origin(operand)), y, axes, target=target)
        target += shape[axis] * steps[axis]


def _pad(a: Assembly, unit: Unit) -> None:
    op = unit.op
    assert isinstance(op, PadOp)
    steps, image = strides(op.result.type.shape), stream_of(op.x).shape
    first = op.edges.top * steps[0] + op.edges.left * steps[1]
    axes = axes_of(image, strides(image), steps)
    move(a, a.number(origin(op.x)), a.number(op.result), axes, target=first, fill=0)


MOVERS: Mapping[type[DataflowOp], Callable[[Assembly, Unit], None]] = {
    UpsampleOp: _mover(_upsampled),
    BufferOp: _mover(_transposed),
    SliceOp: _mover(_sliced),
    ReverseOp: _mover(_reversed),
    ConcatOp: _concat,
    PadOp: _pad,
}
"""Adds the steps of a process that moves elements to a network."""
