"""The linear program that shares resources among layers: mixtures of foldings in place of foldings.

Each layer takes one of its options. Let it mix them instead, and what is left is linear: the
relaxation of a multiple-choice knapsack problem with several resources (Kellerer, Pferschy,
Pisinger, "Knapsack Problems", 2004, chapter 11). Its optimum bounds what foldings can reach, its
dual prices tell which of them to take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.highs import add_rows, highs, silent_solver

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]
TINY = 1e-100
"""Prices that are too small to prove anything in floating point."""
SMALLEST = 1e-30
"""What rows of nothing but zeros are divided by."""


@dataclass(frozen=True, eq=False)
class Limits:
    """Rows `amounts @ x <= fixed + scale * s`: what all options taken may add up to.

    `amounts` are (rows, options), or (rows, layers, options); `s` is the number that a program
    makes as small as it can.
    """

    amounts: Reals
    fixed: Reals
    scale: Reals

    def __add__(self, other: Limits) -> Limits:
        return Limits(
            np.concatenate([self.amounts, other.amounts]),
            np.concatenate([self.fixed, other.fixed]),
            np.concatenate([self.scale, other.scale]),
        )

    def among(self, *options: NDArray[np.intp] | Flags) -> Limits:
        """The rows for some options: a mask, or their layers and their places there."""
        return Limits(self.amounts[:, *options], self.fixed, self.scale)

    def least(self) -> float:
        """The least `s` where there are no layers."""
        soft = self.scale > 0
        return float((-self.fixed[soft] / self.scale[soft]).max())


@dataclass(frozen=True, eq=False)
class Mixture:
    """The least `s`, and how much of each option it takes.

    `bound` is what the dual prices of the rows prove, whatever the solver's tolerance: no choice
    of options has a smaller `s`.
    """

    parts: Reals
    bound: float


class Program:
    """Finds the least `s` of mixtures of the options of each layer, within limits.

    `layer` says, ascending, of which layer each option is. More limits can be added, and options
    barred, between solutions: each starts at the vertex where the one before ended.
    """

    def __init__(self, layer: NDArray[np.intp], limits: Limits):
        self._layer = layer
        self._limits = Limits(np.zeros((0, len(layer))), np.zeros(0), np.zeros(0))
        self._allowed = np.ones(len(layer), np.bool_)
        self._units = np.zeros(0)
        self._solver = _mixtures(layer) if len(layer) else None
        self.add(limits)

    def add(self, limits: Limits) -> None:
        """Keep within these limits too."""
        self._limits = self._limits + limits
        above = np.concatenate([limits.amounts, -limits.scale[:, None]], axis=1)
        unit = np.maximum(np.abs(above).max(axis=1), SMALLEST)  # rows of like size
        self._units = np.concatenate([self._units, unit])
        if self._solver is not None:
            rows, upper = above / unit[:, None], limits.fixed / unit
            add_rows(self._solver, rows, np.full(len(rows), -np.inf), upper)

    def allow(self, options: Flags) -> None:
        """Bar all other options."""
        self._allowed = options
        if self._solver is not None:
            columns = np.arange(len(options), dtype=np.int32)
            upper = np.where(options, np.inf, 0.0)
            self._solver.changeColsBounds(len(columns), columns, np.zeros(len(columns)), upper)

    def least(self) -> Mixture | None:
        """Minimise `s`; None if no mixture is within the limits."""
        if self._solver is None:
            return Mixture(np.zeros(0), self._limits.least())
        solver = self._solver
        solver.run()
        if solver.getModelStatus() != highs().HighsModelStatus.kOptimal:
            return None
        found = solver.getSolution()
        prices = -np.array(found.row_dual)[self._layer[-1] + 1 :] / self._units
        limits = self._limits.among(self._allowed)
        bound = proved(self._layer[self._allowed], limits, np.maximum(prices, 0))
        return Mixture(np.array(found.col_value)[:-1], bound)


def least(layer: NDArray[np.intp], limits: Limits) -> Mixture | None:
    """Minimise `s` once; None if no mixture is within the limits."""
    return Program(layer, limits).least()


def _mixtures(layer: NDArray[np.intp]) -> Any:
    """A solver for one mixture of options in each layer, and the number `s` to be minimised."""
    solver, count = silent_solver(), len(layer)
    solver.addVars(count + 1, np.append(np.zeros(count), -np.inf), np.full(count + 1, np.inf))
    solver.changeColCost(count, 1.0)
    one = np.zeros((layer[-1] + 1, count + 1))
    one[layer, np.arange(count)] = 1
    add_rows(solver, one, np.ones(len(one)), np.ones(len(one)))
    return solver


def proved(layer: NDArray[np.intp], limits: Limits, prices: Reals) -> float:
    """The least `s` that prices of the rows prove (Lagrangian duality): they count for
    `prices @ scale = 1` together, and every layer takes what is cheapest at them."""
    total = float(prices @ limits.scale)
    if total < TINY:
        return -np.inf
    each = prices @ limits.amounts / total
    starts = np.flatnonzero(np.diff(layer, prepend=-1))
    own = np.minimum.reduceat(each, starts).sum() if len(starts) else 0.0
    return float(own - prices @ limits.fixed / total)
