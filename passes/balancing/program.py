"""The linear program that shares resources among layers: mixtures of foldings in place of foldings.

Each layer takes one of its options. Let it mix them instead, and what is left is linear: the
relaxation of a multiple-choice knapsack problem with several resources (Kellerer, Pferschy,
Pisinger, "Knapsack Problems", 2004, chapter 11). Its optimum bounds what foldings can reach, its
dual prices tell which of them to take.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
TINY = 1e-100
"""Prices that are too small to prove anything in floating point."""


@dataclass(frozen=True, eq=False)
class Limits:
    """Rows `amounts @ x <= fixed + scale * s`: what all options taken may add up to.

    `amounts` are (rows, options); `s` is the number that a program makes as small as it can.
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


@dataclass(frozen=True, eq=False)
class Mixture:
    """The least `s`, and how much of each option it takes.

    `bound` is what the dual `prices` of the rows prove, whatever the solver's tolerance: no choice
    of options has a smaller `s`.
    """

    parts: Reals
    bound: float
    prices: Reals


def least(layer: NDArray[np.intp], limits: Limits) -> Mixture | None:
    """Minimise `s` over mixtures of the options of each layer; None if no mixture is within limits.

    `layer` says, ascending, of which layer each option is.
    """
    if not len(layer):
        bound = float(np.max(-limits.fixed[limits.scale > 0] / limits.scale[limits.scale > 0]))
        return Mixture(np.zeros(0), bound, np.zeros(len(limits.fixed)))
    above = np.concatenate([limits.amounts, -limits.scale[:, None]], axis=1)
    unit = np.maximum(np.abs(above).max(axis=1), 1e-30)  # rows of like size
    found = _solved(layer, above / unit[:, None], limits.fixed / unit)
    if found is None:
        return None
    parts, prices = found[0], np.maximum(found[1] / unit, 0)
    return Mixture(parts, proved(layer, limits, prices), prices)


def _solved(layer: NDArray[np.intp], above: Reals, fixed: Reals) -> tuple[Reals, Reals] | None:
    """The parts and the prices of the rows by HiGHS."""
    optimize: Any = import_module("scipy.optimize")  # half a second, for those who balance
    count = len(layer)
    one = np.zeros((layer[-1] + 1, count + 1))
    one[layer, np.arange(count)] = 1
    found = optimize.linprog(
        np.append(np.zeros(count), 1.0),
        above,
        fixed,
        one,
        np.ones(len(one)),
        bounds=[(0, None)] * count + [(None, None)],
        method="highs",
    )
    return (found.x[:-1], -found.ineqlin.marginals) if found.status == 0 else None


def proved(layer: NDArray[np.intp], limits: Limits, prices: Reals) -> float:
    """The least `s` that prices of the rows prove (Lagrangian duality): they count for
    `prices @ scale = 1` together, and every layer takes what is cheapest at them."""
    total = float(prices @ limits.scale)
    if total < TINY:
        return -np.inf
    each = prices @ limits.amounts / total
    starts = np.flatnonzero(np.diff(layer, prepend=-1))
    return float(np.minimum.reduceat(each, starts).sum() - prices @ limits.fixed / total)
