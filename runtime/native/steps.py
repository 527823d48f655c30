"""From processes to compiled steps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.dataflow.routing import WindowOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.dialects.dataflow.tap_sum import TapSumOp
from calocc.dialects.qnn.pool import Pooling
from calocc.runtime.native.library import (
    GROUP,
    STEP,
    Elements,
    Products,
    Reduction,
    Sink,
    Stream,
    TapSum,
    Windows,
    library,
)
from calocc.runtime.native.moves import MOVERS, axes_of, move, strides
from calocc.runtime.native.network import I16, KINDS, U8, Assembly, Stored, container
from calocc.runtime.native.program import CompiledEpilogue, NotCompiled, compile_epilogue
from calocc.runtime.native.units import Computing, Unit, View, origin, seen

PAIRS, QUADS, WIDE = range(3)
SUM, MAX, WEIGHTED = range(3)
SUM_BITS = 32


# ---- windows -------------------------------------------------------------------------------------


def _windows(
    a: Assembly, view: View, kind: int | None, runs: tuple[list[int], int]
) -> tuple[Windows, int]:
    """The windows of a process over a padded image of a kind (None: as it is stored), and the
    number of that image."""
    image = a.number(view.x)
    if view.window.padding or kind not in (None, a.kind(image)):
        key = (view.x, kind, view.padded, view.window.padding, view.fill)
        image = a.once(key, lambda: _padded(a, view, kind))
    first, length = runs
    _, width, channels = view.padded
    down, across = view.window.strides
    steps = (down * width * channels, across * channels)
    sizes = (view.grid[1], prod(view.grid), *steps, len(first), length)
    return Windows(image, a.kind(image), *sizes, a.address(np.array(first))), image


def _padded(a: Assembly, view: View, kind: int | None) -> int:
    x = a.number(view.x)
    result = a.new(Stored(a.kind(x) if kind is None else kind, prod(view.padded)))
    _, width, channels = view.padded
    pad = view.window.padding
    axes = axes_of(view.image, strides(view.image), (width * channels, channels, 1))
    move(a, x, result, axes, target=(pad.top * width + pad.left) * channels, fill=view.fill)
    return result


def _window(a: Assembly, unit: Unit) -> None:
    """Stored windows, for processes that do not read the image themselves."""
    op = unit.op
    assert isinstance(op, WindowOp)
    height, width, channels = stream_of(op.x).shape
    rows, columns, _ = op.result.type.shape
    view = View(
        *(origin(op.x), (height, width, channels), op.window, (rows, columns)), op.fill.value.data
    )
    image = _windows(a, view, None, view.taps())[1]
    steps, window = strides(view.padded), op.window
    (down, across), (below, beside) = window.strides, window.dilation
    shape = (rows, columns, window.height, window.width, channels)
    source = (down * steps[0], across * steps[1], below * steps[0], beside * steps[1], 1)
    move(a, image, a.number(op.result), axes_of(shape, source, strides(shape)))


# ---- products ------------------------------------------------------------------------------------


def _products(a: Assembly, unit: Unit) -> None:
    """Sums in 32 bits where the proved accumulator fits them, products as narrow as can be."""
    op = unit.op
    assert isinstance(op, MatvecOp)
    weights = op.weights.numpy()
    form = product_form(op)
    view = View.of(op)
    runs = view.runs()
    kind = {QUADS: U8, PAIRS: I16, WIDE: None}[form]
    x, image = _windows(a, view, kind, runs)
    packed = weights if form == WIDE else _packed(weights, len(runs[0]), form)
    places = _steps(runs, x.kind)
    shift = op.accumulator.frac - op.product_frac
    sink, reads = _sink(a, unit, unit.program(form == WIDE), 1)
    sizes = (len(places), weights.shape[1], form, shift)
    body = Products(x, sink, a.address(packed), a.address(places), *sizes)
    a.add(body, [image, *reads], sink.value)


def _steps(runs: tuple[list[int], int], kind: int) -> NDArray[np.int64]:
    """Where the bytes of each step begin; the last step of a run may go beyond it."""
    first, length = runs
    size = np.dtype(KINDS[kind]).itemsize
    inside = np.arange(0, length * size, STEP)
    return (np.array(first)[:, None] * size + inside).reshape(-1)


def product_form(op: MatvecOp) -> int:
    """The narrowest products that are exact and that this machine has."""
    kind, accumulator = container(stream_of(op.x).format), op.accumulator
    weights = op.weights.numpy()
    if accumulator.width + (not accumulator.signed) > SUM_BITS or not _fit(weights, np.int16):
        return WIDE
    if kind == U8 and _fit(weights, np.int8) and _has_quads():
        return QUADS
    return PAIRS if kind <= I16 else WIDE


def _fit(values: NDArray[np.int64], dtype: type[np.signedinteger[Any]]) -> bool:
    limits = np.iinfo(dtype)
    return bool((values >= limits.min).all() and (values <= limits.max).all())


def _has_quads() -> bool:
    loaded = library()
    return loaded is not None and loaded.calocc_has_quads()


def _packed(weights: NDArray[np.int64], runs: int, form: int) -> NDArray[Any]:
    """Weights (inputs, outputs) as [group][run, step][output][element], padded with 0."""
    dtype = np.dtype(np.int8 if form == QUADS else np.int16)
    elements = STEP // dtype.itemsize
    inputs, outputs = weights.shape
    length = inputs // runs
    shape = (runs, -(-length // elements), elements, -(-outputs // GROUP), GROUP)
    padded = np.zeros((runs, shape[1] * elements, shape[3] * GROUP), dtype)
    padded[:, :length, :outputs] = weights.reshape(runs, length, outputs)
    return np.ascontiguousarray(padded.reshape(shape).transpose(3, 0, 1, 4, 2))


# ---- sums and maxima per channel, element-wise ---------------------------------------------------


def _reduce(a: Assembly, unit: Unit) -> None:
    op = unit.op
    assert isinstance(op, ReduceOp)
    combination = MAX if op.kind.data is Pooling.MAX else SUM
    shift = op.accumulator.frac - stream_of(op.x).format.frac
    _reduction(a, unit, combination, None, shift)


def _depthwise(a: Assembly, unit: Unit) -> None:
    op = unit.op
    assert isinstance(op, DepthwiseOp)
    _reduction(a, unit, WEIGHTED, op.weights.numpy(), op.accumulator.frac - op.product_frac)


def _reduction(
    a: Assembly, unit: Unit, combination: int, weights: NDArray[np.int64] | None, shift: int
) -> None:
    op = unit.op
    assert isinstance(op, ReduceOp | DepthwiseOp)
    view = View.of(op)
    x, image = _windows(a, view, None, view.taps())
    epilogue = unit.program()
    sink, reads = _sink(a, unit, epilogue, 1)
    place = None if weights is None else a.address(weights.astype(epilogue.registers))
    multiplier = op.outputs[0].shape[-1] // view.image[2]
    a.add(Reduction(x, sink, place, combination, multiplier, shift), [image, *reads], sink.value)


def _tap_sum(a: Assembly, unit: Unit) -> None:
    op = unit.op
    assert isinstance(op, TapSumOp)
    x, axis, taps = a.number(origin(op.x)), op.along, op.geometry
    steps = strides(stream_of(op.x).shape)
    first = np.where(taps.inside, taps.pixels * steps[axis] + np.arange(taps.count), -1)
    other = np.arange(op.result.type.shape[1 - axis])[:, None, None] * steps[1 - axis]
    places = np.where(first < 0, -1, other + first)
    places = places if axis == 1 else places.swapaxes(0, 1)
    sink, reads = _sink(a, unit, unit.program(), 1)
    shift = op.accumulator.frac - stream_of(op.x).format.frac
    body = TapSum(x, a.kind(x), taps.count, shift, sink, a.address(np.ascontiguousarray(places)))
    a.add(body, [x, *reads], sink.value)


def _map(a: Assembly, unit: Unit) -> None:
    sink, reads = _sink(a, unit, unit.program(), 0)
    a.add(Elements(sink), reads, sink.value)


def _sink(
    a: Assembly, unit: Unit, epilogue: CompiledEpilogue, computed: int
) -> tuple[Sink, list[int]]:
    """Where the values of a step go, and the numbers of the streams that its epilogue reads."""
    channels, pixels = stream_of(unit.result).shape[-1], prod(stream_of(unit.result).shape[:-1])
    views = [seen(operand, channels) for operand in unit.operands]
    reads = [a.number(x) for x, _, _ in views]
    streams = (Stream * max(len(views), 1))(
        *(Stream(n, a.kind(n), *view[1:]) for n, view in zip(reads, views, strict=True))
    )
    a.keep += [epilogue, streams]
    value = a.number(unit.result)
    place = (computed, value, a.kind(value), pixels)
    return Sink(ctypes.pointer(epilogue.program), streams, len(views), *place), reads


BUILDERS: Mapping[type[DataflowOp], Callable[[Assembly, Unit], None]] = {
    MatvecOp: _products,
    ReduceOp: _reduce,
    DepthwiseOp: _depthwise,
    TapSumOp: _tap_sum,
    MapOp: _map,
    WindowOp: _window,
    **MOVERS,
}
"""Adds the step of a unit to a network."""


def compiles(op: DataflowOp) -> bool:
    """Whether a process runs in compiled code."""
    if type(op) not in BUILDERS or library() is None:
        return False
    try:
        if isinstance(op, Computing):
            compile_epilogue(op.epilogue, op.outputs[0].shape[-1])
    except NotCompiled:
        return False
    return True
