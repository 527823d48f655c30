"""The emulator in compiled inner loops: a dataflow module as a list of steps.

Windows are never stored: the product, pooling or weighted sum behind a window reads the image.
Values are kept in the narrowest integers that hold their format. Whatever has no compiled form
runs as the op's own `evaluate`, so a plan can run every module, with the same bits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.ports import main_function, return_op
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
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.pool import Pooling
from calocc.dialects.qnn.windows import Window
from calocc.runtime.native.library import Geometry, Matvec, Reduction, Stream, library
from calocc.runtime.native.program import CompiledEpilogue, NotCompiled, compile_epilogue

Array = NDArray[Any]
Step = Callable[[dict[SSAValue, Array], int], None]
"""Computes results from operands, with a number of threads."""

MOVERS = (
    *(BufferOp, ConcatOp, ForkOp, LanesOp, PadOp, ReshapeOp, ReverseOp, SliceOp, UpsampleOp),
    WindowOp,
)
"""Processes whose `evaluate` takes integers of any width."""
VECTOR, TILE = 16, 3
"""Padding of inputs and outputs of weights, as in `native.cpp`."""
SUM_BITS = 32


def container(format: Format) -> np.dtype[np.signedinteger]:
    """The narrowest integer type that holds all mantissas of a format."""
    bits = format.width + (not format.signed)
    return np.dtype(np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64)


@dataclass(frozen=True, eq=False)
class Plan:
    """The steps of a module; `last_uses[k]` are the values that no step after k reads."""

    arguments: tuple[SSAValue, ...]
    results: tuple[SSAValue, ...]
    steps: tuple[Step, ...]
    last_uses: tuple[tuple[SSAValue, ...], ...]

    def run(self, inputs: Sequence[NDArray[np.int64]], threads: int) -> list[NDArray[np.int64]]:
        """One array of mantissas (B, *shape) per argument; one per result, as `execute` gives.

        Raises IndexError where a lookup leaves its table, which no compiled design does.
        """
        values: dict[SSAValue, Array] = {
            value: np.ascontiguousarray(x, container(stream_of(value).format))
            for value, x in zip(self.arguments, inputs, strict=True)
        }
        for step, dead in zip(self.steps, self.last_uses, strict=True):
            step(values, threads)
            for value in dead:
                del values[value]
        return [values[value].astype(np.int64) for value in self.results]

    @staticmethod
    def of(module: ModuleOp) -> Plan:
        """The plan of a dataflow module."""
        function = main_function(module)
        ops = [op for op in function.body.block.ops if isinstance(op, DataflowOp)]
        compiled = {op: step for op in ops if (step := _compiled(op)) is not None}
        read_through = {window for op in compiled if (window := _own_window(op)) is not None}
        run = [op for op in ops if op not in read_through]
        steps = tuple(compiled.get(op) or _evaluated(op) for op in run)
        sources = [([_source(o, read_through) for o in op.operands], op.results) for op in run]
        results = tuple(return_op(function).operands)
        return Plan(tuple(function.args), results, steps, _last_uses(sources, results))


def _source(value: SSAValue, read_through: Set[WindowOp]) -> SSAValue:
    """What a process really reads where windows are not stored."""
    owner = value.owner
    return owner.x if isinstance(owner, WindowOp) and owner in read_through else value


def _own_window(op: Operation) -> WindowOp | None:
    """The window whose image a compiled process reads itself, if there is one."""
    if not isinstance(op, MatvecOp | DepthwiseOp | ReduceOp):
        return None
    owner = op.x.owner
    return owner if isinstance(owner, WindowOp) and owner.result.has_one_use() else None


def _last_uses(
    sources: Sequence[tuple[Sequence[SSAValue], Sequence[SSAValue]]],
    results: Sequence[SSAValue],
) -> tuple[tuple[SSAValue, ...], ...]:
    """For each step the values that no later one reads."""
    needed = set(results)
    dead: list[tuple[SSAValue, ...]] = []
    for reads, writes in reversed(sources):
        own = {*reads, *writes} - needed
        dead.append(tuple(own))
        needed |= own
    return tuple(reversed(dead))


# ---- which processes are compiled ----------------------------------------------------------------


def compiles(op: DataflowOp) -> bool:
    """Whether a process runs in compiled code."""
    return _compiled(op) is not None


def _compiled(op: DataflowOp) -> Step | None:
    """The compiled step of a process, None where it has none."""
    build = BUILDERS.get(type(op))
    if build is None or library() is None:
        return None
    try:
        return build(op)
    except NotCompiled:
        return None


def _evaluated(op: DataflowOp) -> Step:
    """The op's own `evaluate`, on int64 unless it only moves elements."""
    movable = isinstance(op, MOVERS)
    containers = [container(s.format) for s in op.outputs]

    def step(values: dict[SSAValue, Array], threads: int) -> None:
        operands = [values[o] if movable else values[o].astype(np.int64) for o in op.operands]
        for result, array, kind in zip(op.results, op.evaluate(*operands), containers, strict=True):
            values[result] = np.ascontiguousarray(array, kind)

    return step


def _geometry(op: MatvecOp | DepthwiseOp | ReduceOp, channels: int) -> tuple[SSAValue, Geometry]:
    """What a process reads and how: windows over an image, or rows of pixels side by side.

    `channels` are those of a pixel where there is no window.
    """
    if (window := _own_window(op)) is not None:
        image, out = stream_of(window.x).shape, window.result.type.shape[:2]
        return window.x, _over_image(window.window, image, out, window.fill.value.data)
    x, y = stream_of(op.x), op.outputs[0]
    positions = prod(y.shape[:-1])
    taps = x.size // positions // channels
    row = Window(1, taps, (1, taps))
    return op.x, _over_image(row, (positions, taps, channels), (positions, 1), 0)


def _over_image(window: Window, image: Sequence[int], out: Sequence[int], fill: int) -> Geometry:
    pad = window.padding
    sizes = (window.height, window.width, *window.strides, *window.dilation, pad.top, pad.left)
    return Geometry(*image, *sizes, *out, fill)


def _address(array: Array) -> int:
    assert array.flags.c_contiguous
    return array.ctypes.data


def _result(values: dict[SSAValue, Array], result: SSAValue, events: int) -> Array:
    stream = stream_of(result)
    values[result] = np.empty((events, *stream.shape), container(stream.format))
    return values[result]


def _call(function: Any, *arguments: Any) -> None:
    if not function(*arguments):
        raise IndexError("a lookup leaves its table")


# ---- products ------------------------------------------------------------------------------------


def _matvec(op: MatvecOp) -> Step:
    """Integer products of 16 x 16 bits in sums of 32."""
    x, weights = stream_of(op.x), op.weights.numpy()
    narrow = container(x.format) == np.int16 and container(op.weight_type.format) == np.int16
    if not narrow or op.accumulator.width + (not op.accumulator.signed) > SUM_BITS:
        raise NotCompiled("wide products")
    inputs, outputs = weights.shape
    epilogue = compile_epilogue(op.epilogue, outputs)
    packed = np.zeros((_up(outputs, TILE), _up(inputs, VECTOR)), np.int16)
    packed[:outputs, :inputs] = weights.T
    source, geometry = _geometry(op, inputs)
    shift = op.accumulator.frac - op.product_frac
    kind = container(op.outputs[0].format).itemsize
    run = _native().calocc_matvec

    def step(values: dict[SSAValue, Array], threads: int) -> None:
        image = values[source]
        y = _result(values, op.result, len(image))
        pixels = y.size // outputs
        sizes = (inputs, outputs, shift, kind, pixels)
        arguments = Matvec(_address(image), _address(packed), *sizes, _address(y))
        _run(run, arguments, geometry, epilogue, threads)

    return step


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


def _native() -> ctypes.CDLL:
    loaded = library()
    assert loaded is not None
    return loaded


def _run(
    function: Any,
    arguments: ctypes.Structure,
    geometry: Geometry,
    epilogue: CompiledEpilogue,
    threads: int,
) -> None:
    references = (ctypes.byref(s) for s in (arguments, geometry, epilogue.program))
    _call(function, *references, ctypes.c_int(threads))


# ---- sums and maxima per channel -----------------------------------------------------------------


def _reduce(op: ReduceOp) -> Step:
    maximum = op.kind.data is Pooling.MAX
    return _reduction(
        op, op.channels, None, maximum, op.accumulator.frac - stream_of(op.x).format.frac
    )


def _depthwise(op: DepthwiseOp) -> Step:
    weights = np.ascontiguousarray(op.weights.numpy())
    shift = op.accumulator.frac - op.product_frac
    return _reduction(op, weights.shape[1], weights, False, shift)


def _reduction(
    op: ReduceOp | DepthwiseOp,
    channels: int,
    weights: NDArray[np.int64] | None,
    maximum: bool,
    shift: int,
) -> Step:
    outputs, multiplier = op.outputs[0].shape[-1], op.outputs[0].shape[-1] // channels
    epilogue = compile_epilogue(op.epilogue, outputs)
    source, geometry = _geometry(op, channels)
    x = stream_of(op.x).format
    if maximum:
        geometry.fill = x.min_mantissa
    elif geometry.fill:
        raise NotCompiled("padding that counts")
    kinds = container(x).itemsize, container(op.outputs[0].format).itemsize
    run = _native().calocc_reduce

    def step(values: dict[SSAValue, Array], threads: int) -> None:
        image = values[source]
        y = _result(values, op.result, len(image))
        sizes = (multiplier, int(maximum), shift, kinds[1], y.size // outputs)
        place = None if weights is None else _address(weights)
        arguments = Reduction(_address(image), place, kinds[0], *sizes, _address(y))
        _run(run, arguments, geometry, epilogue, threads)

    return step


# ---- element-wise --------------------------------------------------------------------------------


def run_program(
    epilogue: CompiledEpilogue, arrays: Sequence[Array], y: Array, threads: int
) -> None:
    """Run an epilogue on arrays (..., channels) of one shape into `y`; all are C-contiguous.

    Raises IndexError where a lookup leaves its table.
    """
    pixels = y.size // epilogue.program.channels
    streams = (Stream * len(arrays))(*(Stream(_address(a), a.itemsize) for a in arrays))
    result = ctypes.c_void_p(_address(y)), ctypes.c_int(y.itemsize), ctypes.c_int64(pixels)
    program = ctypes.byref(epilogue.program)
    _call(_native().calocc_map, streams, len(arrays), *result, program, ctypes.c_int(threads))


def _map(op: MapOp) -> Step:
    epilogue = compile_epilogue(op.epilogue, op.result.type.shape[-1])

    def step(values: dict[SSAValue, Array], threads: int) -> None:
        arrays = [values[a] for a in op.args]
        run_program(epilogue, arrays, _result(values, op.result, len(arrays[0])), threads)

    return step


BUILDERS: Mapping[type[DataflowOp], Callable[[Any], Step]] = {
    MatvecOp: _matvec,
    ReduceOp: _reduce,
    DepthwiseOp: _depthwise,
    MapOp: _map,
}
