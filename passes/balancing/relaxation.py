"""What no folding of a design can be faster or smaller than.

Two things are let go. Layers take mixtures of foldings (`program.py`), and time is counted by
pixels: pixel `v` of a process leaves at the earliest

* when the last pixels have come that it is computed from, and the pipeline has been passed;
* for any pixel `u` before it, when that one could be made, and the iterations for the pixels from
  `u` to `v` have been run.

Both follow from what is computed and from the order in which elements stream, so they hold for
every folding. The latency is the longest chain of such steps, which is convex in the iterations
per pixel. Kelley's method of cutting planes minimises it: every chain found is a bound from below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, OpResult, SSAValue

from calocc.compiler.network import fifos_of, processes_of, wire_source
from calocc.compiler.ports import main_function, return_op
from calocc.dialects.dataflow import depths, resources
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.foldings import Pin
from calocc.dialects.dataflow.layout import ceil_div, image_of
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.routing import LanesOp
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.passes.balancing.choice import Amounts, amounts
from calocc.passes.balancing.folding import Pins, matvecs, pin_of
from calocc.passes.balancing.program import Limits, Mixture, least
from calocc.passes.balancing.requirement import UNLIMITED, Requirement
from calocc.passes.balancing.search import Search

MOST_CHAINS = 30
"""Cutting planes at most; any number of them bounds from below."""
CLOSE = 0.5
"""Cycles by which the last chain may exceed those before it."""
SAFETY = 1e-6
"""Of a bound, which floating-point arithmetic may have cost."""
COSTS = 5
"""Kinds of resources."""
PACE, SINGLE, REST, TAIL, DEPTH, FEATURES = range(6)
"""What a folding does to time: iterations per vector; those in which a vector is read; those from
there to its end; those from its last element to its last result; cycles from there to the FIFO
behind."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Columns:
    """The foldings of all layers, those of a layer with the same cycles as one of them that is as
    good as each: `layer` and `trips` (options,), `interval` with the drained pipeline, `features`
    (options, FEATURES), `costs` (options, resources)."""

    layer: NDArray[np.intp]
    trips: Amounts
    interval: Amounts
    features: Amounts
    costs: Amounts

    @staticmethod
    def of(ops: Sequence[MatvecOp], pins: Pins, most: float) -> Columns:
        """The foldings up to `most` cycles that pins leave, in DSP slices and in logic."""
        rows = [
            (k, row) for k, op in enumerate(ops) for row in _options(op, pin_of(op, pins), most)
        ]
        layer = np.array([row[0] for row in rows], np.intp)
        table = np.array([row[1] for row in rows]).reshape(len(rows), 2 + FEATURES + COSTS)
        time, costs = table[:, 2 : 2 + FEATURES], table[:, 2 + FEATURES :]
        return Columns(layer, table[:, 0], table[:, 1], time, costs)


def _options(op: MatvecOp, pin: Pin, most: float) -> Iterator[Amounts]:
    """Per number of cycles and kind of multiplier the least of everything: trips, trips with the
    drained pipeline, features, costs."""
    price, best = op.costs(), dict[tuple[int, bool], Amounts]()
    for in_logic in (False, True):
        for simd, pe, pixels in op.foldings(pin, in_logic).triples(slice(None)):
            if (trips := op.cycles(simd, pe, pixels)) > most:
                continue
            time = _features(op, simd, pe, pixels)
            cost = amounts(price(simd, pe, pixels, in_logic))
            row = np.concatenate([[trips, trips + time[DEPTH] - 1], time, cost])
            key = trips, in_logic
            best[key] = np.minimum(best[key], row) if key in best else row
    yield from best.values()


def _features(op: MatvecOp, simd: int, pe: int, pixels: int = 1) -> Amounts:
    """Of several vectors at once two may be in one group that others have between them."""
    n, m = op.weights.shape
    reads, folds = ceil_div(n, simd), ceil_div(m, pe)
    pace, depth = reads * folds, depths.matvec(simd) + 1
    if op.inputs_first:
        return np.array([pace, pace, 0, folds - 1, depth], np.float64)
    rest = (folds - 1) * reads
    shared = pace * (pixels - 1) / pixels
    return np.array([pace / pixels, reads, rest - shared, rest - shared, depth], np.float64)


@dataclass(frozen=True, eq=False)
class Stage:
    """A process in time by pixels: of which node each input is, and the last pixel of it that each
    pixel of the output is computed from. `layer` counts matrix products, -1 for other processes,
    whose pixels are `run` iterations apart at least, and `depth` cycles from the FIFO behind. Of a
    matrix product with a `single` vector `needs` are the pixels that this consists of."""

    sources: tuple[int, ...]
    needs: tuple[Ints, ...]
    run: Amounts
    layer: int
    depth: float
    single: bool


@dataclass(frozen=True, eq=False)
class Chain:
    """Bounds the latency: `constant` cycles, and `coefficients` (layers, FEATURES) of features."""

    constant: float
    coefficients: Amounts


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
        steps: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = [(_none, _none)] * len(times)
        for stage in self.stages:
            time, step = self._times(stage, times, features)
            times.append(time)
            steps.append(step)
        node = max(self.ends, key=lambda end: float(times[end][-1]))
        return self._trace(node, times, steps)

    def _times(
        self, stage: Stage, times: Sequence[Amounts], features: Amounts
    ) -> tuple[Amounts, tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """When each pixel of a stage is in the FIFO behind; and per pixel the pixel `u` and the
        input from which the longest chain comes."""
        inputs = zip(stage.sources, stage.needs, strict=True)
        ready = np.stack([np.where(need < 0, 0, times[source][need]) for source, need in inputs])
        port, start = ready.argmax(axis=0), ready.max(axis=0)
        if stage.single:
            ends = start + _single(len(start)) @ features[stage.layer]
            return ends.max(keepdims=True), (ends.argmax(keepdims=True), port)
        run, extra = self._run(stage, features)
        first = _argmax_so_far(start - run)
        return start[first] - run[first] + run + extra, (first, port)

    def _run(self, stage: Stage, features: Amounts) -> tuple[Amounts, float]:
        if stage.layer < 0:
            return stage.run, stage.depth
        own = features[stage.layer]
        return own[PACE] * np.arange(len(stage.run)), float(own[TAIL] + own[DEPTH])

    def _trace(
        self,
        node: int,
        times: Sequence[Amounts],
        steps: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    ) -> Chain:
        """Back from the last pixel of a node to an input."""
        constant, coefficients = 1.0, np.zeros((self.layers, FEATURES))
        pixel, inputs = len(times[node]) - 1, len(self.arrivals)
        while node >= inputs:
            stage, (first, port) = self.stages[node - inputs], steps[node]
            begin = int(first[pixel])
            if stage.layer < 0:
                constant += float(stage.run[pixel] - stage.run[begin]) + stage.depth
            elif stage.single:
                coefficients[stage.layer] += _single(len(stage.needs[0]))[begin]
            else:
                coefficients[stage.layer, [PACE, TAIL, DEPTH]] += pixel - begin, 1, 1
            source = int(port[begin])
            node, pixel = stage.sources[source], int(stage.needs[source][begin])
            if pixel < 0:
                return Chain(constant, coefficients)
        return Chain(constant + float(times[node][pixel]), coefficients)


_none: NDArray[np.intp] = np.zeros(0, np.intp)


def _single(pixels: int) -> Amounts:
    """Coefficients (pixels, FEATURES) of the cycles from each pixel of a single vector to the FIFO
    behind. A pixel that ends within a beat costs an iteration less."""
    table = np.zeros((pixels, FEATURES))
    table[:, SINGLE] = 1 - np.arange(1, pixels + 1) / pixels
    table[:-1, REST] = table[-1, TAIL] = 1
    table[:, DEPTH] = 1
    return table


def _argmax_so_far(values: Amounts) -> NDArray[np.intp]:
    """Per place the first place up to it with the greatest value."""
    most = np.maximum.accumulate(values)
    new = np.append(True, most[1:] > most[:-1])
    return np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))


def pixels_of(function: FuncOp) -> Pixels:
    """Time by pixels in a design whose processes other than matrix products are as fast as they
    can be."""
    nodes: dict[SSAValue, int] = {a: k for k, a in enumerate(function.args)}
    stages: list[Stage] = []
    layers = 0
    for op in (op for op in processes_of(function) if not isinstance(op, LanesOp)):
        sources = [_origin(operand) for operand in op.operands]
        needs = [
            _grains(need, stream_of(operand).shape, stream_of(source).shape)
            for need, operand, source in zip(op.last_inputs(), op.operands, sources, strict=True)
        ]
        needs = [np.maximum.accumulate(n) for n in needs]
        matvec = isinstance(op, MatvecOp)
        single = matvec and op.positions == 1
        if single:
            needs = [np.arange(int(needs[0][0]) + 1, dtype=np.int64)]
        owners, layer = tuple(nodes[s] for s in sources), layers if matvec else -1
        stages.append(Stage(owners, tuple(needs), _run(op), layer, _depth(op), single))
        layers += matvec
        for result in op.results:
            nodes[result] = len(function.args) + len(stages) - 1
    arrivals = tuple(_arrivals(a) for a in function.args)
    ends = tuple(nodes[_origin(o)] for o in return_op(function).operands)
    return Pixels(arrivals, tuple(stages), ends, layers)


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


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Bounds from below for every folding of a design.

    `columns` are the foldings of its matrix products that can be part of a design which takes
    `most` cycles for an event; with more of them there is none. `spent` is what anything else needs
    at least, `idle` the interval that no other process can be below.
    """

    most: float
    columns: Columns
    pixels: Pixels
    spent: Amounts
    idle: int

    @staticmethod
    def of(search: Search, most: int | None = None) -> Relaxation:
        """The relaxation of the designs of a search that take `most` cycles for an event (none: any
        number)."""
        fastest = search.fastest()
        processes = processes_of(fastest)
        others = [op for op in processes if not isinstance(op, MatvecOp | LanesOp)]
        spent = sum((amounts(op.least_resources()) for op in others), _least_fifos(fastest))
        schedules = (op.schedule() for op in others)
        idle = max((s.trips + s.depth for s in schedules), default=0)
        limit = UNLIMITED if most is None else most
        columns = Columns.of(matvecs(main_function(search.module)), search.pins, limit)
        return Relaxation(limit, columns, pixels_of(fastest), spent, idle)

    @property
    def _possible(self) -> bool:
        """Whether every layer has a folding left."""
        return len(set(self.columns.layer)) == self.pixels.layers

    def interval(self, available: Amounts) -> int:
        """Cycles that no interval within these resources can be below, of the designs that take up
        to `most` cycles for an event."""
        known = np.unique(np.maximum(self.columns.interval, self.idle))
        low, high = 0, len(known) - 1  # whether `high` can be reached is not asked
        while low < high:
            middle = (low + high) // 2
            if self._share(available, int(known[middle])) > 1 + SAFETY:
                low = middle + 1
            else:
                high = middle
        return int(known[low]) if len(known) else self.idle

    @staticmethod
    def deepest(function: FuncOp) -> int:
        """The deepest pipeline of a process."""
        return max(op.schedule().depth for op in processes_of(function))

    def part(self, device: Amounts, need: Requirement) -> float:
        """The part of some resource of a device that a design takes at least which meets a
        requirement."""
        interval = UNLIMITED if need.interval is None else need.interval
        chains = [self.pixels.longest(self._quickest())] if need.latency is not None else []
        best = 0.0
        for _ in range(MOST_CHAINS):
            mixture = self._smallest(device, interval, chains, need.latency)
            if mixture is None:
                break
            best = max(best, mixture.bound)
            features = self._mixed(mixture)
            found = self.pixels.longest(features)
            if need.latency is None or _cycles(found, features) < need.latency + CLOSE:
                break
            chains.append(found)
        return best * (1 - SAFETY)

    def _smallest(
        self,
        available: Amounts,
        interval: float,
        chains: Sequence[Chain] = (),
        latency: float | None = None,
    ) -> Mixture | None:
        """The least part of what is `available` for a mixture with this interval and latency."""
        keep = self.columns.interval <= interval
        if len(set(self.columns.layer[keep])) < self.pixels.layers:
            return None
        barred = np.where(keep, 0.0, 1.0)[None]
        rows = Limits(barred, np.zeros(1), np.zeros(1))
        rows = rows + self._resources(-self.spent, available)
        return least(self.columns.layer, rows + _waits(self.columns, chains, latency))

    def _share(self, available: Amounts, interval: float) -> float:
        mixture = self._smallest(available, interval)
        return np.inf if mixture is None else mixture.bound

    def _resources(self, fixed: Amounts, scale: Amounts) -> Limits:
        return Limits(self.columns.costs.T, fixed, scale)

    def latency(self, available: Amounts) -> int:
        """Cycles that no latency within these resources can be below, of those up to `most`."""
        columns = self.columns
        if not self._possible:
            return int(self.most)
        room = self._resources(available - self.spent, np.zeros(len(available)))
        chains = [self.pixels.longest(self._quickest())]
        best = 0.0
        for _ in range(MOST_CHAINS):
            if (mixture := least(columns.layer, room + _waits(columns, chains))) is None:
                return int(self.most)
            best = max(best, mixture.bound)
            found = self.pixels.longest(self._mixed(mixture))
            chains.append(found)
            if _cycles(found, self._mixed(mixture)) - mixture.bound < CLOSE:
                break
        return ceil(min(best * (1 - SAFETY), self.most))

    def _quickest(self) -> Amounts:
        features = np.full((self.pixels.layers, FEATURES), np.inf)
        np.minimum.at(features, self.columns.layer, self.columns.features)
        return features

    def _mixed(self, mixture: Mixture) -> Amounts:
        """The features of the mixtures that the layers take."""
        features = np.zeros((self.pixels.layers, FEATURES))
        np.add.at(features, self.columns.layer, mixture.parts[:, None] * self.columns.features)
        return features


def _cycles(chain: Chain, features: Amounts) -> float:
    return chain.constant + float((chain.coefficients * features).sum())


def _waits(columns: Columns, chains: Sequence[Chain], most: float | None = None) -> Limits:
    """That no chain is longer than the number that is made small, or than `most`."""
    rows = [(c.coefficients[columns.layer] * columns.features).sum(axis=1) for c in chains]
    fixed = np.array([(most or 0.0) - c.constant for c in chains])
    table = np.array(rows).reshape(len(chains), len(columns.layer))
    return Limits(table, fixed, np.full(len(chains), float(most is None)))


def _least_fifos(function: FuncOp) -> Amounts:
    """What FIFOs take that hold two elements each, without those behind converters."""
    owners = ((f, f.source.owner) for f in fifos_of(function) if isinstance(f.source, OpResult))
    inner = (f for f, owner in owners if not isinstance(owner, LanesOp))
    widths = (stream_of(f.source).format.width for f in inner)
    return sum((amounts(resources.fifo(2, width)) for width in widths), np.zeros(5))
