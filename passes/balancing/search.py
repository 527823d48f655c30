"""The search for foldings that fit a device: of least interval, then of least latency.

The latency is the longest chain of waits through the design (`runtime/critical_path.py`). Along one
chain it is a sum of shares of the layers' cycles, so for given shares resources are divided by
prices (`choice.py`). Faster layers shift the chain; the shares of all chains seen so far are
averaged, as two players do who learn from each other's moves (fictitious play: here the foldings,
there the chain).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from calocc.compiler.network import network_of, processes_of
from calocc.compiler.ports import main_function
from calocc.compiler.report import total_resources
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.resources import Resources
from calocc.passes.balancing.choice import Amounts, Market, Options, Share, amounts
from calocc.passes.balancing.folding import (
    Goal,
    Pins,
    longest_loop,
    matvecs,
    pin_of,
    refold,
    single_values,
)
from calocc.passes.check_dataflow import find_obstacle
from calocc.passes.size_fifos import set_depths
from calocc.runtime.critical_path import critical_path
from calocc.runtime.cycles import simulate

ROUNDS = 8
"""Chains that are averaged."""
SLOWEST_AVERAGE = 1 / 8
"""The least weight of the newest chain."""
CAPS = (1.0, 1.06, 1.15, 1.4)
"""How many times the least interval a matrix product may take: none then rules the chain alone."""
RETRIES = 3
"""Searches for an interval, each with what FIFOs took in the one before."""
Weights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trial:
    """A design folded for a goal: its first latency and its interval in cycles, the cycles of each
    matvec, and the part of them that is on the longest chain of waits."""

    latency: int
    interval: int
    cycles: Weights
    shares: Weights


@dataclass(eq=False)
class Search:
    """Tries foldings of a design within `limits`."""

    module: ModuleOp
    pins: Pins
    limits: Resources
    _others: Amounts = field(default_factory=lambda: np.zeros(5))
    """What processes other than matvecs took in the last trial."""
    _fifos: Amounts = field(default_factory=lambda: np.zeros(5))
    """What FIFOs took when they were sized last."""

    @cached_property
    def market(self) -> Market:
        layers = [
            Options.of(op, pin_of(op, self.pins)) for op in matvecs(main_function(self.module))
        ]
        return Market.of(layers, amounts(self.limits))

    def trial(self, goal: Goal) -> FuncOp:
        """A copy of the design, folded for a goal."""
        function = main_function(self.module.clone())
        refold(function, goal, self.pins)
        products = sum((amounts(op.resources()) for op in matvecs(function)), np.zeros(5))
        self._others = amounts(total_resources(function)) - products
        return function

    def _divide(self, weights: Weights, most: int) -> tuple[Share, ...] | None:
        """Share out what other processes and FIFOs leave over."""
        return self.market.divide(weights, most, self._others + self._fifos)

    def cheapest(
        self, chains: Weights, allowed: Weights, most: float, device: Amounts
    ) -> tuple[Share, ...]:
        """`Market.cheapest` beside what other processes and FIFOs take."""
        spent = self._others + self._fifos
        return self.market.cheapest(chains, allowed, most, spent, device)

    def fits(self, function: FuncOp) -> bool:
        """Whether processes are within the limits of the device and of synthesis."""
        used = amounts(total_resources(function))
        return bool(np.all(used <= amounts(self.limits))) and find_obstacle(function) is None

    def fits_with_fifos(self, function: FuncOp) -> bool:
        """Whether a design that fits still does with its FIFOs."""
        processes = amounts(total_resources(function))
        set_depths(function)
        used = amounts(total_resources(function))
        self._fifos = used - processes
        return bool(np.all(used <= amounts(self.limits)))

    def least_interval(self, slowest: Goal, least: int = 0) -> Goal:
        """The smallest number of cycles that all processes can keep to; fewer than `least` are
        known to be impossible."""
        for _ in range(RETRIES):
            self.trial(slowest)
            goal = self._bisect(slowest, least)
            if self.fits_with_fifos(self.trial(goal)):
                return goal
        return slowest

    def _bisect(self, slowest: Goal, least: int) -> Goal:
        low, high, best = max(least - 1, 0), slowest.others, slowest  # `high` fits, `low` does not
        step = max(low // 64, 1)
        while high - low > max(1, high // 256):
            middle = min(low + step, (low + high) // 2)
            goal = self._within(middle)
            if goal is None:
                low, step = middle, 4 * step
            else:
                best, high = goal, middle
        return best

    def _within(self, cycles: int) -> Goal | None:
        """A goal in which no process takes more cycles, if one fits."""
        weights = np.zeros(len(self.market.shares))
        none, available = np.zeros((0, len(weights))), amounts(self.limits)
        for _ in range(2):  # what converters and windows take is known after a trial
            shares = self._divide(weights, cycles)
            if shares is None:  # prices that only tell DSP slices from the rest may not do
                shares = self.cheapest(none, np.zeros(0), cycles, available)
            goal = Goal(shares, cycles)
            function = self.trial(goal)
            slow = single_values(function) and longest_loop(function) > cycles
            if not slow and self.fits(function):
                return goal
        return None

    def least_latency(
        self,
        start: Goal,
        caps: Sequence[float] = CAPS,
        enough: int = 0,
        slowest: float = np.inf,
    ) -> Goal:
        """The goal of least latency that is found, or the first with `enough`.

        No matvec takes more than the interval of `start` times one of the `caps`, or more than
        `slowest` cycles.
        """
        first = self.measured(self.trial(start))
        best, latency, others = start, first.latency, self._others
        for cap in caps if first.shares.size else ():
            weights, most = first.shares, int(min(start.others * cap, slowest))
            for round in range(1, ROUNDS + 1):
                if latency <= enough:
                    return best
                shares = self._divide(weights, most)
                if shares is None:
                    self._others = others
                    continue
                goal = replace(start, matvecs=shares)
                function = self.trial(goal)
                found = self.measured(function)
                better = found.latency < latency and self.fits(function)
                if better and self.fits_with_fifos(function):
                    best, latency = goal, found.latency
                newest = max(1 / (round + 1), SLOWEST_AVERAGE)
                weights = weights + (found.shares - weights) * newest
        return best

    def measured(self, function: FuncOp) -> Trial:
        """Simulate an event."""
        network = network_of(function)
        timing = simulate(network)
        ops, products = processes_of(function), matvecs(function)
        place = {op: k for k, op in enumerate(products)}
        shares = np.zeros(len(products))
        for share in critical_path(network, timing).shares:
            if (k := place.get(cast(MatvecOp, ops[share.process]))) is not None:
                shares[k] += share.cycles / products[k].schedule().trips
        cycles = np.array([op.schedule().trips for op in products], np.float64)
        return Trial(timing.latency_cycles, timing.interval_cycles, cycles, shares)
