"""The search for foldings that fit a device: of least interval, then of least latency.

Foldings are chosen in time by pixels (`division.py`), which is quick but leaves out what the beats
of streams cost. So choices are tried in an exact simulation, and the best of them is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import ceil

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from calocc.compiler.network import network_of, processes_of
from calocc.compiler.ports import main_function
from calocc.compiler.report import total_resources
from calocc.dialects.dataflow.resources import Resources
from calocc.passes.balancing.choice import Amounts, Choice, Market, Options, Share, amounts
from calocc.passes.balancing.division import Division
from calocc.passes.balancing.folding import (
    Goal,
    Pins,
    leaders_of,
    longest_loop,
    matvecs,
    pin_of,
    refold,
    single_values,
)
from calocc.passes.balancing.pixels import CYCLES, FEATURES, Chain, pixels_of
from calocc.passes.check_dataflow import find_obstacle
from calocc.passes.size_fifos import set_depths
from calocc.runtime.critical_path import critical_path
from calocc.runtime.cycles import simulate

TRIALS = ((1.0, 1.3), (1.0, 1.3), (0.8, 1.3), (0.8, 1.5), (0.8, 1.3), (0.6, 1.3), (0.8, 1.15))
"""Cycles, times the least interval, that processes beside matrix products may take in each trial,
and those that matrix products may take."""
MORE_TRIALS = tuple(product((1.0, 0.9, 0.8, 0.7, 0.6), (1.15, 1.3, 1.5, 1.8)))
"""The same for trials in each round of further search."""
PLENTY = 0.25
"""The part of the limits for processes that leaves enough for FIFOs, as far as one can tell."""
RETRIES = 3
"""Searches for an interval, each with what FIFOs took in the one before."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A design folded for a goal: its first latency and its interval in cycles, and the longest
    chain of waits as the part of the cycles of each matrix product that is on it."""

    latency: int
    interval: int
    chain: Chain


@dataclass(eq=False)
class Search:
    """Tries foldings of a design within `limits`."""

    module: ModuleOp
    pins: Pins
    limits: Resources
    rounds: int = 0
    """Of further search."""
    _others: Amounts = field(default_factory=lambda: np.zeros(5))
    """What processes other than matvecs took in the last trial."""
    _fifos: Amounts = field(default_factory=lambda: np.zeros(5))
    """What FIFOs took when they were sized last."""
    _margin: Amounts = field(default_factory=lambda: np.zeros(5))
    """By how much designs were too large."""
    _tried: dict[Goal, Trial] = field(default_factory=dict[Goal, Trial])

    @cached_property
    def market(self) -> Market:
        layers = [
            Options.of(op, pin_of(op, self.pins)) for op in matvecs(main_function(self.module))
        ]
        return Market.of(layers, amounts(self.limits))

    @cached_property
    def division(self) -> Division:
        """How what there is can be divided."""
        return Division(self.market, pixels_of(self.fastest))

    @cached_property
    def fastest(self) -> FuncOp:
        """The design in which everything is as fast as it can be."""
        return self._folded(Goal((Share(1),) * len(self.market.shares), 1))

    def _folded(self, goal: Goal) -> FuncOp:
        """A copy of the design, folded for a goal."""
        function = main_function(self.module.clone())
        refold(function, goal, self.pins)
        return function

    def trial(self, goal: Goal) -> FuncOp:
        """A copy of the design, folded for a goal; what is beside its matrix products is noted."""
        function = self._folded(goal)
        products = sum((amounts(op.resources()) for op in matvecs(function)), np.zeros(5))
        self._others = amounts(total_resources(function)) - products
        return function

    @property
    def spent(self) -> Amounts:
        """What processes other than matrix products, and FIFOs, take as far as is known, and by how
        much designs were too large for which that was reckoned with."""
        return self._others + self._fifos + self._margin

    def fits(self, function: FuncOp) -> bool:
        """Whether processes are within the limits of the device and of synthesis, beside FIFOs as
        they were sized last."""
        return self._is_within(function, self._fifos) and find_obstacle(function) is None

    def has_plenty(self, function: FuncOp) -> bool:
        """Whether FIFOs may take as much of each resource as processes do, and more: to size those
        of the slowest design takes longer than anything else."""
        used = amounts(total_resources(function))
        return bool(np.all(used <= PLENTY * amounts(self.limits)))

    def fits_with_fifos(self, function: FuncOp) -> bool:
        """Whether a design that fits still does with its FIFOs."""
        processes = amounts(total_resources(function))
        if np.any(processes > amounts(self.limits)):
            return False  # sooner than FIFOs are sized
        set_depths(function)
        self._fifos = amounts(total_resources(function)) - processes
        return self._is_within(function, np.zeros(5))

    def _is_within(self, function: FuncOp, more: Amounts) -> bool:
        above = amounts(total_resources(function)) + more - amounts(self.limits)
        fits = bool(np.all(above <= 0))
        self._margin = self._margin / 2 if fits else self._margin + np.maximum(above, 0)
        return fits

    def least_interval(self, slowest: Goal) -> Goal:
        """The smallest number of cycles that all processes can keep to."""
        for _ in range(RETRIES):
            self.trial(slowest)
            goal = self._bisect(slowest)
            if self.fits_with_fifos(self.trial(goal)) and goal is not slowest:
                return goal
        return slowest

    def _bisect(self, slowest: Goal) -> Goal:
        high, best = slowest.others, slowest  # `high` fits, `low` does not
        low = self._promising(high) - 1
        step = max(low // 64, 1)
        while high - low > max(1, high // 256):
            middle = min(low + step, (low + high) // 2)
            goal = self._within(middle)
            if goal is None:
                low, step = middle, 4 * step
            else:
                best, high = goal, middle
        return best

    def _promising(self, high: int) -> int:
        """The fewest cycles for which resources can be divided beside what the slowest processes
        leave over.

        What is needed falls about as cycles rise, so each guess is the last one times the part
        that it needed, or halfway where that leads out of what is still in question.
        """
        low, part = 0, self.division.least_parts(self.spent, amounts(self.limits))
        guess = high // 2
        while high - low > max(1, high // 256):
            needed = part(guess)
            low, high = (guess, high) if needed > 1 else (low, guess)
            step = max(high // 256, 1)
            guess = ceil(guess * min(needed, 2.0)) + (step if needed > 1 else -step)
            guess = guess if low < guess < high else (low + high) // 2
        return high

    def _divided(self, most: float) -> Choice:
        """What takes the least part of any limit, with `most` cycles in each layer."""
        return self.division.smallest(most, self.spent, amounts(self.limits))

    def _within(self, cycles: int) -> Goal | None:
        """A goal in which no process takes more cycles, if one fits."""
        self._margin = np.zeros(5)
        for _ in range(2):  # what converters and windows take is known after a trial
            choice = self._divided(cycles)
            if choice.bound > 1:
                return None
            goal = Goal(choice.shares, cycles)
            function = self.trial(goal)
            slow = single_values(function) and longest_loop(function) > cycles
            if not slow and self.fits(function):
                return goal
        return None

    def least_latency(self, start: Goal, most: float = np.inf, enough: int = 0) -> Goal:
        """The goal of least latency that is found, or the first with `enough`; no matrix product
        takes more than `most` cycles. `start` fits."""
        best, least = start, self.tried(start).latency
        self._margin = np.zeros(5)
        trials = (*TRIALS, *self.rounds * MORE_TRIALS)
        for pace, slowest in trials if self.market.shares else ():
            if least <= enough:
                break
            longest = min(most, slowest * start.others)
            shares = self.division.fastest(longest, self.spent).shares
            goal = Goal(shares, max(int(start.others * pace), 1))
            if goal in self._tried:
                continue  # small designs are as fast as they can be at any pace
            function = self.trial(goal)
            if not self.fits(function):
                continue
            latency = self.measured(function, goal).latency
            if latency < least and self.fits_with_fifos(function):
                best, least = goal, latency
        return best

    def tried(self, goal: Goal) -> Trial:
        """The trial of a goal."""
        return self._tried.get(goal) or self.measured(self._folded(goal), goal)

    def measured(self, function: FuncOp, goal: Goal) -> Trial:
        """Simulate an event of the design that is folded for a goal."""
        trial = self._tried[goal] = self._simulated(function, goal)
        return trial

    def _simulated(self, function: FuncOp, goal: Goal) -> Trial:
        network = network_of(function)
        timing = simulate(network)
        ops, leaders = processes_of(function), leaders_of(function, goal)
        cycles = [op.schedule().trips for op in matvecs(function)]
        coefficients, rest = np.zeros((len(cycles), FEATURES)), timing.latency_cycles
        for share in critical_path(network, timing).shares:
            if (leader := leaders.get(ops[share.process])) is not None:
                coefficients[leader, CYCLES] += share.cycles / cycles[leader]
                rest -= share.cycles
        return Trial(timing.latency_cycles, timing.interval_cycles, Chain(rest, coefficients))
