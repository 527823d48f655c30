"""From processes to compiled steps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.dataflow.reverse import ReverseOp
from calocc.dialects.dataflow.routing import (
    BufferOp,
    ConcatOp,
    ForkOp,
    LanesOp,
    PadOp,
    ReshapeOp,
    UpsampleOp,
    WindowOp,
)
from calocc.dialects.dataflow.slice import SliceOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.dialects.qnn.pool import Pooling
from calocc.dialects.qnn.windows import Window
from calocc.runtime.native.library import (
    GROUP,
    STEP,
    Axis,
    Elements,
    Move,
    Products,
    Reduction,
    Sink,
    Stream,
    Windows,
    library,
)
from calocc.runtime.native.network import I16, KINDS, U8, Assembly, Stored, container
from calocc.runtime.native.program import (
    CompiledEpilogue,
    Link,
    NotCompiled,
    compile_chain,
    compile_epilogue,
)

Computing = MatvecOp | DepthwiseOp | ReduceOp | MapOp
Windowed = MatvecOp | DepthwiseOp | ReduceOp
ALIASES = (ReshapeOp, LanesOp, ForkOp)
"""Processes whose results are their operand under another name."""
PAIRS, QUADS, WIDE = range(3)
SUM, MAX, WEIGHTED = range(3)
SUM_BITS = 32


def origin(value: SSAValue) -> SSAValue:
    """The value whose elements, in the same order, this one is."""
    owner = value.owner
    return origin(owner.x) if isinstance(owner, ALIASES) else value


# ---- units ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Unit:
    """A process and the element-wise ones behind it that join its step."""

    op: DataflowOp
    maps: tuple[MapOp, ...] = ()
    positions: tuple[int, ...] = ()
    """For each of the maps the operand that the process before it computes."""

    @property
    def result(self) -> SSAValue:
        """What the step computes."""
        return (self.maps[-1] if self.maps else self.op).results[0]

    @property
    def writes(self) -> set[SSAValue]:
        """What others can read."""
        return {self.result}

    def follower(self) -> tuple[MapOp, int] | None:
        """The element-wise process that alone reads the result, and which operand it is there."""
        value = self.result
        while isinstance(self.op, Computing) and value.has_one_use():
            (use,) = value.uses
            user = use.operation
            if isinstance(user, MapOp):
                same = stream_of(user.result).shape[-1] == stream_of(self.result).shape[-1]
                return (user, use.index) if same else None
            if not isinstance(user, ReshapeOp | LanesOp):
                return None
            value = user.result
        return None

    def joined(self, op: MapOp, position: int) -> Unit:
        """The unit with an element-wise process behind it."""
        return Unit(self.op, (*self.maps, op), (*self.positions, position))

    @property
    def operands(self) -> list[SSAValue]:
        """Operands of the epilogue that are streams, in the order of its registers."""
        own = list(self.op.args) if isinstance(self.op, MapOp) else []
        for op, position in zip(self.maps, self.positions, strict=True):
            own.extend(v for k, v in enumerate(op.args) if k != position)
        return own

    @property
    def reads(self) -> set[SSAValue]:
        """The origins of what the step reads."""
        if not isinstance(self.op, Computing):
            return {origin(o) for o in self.op.operands}
        channels = stream_of(self.result).shape[-1]
        streams = {seen(o, channels)[0] for o in self.operands}
        return streams if isinstance(self.op, MapOp) else {*streams, View.of(self.op).x}

    def program(self, wide: bool = False) -> CompiledEpilogue:
        """The epilogues as one program; raise NotCompiled."""
        assert isinstance(self.op, Computing)
        links = [Link(self.op.epilogue)]
        for op, position in zip(self.maps, self.positions, strict=True):
            links.append(Link(op.epilogue, position))
        return compile_chain(links, stream_of(self.result).shape[-1], wide)


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


# ---- operands ------------------------------------------------------------------------------------


def seen(value: SSAValue, channels: int) -> tuple[SSAValue, int, int]:
    """An operand as pixels x channels: what is stored of it, elements from pixel to pixel and from
    channel to channel. What is repeated for each pixel or channel is stored once."""
    source = origin(value)
    if isinstance(source.owner, UpsampleOp):
        x, (down, across) = source.owner.x, source.owner.factors.get_values()
        height, width, depth = stream_of(x).shape
        if (height, width, depth) == (1, 1, channels):
            return origin(x), 0, 1
        if (down, across, depth) == (1, channels, 1):
            return origin(x), 1, 0
    return source, channels, 1


@dataclass(frozen=True)
class View:
    """What a process reads: windows over an image (H, W, C), `grid` of them down and across."""

    x: SSAValue
    image: tuple[int, int, int]
    window: Window
    grid: tuple[int, int]
    fill: int = 0

    @staticmethod
    def of(op: Windowed) -> View:
        """The image behind a window, or rows of pixels side by side."""
        source = origin(op.x)
        window, shape = source.owner, stream_of(op.x).shape
        if isinstance(window, WindowOp) and window.result.type.shape == shape:
            height, width, channels = stream_of(window.x).shape
            grid = shape[0], shape[1]
            image = height, width, channels
            return View(origin(window.x), image, window.window, grid, window.fill.value.data)
        channels = _channels(op)
        positions = prod(op.outputs[0].shape[:-1])
        taps = prod(shape) // positions // channels
        return View(source, (positions, taps, channels), Window(1, taps, (1, taps)), (positions, 1))

    @property
    def padded(self) -> tuple[int, int, int]:
        """The image with its padding."""
        (height, width, channels), pad = self.image, self.window.padding
        return height + pad.top + pad.bottom, width + pad.left + pad.right, channels

    def taps(self) -> tuple[list[int], int]:
        """The first element under each tap, counted from the beginning of a window, and their
        number of elements."""
        _, width, channels = self.padded
        window, (down, across) = self.window, self.window.dilation
        rows, columns = range(window.height), range(window.width)
        first = [(i * down * width + j * across) * channels for i in rows for j in columns]
        return first, channels

    def runs(self) -> tuple[list[int], int]:
        """As `taps`, with those that lie side by side taken together."""
        first, length = self.taps()
        for together in (self.window.width, self.window.height):
            groups = [first[k : k + together] for k in range(0, len(first), together)]
            if any(b - a != length for group in groups for a, b in pairwise(group)):
                break
            first, length = [group[0] for group in groups], length * together
        return first, length


def _channels(op: Windowed) -> int:
    """The elements of a pixel where there is no window."""
    if isinstance(op, ReduceOp):
        return op.channels
    return op.weights.shape[1] if isinstance(op, DepthwiseOp) else op.weights.shape[0]


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
    axes = _axes(view.image, _strides(view.image), (width * channels, channels, 1))
    _move(a, x, result, axes, target=(pad.top * width + pad.left) * channels, fill=view.fill)
    return result


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


# ---- moves ---------------------------------------------------------------------------------------

Axes = Sequence[tuple[int, int, int]]
"""Sizes, steps in the operand and steps in the result, outermost first."""


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements from one index to the next along each axis."""
    return tuple(prod(shape[k + 1 :]) for k in range(len(shape)))


def _axes(shape: Sequence[int], source: Sequence[int], target: Sequence[int]) -> Axes:
    """Axes, with those taken together along which both sides lie side by side."""
    merged: list[tuple[int, int, int]] = []
    for size, x, y in zip(shape, source, target, strict=True):
        if merged and merged[-1][1:] == (size * x, size * y):
            merged[-1] = (merged[-1][0] * size, x, y)
        elif size > 1:
            merged.append((size, x, y))
    return merged or [(1, 1, 1)]


def _move(
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


def _mover(axes_of: Callable[[Any], tuple[Axes, int]]) -> Callable[[Assembly, Unit], None]:
    """The builder of a process that `axes_of` describes, with the first element that is read."""

    def build(a: Assembly, unit: Unit) -> None:
        axes, source = axes_of(unit.op)
        x = a.number(origin(unit.op.operands[0]))
        _move(a, x, a.number(unit.result), axes, source)

    return build


def _upsampled(op: UpsampleOp) -> tuple[Axes, int]:
    height, width, channels = stream_of(op.x).shape
    down, across = op.factors.get_values()
    shape = (height, down, width, across, channels)
    return _axes(shape, (width * channels, 0, channels, 0, 1), _strides(shape)), 0


def _transposed(op: BufferOp) -> tuple[Axes, int]:
    steps = _strides(stream_of(op.x).shape)
    shape = op.result.type.shape
    source = [steps[k] for k in op.permutation.get_values()]
    return _axes(shape, source, _strides(shape)), 0


def _sliced(op: SliceOp) -> tuple[Axes, int]:
    axis, start, _ = op.range
    steps, shape = _strides(stream_of(op.x).shape), op.result.type.shape
    return _axes(shape, steps, _strides(shape)), start * steps[axis]


def _reversed(op: ReverseOp) -> tuple[Axes, int]:
    shape = op.result.type.shape
    steps = _strides(shape)
    return _axes(shape, (-steps[0], *steps[1:]), steps), (shape[0] - 1) * steps[0]


def _concat(a: Assembly, unit: Unit) -> None:
    op = unit.op
    assert isinstance(op, ConcatOp)
    y = a.number(op.result)
    steps = _strides(op.result.type.shape)
    axis, target = op.concat_axis.value.data, 0
    for operand in op.operands:
        shape = stream_of(operand).shape
        axes = _axes(shape, _strides(shape), steps)
        _move(a, a.number(origin(operand)), y, axes, target=target)
        target += shape[axis] * steps[axis]


def _pad(a: Assembly, unit: Unit) -> None:
    op = unit.op
    assert isinstance(op, PadOp)
    steps, image = _strides(op.result.type.shape), stream_of(op.x).shape
    first = op.edges.top * steps[0] + op.edges.left * steps[1]
    axes = _axes(image, _strides(image), steps)
    _move(a, a.number(origin(op.x)), a.number(op.result), axes, target=first, fill=0)


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
    steps, window = _strides(view.padded), op.window
    (down, across), (below, beside) = window.strides, window.dilation
    shape = (rows, columns, window.height, window.width, channels)
    source = (down * steps[0], across * steps[1], below * steps[0], beside * steps[1], 1)
    _move(a, image, a.number(op.result), _axes(shape, source, _strides(shape)))


BUILDERS: Mapping[type[DataflowOp], Callable[[Assembly, Unit], None]] = {
    MatvecOp: _products,
    ReduceOp: _reduce,
    DepthwiseOp: _depthwise,
    MapOp: _map,
    UpsampleOp: _mover(_upsampled),
    BufferOp: _mover(_transposed),
    SliceOp: _mover(_sliced),
    ReverseOp: _mover(_reversed),
    ConcatOp: _concat,
    PadOp: _pad,
    WindowOp: _window,
}
"""Adds the step of a unit to a network."""
