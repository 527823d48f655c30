"""The search for the smallest design that is fast enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.func import FuncOp

from calocc.compiler.network import processes_of
from calocc.compiler.report import total_resources
from calocc.passes.balancing.choice import Amounts, Share, amounts
from calocc.passes.balancing.folding import Goal
from calocc.passes.balancing.pixels import Chain
from calocc.passes.balancing.search import Search, Trial

ROUNDS = 12
"""Chains that are met for each pace."""
SLOWER = 1.0
"""How many times as many cycles a matrix product may take."""
PACES = (1.2, 1.5, 1.9, 2.4)
"""Cycles that any process may take: times those of a design that is as slow as required because all
of its processes are slower. Less than that is needed on the longest chain of waits only."""
UNLIMITED = 1e12
"""Cycles that no design takes."""


@dataclass(frozen=True)
class Requirement:
    """Cycles that a design may take: from the first input to the last output of an event, and from
    one event to the next. None where it does not matter."""

    latency: int | None = None
    interval: int | None = None

    def met(self, trial: Trial) -> bool:
        """Whether a design is fast enough."""
        late = self.latency is not None and trial.latency > self.latency
        return not late and (self.interval is None or trial.interval <= self.interval)


@dataclass
class Thrift:
    """Makes a design that meets a requirement smaller.

    A design is smaller if the largest part of any resource of the `device` that it takes is, or
    else the sum of these parts. The longest chain of waits of the designs so far says how much the
    cycles of each layer count; which foldings are cheapest at that, `Market.cheapest` tells.
    """

    search: Search
    requirement: Requirement
    device: Amounts
    _best: Goal = field(init=False)
    _size: tuple[float, float] = field(init=False)

    def smallest(self, start: Goal) -> Goal:
        """The smallest design found that meets the requirement, as `start` does."""
        function = self.search.trial(start)
        first = self.search.measured(function, start)
        spare = max(op.schedule().depth for op in processes_of(function))
        self._best, self._size = start, self._sized(function, with_fifos=True)
        for others in self._paces(start.others, first, spare):
            self._follow(first, others)
        return self._best

    def _paces(self, fast: int, first: Trial, spare: int) -> Iterator[int]:
        """Cycles that processes beside matrix products may take."""
        most, need = self.requirement.interval, self.requirement.latency
        limit = UNLIMITED if most is None else most - spare
        if need is None:
            yield max(int(limit), 1)
            return
        for pace in PACES:
            yield max(int(min(pace * fast * need / first.latency, limit)), 1)

    def _follow(self, first: Trial, others: int) -> None:
        """Try the cheapest foldings for which no chain met so far is too long."""
        most = others * (SLOWER if self.requirement.interval is None else 1)
        met = [first.chain]
        for _ in range(ROUNDS):
            goal = Goal(self._choice(most, met), others)
            function = self.search.trial(goal)
            trial = self.search.measured(function, goal)
            self._consider(goal, function, trial)
            if self.requirement.met(trial):
                return
            if trial.chain.constant < (self.requirement.latency or 0):
                met.append(trial.chain)

    def _choice(self, most: float, met: Sequence[Chain]) -> tuple[Share, ...]:
        division, spent = self.search.division, self.search.spent
        if (latency := self.requirement.latency) is None:
            return division.smallest(most, spent, self.device).shares
        return division.cheapest(latency, most, spent, self.device, met).shares

    def _consider(self, goal: Goal, function: FuncOp, trial: Trial) -> None:
        """Keep a design that is fast enough, fits and is smaller."""
        small = self._sized(function) < self._size
        if not small or not self.requirement.met(trial) or not self.search.fits(function):
            return
        if self.search.fits_with_fifos(function) and self._sized(function) < self._size:
            self._best, self._size = goal, self._sized(function)

    def _sized(self, function: FuncOp, with_fifos: bool = False) -> tuple[float, float]:
        if with_fifos:
            self.search.fits_with_fifos(function)
        parts = amounts(total_resources(function)) / np.maximum(self.device, 1)
        return float(parts.max()), float(parts.sum())
