"""The latency of a design in time by pixels, for foldings that are not yet built.

Pixel `v` of a process leaves at the earliest

* when the last pixels have come that it is computed from, and the pipeline has been passed;
* for any pixel `u` before it, when that one could be made, and the iterations for the pixels from
  `u` to `v` have been run.

Both follow from what is computed and from the order in which elements stream, so they hold for
every folding. The latency is the longest chain of such steps, which is convex in what foldings do
to time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, OpResult, SSAValue

from calocc.compiler.network import processes_of, wire_source
from calocc.compiler.ports import return_op
from calocc.dialects.dataflow import depths
from calocc.dialects.dataflow.compute import MatvecOp, ReduceOp
from calocc.dialects.dataflow.foldings import parts
from calocc.dialects.dataflow.layout import ceil_div, image_of
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.routing import LanesOp, WindowOp
from calocc.dialects.dataflow.slice import SliceOp
from calocc.dialects.dataflow.stream import StreamType, stream_of

PACE, SINGLE, FIRST, REST, TAIL, DEPTH, CYCLES, FEATURES = range(8)
"""What a folding does to time: iterations per vector; those in which a vector is read; those up to
its first result; those from its last element to its end; those from there to its last result;
cycles from there to the FIFO behind; iterations per event."""
Amounts = NDArray[np.float64]
Ints = NDArray[np.int64]


def features_of(op: MatvecOp, simd: Ints, pe: Ints, pixels: Ints) -> Amounts:
    """What foldings do to time (foldings, FEATURES). Of several vectors at once two may be in one
    group that others have between them."""
    n, m = op.weights.shape
    rows, row, _ = image_of(op.result.type.shape)
    reads, folds = parts(n, simd), parts(m, pe)
    pace, cycles = reads * folds, rows * parts(row, pixels) * reads * folds
    depth = np.array([depths.matvec(lanes) + 1 for lanes in simd.tolist()])
    if op.inputs_first:
        time = [pace, pace, (reads - 1) * folds, np.zeros(len(simd)), folds - 1]
    else:
        rest = (folds - 1) * reads - pace * (pixels - 1) / pixels
        time = [pace / pixels, reads, reads - 1, rest, rest]
    return np.stack([*time, depth, cycles], axis=1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Stage:
    """A process in time by pixels: of which node each input is, and the last pixel of it that each
    pixel of the output is computed from. `layer` counts matrix products, -1 for other processes,
    whose pixels are `run` iterations apart at least, and `depth` cycles from the FIFO behind. Of a
    matrix product with a `single` vector `needs` are the pixels that this consists of. A window
    `feeds` the matrix product behind, which sets how many beats it takes, once all of it is there
    (none: -1). A `part` of a pixel, which needs no whole one, does need its first element. `before`
    are the pixels without which there is no element of the first pixel (none: -1)."""

    sources: tuple[int, ...]
    needs: tuple[Ints, ...]
    run: Amounts
    layer: int
    depth: float
    single: bool
    feeds: int
    part: bool
    before: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Chain:
    """Bounds the latency: `constant` cycles, and `coefficients` (layers, FEATURES) of features."""

    constant: float
    coefficients: Amounts

    def cycles(self, features: Amounts) -> float:
        """Its length for the features of each layer."""
        return self.constant + float((self.coefficients * features).sum())


@dataclass(frozen=True, eq=False)
class Pixels:
    """A design in time by pixels: `arrivals` of the pixels of each input, then processes in order,
    then the last node of each output."""

    arrivals: tuple[Amounts, ...]
    stages: tuple[Stage, ...]
    ends: tuple[int, ...]
    layers: int

    def longest(self, features: Amounts) -> Chain:
        """The longest chain for the features (layers, FEATURES) of each layer."""
        times: list[Amounts] = list(self.arrivals)
        begins: list[float] = [1.0] * len(times)
        steps: list[Step] = [Step(_none, _none)] * len(times)
        for stage in self.stages:
            known = times, begins
            if stage.single:
                time, begin, step = _vector(stage, *known, features[stage.layer])
            else:
                time, begin, step = self._times(stage, *known, features)
            times.append(time)
            begins.append(begin)
            steps.append(step)
        node = max(self.ends, key=lambda end: float(times[end][-1]))
        return self._trace(node, times, begins, steps)

    def _times(
        self, stage: Stage, times: Sequence[Amounts], begins: Sequence[float], features: Amounts
    ) -> tuple[Amounts, float, Step]:
        """When each pixel of a stage is in the FIFO behind, and when the first element of its only
        pixel; and where the longest chains to them come from."""
        port, start = _ready(stage, times, begins)
        run, extra = self._run(stage, features)
        before = _argmax_so_far(start - run)
        ends = start[before] - run[before] + run + extra
        if len(run) > 1:
            return ends, -np.inf, Step(before, port)
        came = [_first_read(stage, k, times, begins) for k in range(len(stage.sources))]
        return ends, min(came) + extra, Step(before, port, int(np.argmin(came)))

    def _run(self, stage: Stage, features: Amounts) -> tuple[Amounts, float]:
        if stage.feeds >= 0:
            return stage.run, stage.depth + float(features[stage.feeds, SINGLE])
        if stage.layer < 0:
            return stage.run, stage.depth
        own = features[stage.layer]
        return own[PACE] * np.arange(len(stage.run)), float(own[TAIL] + own[DEPTH])

    def _trace(
        self,
        node: int,
        times: Sequence[Amounts],
        begins: Sequence[float],
        steps: Sequence[Step],
    ) -> Chain:
        """Back from the last pixel of a node to an input."""
        constant, coefficients = 1.0, np.zeros((self.layers, FEATURES))
        pixel, inputs, first = len(times[node]) - 1, len(self.arrivals), False
        while node >= inputs:
            stage, step = self.stages[node - inputs], steps[node]
            origin = step.begin if first else int(step.first[pixel])
            if stage.single:
                table, more = _single(len(stage.needs[0]))[first]
                coefficients[stage.layer] += table[origin]
                constant += float(more[origin])
                first = origin == len(stage.needs[0])
                source, pixel = 0, 0 if first else int(stage.needs[0][origin])
            else:
                begin, end = (0, 0) if first else (origin, pixel)
                source = origin if first else int(step.port[origin])
                constant += self._passed(stage, begin, end, coefficients)
                pixel = stage.before[source] if first else int(stage.needs[source][begin])
                elements = first or (stage.part and begins[stage.sources[source]] > 0)
                if pixel < 0 and not elements:
                    return Chain(constant, coefficients)
                first = pixel < 0
            node = stage.sources[source]
        start = begins[node] if first else float(times[node][pixel])
        return Chain(constant + start, coefficients)

    def _passed(self, stage: Stage, begin: int, end: int, coefficients: Amounts) -> float:
        """Cycles from one pixel of a process to another in the FIFO behind; those of matrix
        products are added to the coefficients of a chain."""
        if stage.layer >= 0:
            coefficients[stage.layer, [PACE, TAIL, DEPTH]] += end - begin, 1, 1
            return 0.0
        if stage.feeds >= 0:
            coefficients[stage.feeds, SINGLE] += 1
        return float(stage.run[end] - stage.run[begin]) + stage.depth


@dataclass(frozen=True, eq=False)
class Step:
    """Where the longest chain to each pixel of a process comes from: the pixel `first`, of which
    the input `port` was the last; and `begin` to the first element of its only pixel: an input.

    Of a matrix product with a single vector they count the pixels that this consists of, and then
    the first element of all of them.
    """

    first: NDArray[np.intp]
    port: NDArray[np.intp]
    begin: int = 0


def _ready(
    stage: Stage, times: Sequence[Amounts], begins: Sequence[float]
) -> tuple[NDArray[np.intp], Amounts]:
    """When each pixel of a stage can be made, and the input that came last."""
    ready: list[Amounts] = []
    for source, need in zip(stage.sources, stage.needs, strict=True):
        none = max(begins[source], 0.0) if stage.part else 0.0
        ready.append(np.where(need < 0, none, times[source][need]))
    table = np.stack(ready)
    return table.argmax(axis=0), table.max(axis=0)


def _first_read(
    stage: Stage, port: int, times: Sequence[Amounts], begins: Sequence[float]
) -> float:
    """When the first element of a stage's only pixel can be made, if this input decides."""
    source, before = stage.sources[port], stage.before[port]
    return begins[source] if before < 0 else float(times[source][before])


def _vector(
    stage: Stage, times: Sequence[Amounts], begins: Sequence[float], features: Amounts
) -> tuple[Amounts, float, Step]:
    """When the results of a single vector are in the FIFO behind, the last and the first."""
    port, start = _ready(stage, times, begins)
    start = np.append(start, begins[stage.sources[0]])
    last, first = (start + c + k @ features for k, c in _single(len(port)))
    step = Step(np.array([last.argmax()], np.intp), port, int(first.argmax()))
    return last.max(keepdims=True), float(first.max()), step


_none: NDArray[np.intp] = np.zeros(0, np.intp)


@cache
def _single(pixels: int) -> tuple[tuple[Amounts, Amounts], tuple[Amounts, Amounts]]:
    """The cycles from each pixel of a single vector, and from its first element, to the FIFO
    behind: for the last result, and for the first. Each as coefficients (pixels + 1, FEATURES) and
    constants (pixels + 1,).

    A pixel that ends within a beat costs an iteration less.
    """
    after = 1 - np.arange(1, pixels + 1) / pixels
    last, first = np.zeros((2, pixels + 1, FEATURES))
    last[:-1, SINGLE], last[-1, PACE] = after, 1
    last[:-2, REST] = last[-2, TAIL] = 1
    first[:-1, FIRST], first[-1, FIRST] = after, 1
    last[:, DEPTH] = first[:, DEPTH] = 1
    shorter = np.append(-1.0 * (after > 0), 0)
    return (last, np.append(np.zeros(pixels), -1)), (first, shorter)


def _argmax_so_far(values: Amounts) -> NDArray[np.intp]:
    """Per place the first place up to it with the greatest value."""
    most = np.maximum.accumulate(values)
    new = np.append(True, most[1:] > most[:-1])
    return np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))


def pixels_of(function: FuncOp) -> Pixels:
    """Time by pixels in a design whose processes other than matrix products are as fast as they
    can be."""
    nodes: dict[SSAValue, int] = {a: k for k, a in enumerate(function.args)}
    ops = [op for op in processes_of(function) if not isinstance(op, LanesOp)]
    layers = {op: k for k, op in enumerate(o for o in ops if isinstance(o, MatvecOp))}
    for k, op in enumerate(ops):
        nodes.update((result, len(function.args) + k) for result in op.results)
    stages = tuple(_stage(op, nodes, layers) for op in ops)
    arrivals = tuple(_arrivals(a) for a in function.args)
    ends = tuple(nodes[_origin(o)] for o in return_op(function).operands)
    return Pixels(arrivals, stages, ends, len(layers))


def _stage(op: ProcessOp, nodes: Mapping[SSAValue, int], layers: Mapping[MatvecOp, int]) -> Stage:
    sources = [_origin(operand) for operand in op.operands]
    shapes = [
        (stream_of(o).shape, stream_of(s).shape) for o, s in zip(op.operands, sources, strict=True)
    ]
    needs = [_grains(n, *pair) for n, pair in zip(op.last_inputs(), shapes, strict=True)]
    needs = [np.maximum.accumulate(n) for n in needs]
    user = op.result.get_user_of_unique_use() if isinstance(op, WindowOp) else None
    whole = isinstance(op, ReduceOp) and shapes[0][0][-1] == shapes[0][1][-1]
    single = isinstance(op, MatvecOp) and op.positions == 1
    if single:
        needs = [np.arange(int(needs[0][0]) + 1, dtype=np.int64)]
    return Stage(
        sources=tuple(nodes[s] for s in sources),
        needs=tuple(needs),
        run=_run(op),
        layer=layers[op] if isinstance(op, MatvecOp) else -1,
        depth=_depth(op),
        single=single,
        feeds=layers[user] if isinstance(user, MatvecOp) and user.positions > 1 else -1,
        part=isinstance(op, SliceOp),
        before=tuple(int(n[0]) - 1 if whole else -1 for n in needs),
    )


def _origin(value: SSAValue) -> SSAValue:
    """The value that a stream comes from, seen through wires and converters of width."""
    while isinstance(value := wire_source(value), OpResult) and isinstance(value.op, LanesOp):
        value = value.op.x
    return value


def _grains(need: Ints, shape: tuple[int, ...], source: tuple[int, ...]) -> Ints:
    """Pixels of a stream as the pixels of the stream that it is a reshape of."""
    return (need + 1) * shape[-1] // source[-1] - 1


def _ends(stream: StreamType) -> Ints:
    """The beat that ends each pixel."""
    rows, width, _ = image_of(stream.shape)
    layout = stream.layout
    groups = np.add.outer(
        np.arange(rows) * ceil_div(width, layout.pixels), np.arange(width) // layout.pixels
    )
    return (groups.ravel() + 1) * layout.folds(stream.shape) - 1


def _arrivals(argument: BlockArgument) -> Amounts:
    """When the last beat of each pixel of an input can be read: a beat per cycle from cycle 0."""
    return (_ends(stream_of(argument)) + 1).astype(np.float64)


def _run(op: ProcessOp) -> Amounts:
    """The iterations that end pixels of the first result."""
    return op.schedule().writes[0][_ends(op.outputs[0])].astype(np.float64)


def _depth(op: ProcessOp) -> float:
    """Cycles to the FIFO behind; one less where pixels that share a beat may be in two."""
    return op.schedule().depth + 1 - (op.outputs[0].layout.pixels > 1)
