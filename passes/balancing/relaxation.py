"""What no folding of a design can be faster or smaller than.

Two things are let go. Layers take mixtures of foldings (`program.py`), and time is counted by
pixels (`pixels.py`). Kelley's method of cutting planes minimises the longest chain: every chain
found is a bound from below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import OpResult

from calocc.compiler.network import fifos_of, processes_of
from calocc.compiler.ports import main_function
from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.foldings import Pin
from calocc.dialects.dataflow.routing import LanesOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.passes.balancing.choice import Amounts, amounts
from calocc.passes.balancing.folding import Pins, matvecs, pin_of
from calocc.passes.balancing.pixels import CYCLES, DEPTH, FEATURES, Chain, Pixels, features_of
from calocc.passes.balancing.program import Limits, Mixture, Program
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
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Columns:
    """The foldings of all layers, those of a layer with the same cycles as one of them that is as
    good as each: `layer` (options,), `features` (options, FEATURES), `costs` (options, resources).
    """

    layer: NDArray[np.intp]
    features: Amounts
    costs: Amounts

    @property
    def interval(self) -> Amounts:
        """Cycles per event (options,), with those in which the pipeline is drained."""
        return self.features[:, CYCLES] + self.features[:, DEPTH] - 1

    @staticmethod
    def of(ops: Sequence[MatvecOp], pins: Pins, most: float) -> Columns:
        """The foldings up to `most` cycles that pins leave, in DSP slices and in logic."""
        tables = [_options(op, pin_of(op, pins), most) for op in ops]
        layer = np.repeat(np.arange(len(ops)), [len(table) for table in tables])
        table = np.concatenate([np.zeros((0, FEATURES + COSTS)), *tables])
        return Columns(layer, table[:, :FEATURES], table[:, FEATURES:])


def _options(op: MatvecOp, pin: Pin, most: float) -> Amounts:
    """Per number of cycles up to `most` and kind of multiplier the least of everything (options,
    FEATURES + COSTS)."""
    price, tables = op.costs(), list[Amounts]()
    for in_logic in (False, True):
        found = op.foldings(pin, in_logic)
        time = features_of(op, found.simd, found.pe, found.pixels)
        fast = time[:, CYCLES] <= most
        costs = [
            amounts(price(*folding, in_logic))
            for folding, keep in zip(found.triples(slice(None)), fast, strict=True)
            if keep
        ]
        rows = np.concatenate([time[fast], np.reshape(costs, (-1, COSTS))], axis=1)
        tables.append(_least_of_each(rows))
    return np.concatenate(tables)


def _least_of_each(rows: Amounts) -> Amounts:
    """The least of each column among the rows with the same number of cycles."""
    rows = rows[np.argsort(rows[:, CYCLES], kind="stable")]
    starts = np.flatnonzero(np.diff(rows[:, CYCLES], prepend=-1.0))
    return np.minimum.reduceat(rows, starts, axis=0) if len(rows) else rows


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
        fastest = search.fastest
        processes = processes_of(fastest)
        others = [op for op in processes if not isinstance(op, MatvecOp | LanesOp)]
        spent = sum((amounts(op.least_resources()) for op in others), _least_fifos(fastest))
        schedules = (op.schedule() for op in others)
        idle = max((s.trips + s.depth for s in schedules), default=0)
        limit = UNLIMITED if most is None else most
        columns = Columns.of(matvecs(main_function(search.module)), search.pins, limit)
        return Relaxation(limit, columns, search.division.pixels, spent, idle)

    @property
    def _possible(self) -> bool:
        """Whether every layer has a folding left."""
        return len(set(self.columns.layer)) == self.pixels.layers

    def interval(self, available: Amounts) -> int:
        """Cycles that no interval within these resources can be below, of the designs that take up
        to `most` cycles for an event."""
        known = np.unique(np.maximum(self.columns.interval, self.idle))
        program = Program(self.columns.layer, self._resources(-self.spent, available))
        low, high = 0, len(known) - 1  # whether `high` can be reached is not asked
        while low < high:
            middle = (low + high) // 2
            mixture = self._within(program, int(known[middle]))
            if mixture is None or mixture.bound > 1 + SAFETY:
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
        program = Program(self.columns.layer, self._resources(-self.spent, device))
        if need.latency is not None:
            program.add(self._waits(self.pixels.longest(self._quickest()), need.latency))
        best = 0.0
        for _ in range(MOST_CHAINS):
            mixture = self._within(program, interval)
            if mixture is None:
                break
            best = max(best, mixture.bound)
            features = self._mixed(mixture)
            found = self.pixels.longest(features)
            if need.latency is None or found.cycles(features) < need.latency + CLOSE:
                break
            program.add(self._waits(found, need.latency))
        return best * (1 - SAFETY)

    def _within(self, program: Program, interval: float) -> Mixture | None:
        """The optimum of a program for mixtures with this interval."""
        keep = self.columns.interval <= interval
        if len(set(self.columns.layer[keep])) < self.pixels.layers:
            return None
        program.allow(keep)
        return program.least()

    def _resources(self, fixed: Amounts, scale: Amounts) -> Limits:
        return Limits(self.columns.costs.T, fixed, scale)

    def latency(self, available: Amounts) -> int:
        """Cycles that no latency within these resources can be below, of those up to `most`."""
        if not self._possible:
            return int(self.most)
        room = self._resources(available - self.spent, np.zeros(len(available)))
        first = self._waits(self.pixels.longest(self._quickest()))
        program, best = Program(self.columns.layer, room + first), 0.0
        for _ in range(MOST_CHAINS):
            if (mixture := program.least()) is None:
                return int(self.most)
            best = max(best, mixture.bound)
            features = self._mixed(mixture)
            found = self.pixels.longest(features)
            if found.cycles(features) - mixture.bound < CLOSE:
                break
            program.add(self._waits(found))
        return ceil(min(best * (1 - SAFETY), self.most))

    def _waits(self, chain: Chain, most: float | None = None) -> Limits:
        """That a chain is not longer than the number that is made small, or than `most`."""
        columns = self.columns
        row = (chain.coefficients[columns.layer] * columns.features).sum(axis=1)
        fixed, scale = (most or 0.0) - chain.constant, float(most is None)
        return Limits(row[None], np.array([fixed]), np.array([scale]))

    def _quickest(self) -> Amounts:
        features = np.full((self.pixels.layers, FEATURES), np.inf)
        np.minimum.at(features, self.columns.layer, self.columns.features)
        return features

    def _mixed(self, mixture: Mixture) -> Amounts:
        """The features of the mixtures that the layers take."""
        features = np.zeros((self.pixels.layers, FEATURES))
        np.add.at(features, self.columns.layer, mixture.parts[:, None] * self.columns.features)
        return features


def _least_fifos(function: FuncOp) -> Amounts:
    """What FIFOs take that hold two elements each, without those behind converters."""
    owners = ((f, f.source.owner) for f in fifos_of(function) if isinstance(f.source, OpResult))
    inner = (f for f, owner in owners if not isinstance(owner, LanesOp))
    widths = (stream_of(f.source).format.width for f in inner)
    return sum((amounts(resources.fifo(2, width)) for width in widths), np.zeros(5))
