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

    def fastest(self) -> FuncOp:
        """The design in which everything is as fast as it can be."""
        return self.trial(Goal((Share(1),) * len(self.market.shares), 1))

    def cheapest(
        self, chains: Weights, allowed: Weights, most: float, device: Amounts
    ) -> tuple[Share, ...]:
        """`Market.cheapest` beside what other processes and FIFOs take."""
        spent = self._others + self._fifos
        return self.market.cheapest(chains, allowed, most, spent, device)

    def fits(self, function: FuncOp) -> bool:
        """Whether processes are within the limits of the device and of synthesis, beside FIFOs as
        they were sized last."""
        used = amounts(total_resources(function)) + self._fifos
        return bool(np.all(used <= amounts(self.limits))) and find_obstacle(function) is None

    def fits_with_fifos(self, function: FuncOp) -> bool:
        """Whether a design that fits still does with its FIFOs."""
        processes = amounts(total_resources(function))
        set_depths(function)
        used = amounts(total_resources(function))
        self._fifos = used - processes
        return bool(np.all(used <= amounts(self.limits)))

    def least_interval(self, slowest: Goal) -> Goal:
        """The smallest number of cycles that all processes can keep to."""
        for desperate in (False, True):
            for _ in range(RETRIES):
                self.trial(slowest)
                goal = self._bisect(slowest, desperate)
                if self.fits_with_fifos(self.trial(goal)) and goal is not slowest:
                    return goal
        return slowest

    def _bisect(self, slowest: Goal, desperate: bool) -> Goal:
        low, high, best = 0, slowest.others, slowest  # `high` fits, `low` does not
        if not desperate:
            low = self._promising(high) - 1
        step = max(low // 64, 1)
        while high - low > max(1, high // 256):
            middle = min(low + step, (low + high) // 2) if low else (low + high) // 2
            goal = self._within(middle, desperate)
            if goal is None:
                low, step = middle, 4 * step
            else:
                best, high = goal, middle
        return best

    def _promising(self, high: int) -> int:
        """The fewest cycles for which resources can be divided beside what the slowest processes
        leave over."""
        weights, low = np.zeros(len(self.market.shares)), 0
        while high - low > max(1, high // 256):
            middle = (low + high) // 2
            if self._divide(weights, middle) is None:
                low = middle
            else:
                high = middle
        return high

    def _within(self, cycles: int, desperate: bool) -> Goal | None:
        """A goal in which no process takes more cycles, if one fits.

        Prices tell DSP slices from the rest only; who is `desperate` has each resource priced.
        """
        weights = np.zeros(len(self.market.shares))
        none, available = np.zeros((0, len(weights))), amounts(self.limits)
        for _ in range(2):  # what converters and windows take is known after a trial
            if desperate:
                shares = self.cheapest(none, np.zeros(0), cycles, available)
            elif (shares := self._divide(weights, cycles)) is None:
                return None
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
        if first.latency <= enough:
            return start
        others = self._others
        better: list[tuple[int, Goal]] = []
        for cap in caps if first.shares.size else ():
            weights, most = first.shares, int(min(start.others * cap, slowest))
            self._soundest(better, start)  # what FIFOs take in the best design so far
            for round in range(1, ROUNDS + 1):
                shares = self._divide(weights, most)
                if shares is None:
                    self._others = others
                    continue
                goal = replace(start, matvecs=shares)
                function = self.trial(goal)
                found = self.measured(function)
                if found.latency < first.latency and self.fits(function):
                    better.append((found.latency, goal))
                    if found.latency <= enough and self.fits_with_fifos(function):
                        return goal
                newest = max(1 / (round + 1), SLOWEST_AVERAGE)
                weights = weights + (found.shares - weights) * newest
        return self._soundest(better, start)

    def _soundest(self, better: list[tuple[int, Goal]], start: Goal) -> Goal:
        """The fastest of some goals that fits with its FIFOs; `start` if none does."""
        for _, goal in sorted(better, key=lambda pair: pair[0]):
            if self.fits_with_fifos(self.trial(goal)):
                return goal
        return start

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
