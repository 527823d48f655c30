"""Monotone functions on integers as steps: where each output level begins.

A non-decreasing function from an integer interval to few levels is fully told by the least
argument of every level. That makes a comparison of two such functions on *every* argument as
cheap as one on the two ends of each step, and a threshold table of any such function exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mantissas = NDArray[np.int64]
Function = Callable[[Mantissas], Mantissas]
"""From mantissas (..., channels) to mantissas of the same shape; non-decreasing per channel."""


@dataclass(frozen=True, eq=False)
class Steps:
    """A monotone function on [lo, hi] per channel, as the least argument of each level.

    `base` is the lowest level of all channels; `first[k]` (channels,) is the least x with
    `function(x) >= base + 1 + k`, or hi + 1 if no x reaches that level.
    """

    function: Function
    lo: Mantissas
    hi: Mantissas
    base: int
    first: Mantissas

    @staticmethod
    def of(function: Function, lo: Mantissas, hi: Mantissas) -> Steps:
        """Find the steps of `function` on lo..hi (channels,) by bisection."""
        base, top = int(function(lo).min()), int(function(hi).max())
        levels = np.arange(base + 1, top + 1)[:, None]
        return Steps(function, lo, hi, base, first_reaching(function, lo, hi, levels))

    @property
    def count(self) -> int:
        """The number of steps; one less than the number of levels."""
        return len(self.first)

    def agrees(self, other: Function) -> bool:
        """Whether another non-decreasing function has the same value everywhere.

        Two non-decreasing functions that agree at both ends of every step of one of them agree
        on all arguments.
        """
        ends = np.concatenate([self.first - 1, self.first, self.lo[None], self.hi[None]])
        ends = np.clip(ends, self.lo, self.hi)
        return np.array_equal(self.function(ends), other(ends))

    def differing_points(self, other: Function) -> Mantissas:
        """The number of arguments, for each channel, where another monotone function differs.

        Both functions are constant between two neighbours among the starts of their steps.
        """
        starts, distance = self._pieces(other)
        ends = np.concatenate([starts[1:], self.hi[None] + 1])
        return ((distance != 0) * (ends - starts)).sum(axis=0)

    def largest_difference(self, other: Function) -> int:
        """How far another monotone function is from this one, at most."""
        return int(np.abs(self._pieces(other)[1]).max(initial=0))

    def _pieces(self, other: Function) -> tuple[Mantissas, Mantissas]:
        """Where pieces begin on which both functions are constant, and how far they differ."""
        theirs = _starts(other, self.lo, self.hi)
        starts = np.sort(np.concatenate([self.lo[None], self.first, theirs]), axis=0)
        inside = np.minimum(starts, self.hi)  # a start at hi + 1 begins an empty piece
        return starts, other(inside) - self.function(inside)


def _starts(function: Function, lo: Mantissas, hi: Mantissas) -> Mantissas:
    """Where a function that rises or falls in each channel takes other values, lo to hi + 1."""
    first, last = function(lo), function(hi)
    sign = np.where(last < first, np.int64(-1), np.int64(1))
    low, high = np.where(sign < 0, -hi, lo), np.where(sign < 0, -lo, hi)
    ends = np.concatenate([first, last])
    levels = np.arange(int(ends.min()) + 1, int(ends.max()) + 1)[:, None]
    found = first_reaching(lambda x: function(sign * x), low, high, levels)
    return np.where(sign < 0, 1 - found, found)


def first_reaching(
    function: Function, lo: Mantissas, hi: Mantissas, levels: Mantissas
) -> Mantissas:
    """The least x in [lo, hi] with `function(x) >= level`, or hi + 1 where there is none.

    `lo` and `hi` have shape (channels,), `levels` (k, 1) or (k, channels), the result
    (k, channels). Bisection: log2(hi - lo) evaluations of k points per channel.
    """
    shape = np.broadcast_shapes(levels.shape, lo.shape)
    low = np.broadcast_to(lo, shape).copy()
    high = np.broadcast_to(hi + 1, shape).copy()
    while (low < high).any():
        middle = np.minimum((low + high) >> 1, hi)
        reached = function(middle) >= levels
        open_ = low < high
        high = np.where(open_ & reached, middle, high)
        low = np.where(open_ & ~reached, middle + 1, low)
    return low


def check_thresholds(thresholds: Mantissas, channels: int | None) -> None:
    """Raise ValueError unless the shape is (1, n) or (channels, n) and rows do not descend.

    Any number of rows will do where the number of channels is not known.
    """
    rows = thresholds.shape[0] if thresholds.ndim == 2 else 0
    if rows < 1 or (channels is not None and rows not in (1, channels)):
        raise ValueError(f"thresholds {thresholds.shape} are not one row, or one per channel")
    if (np.diff(thresholds, axis=1) < 0).any():
        raise ValueError("thresholds descend")


def threshold(x: Mantissas, thresholds: Mantissas, base: int) -> Mantissas:
    """`base` plus the number of thresholds that x reaches.

    `thresholds` has shape (channels, n), ascending in each row; channels is 1 or the size of
    the last axis of `x`.
    """
    if len(thresholds) == 1:
        return base + np.searchsorted(thresholds[0], x, side="right").astype(np.int64)
    result = np.empty(x.shape, np.int64)
    for channel, row in enumerate(thresholds):
        result[..., channel] = base + np.searchsorted(row, x[..., channel], side="right")
    return result


def lookup(x: Mantissas, table: Mantissas, origin: int) -> Mantissas:
    """`table[x - origin]`; raise IndexError outside the table rather than wrap around.

    A table (channels, n) has a row for each element of the last axis of `x`.
    """
    index, entries = x - origin, table.shape[-1]
    if index.size and (index.min() < 0 or index.max() >= entries):
        raise IndexError(f"lookup outside the table's {entries} entries from {origin}")
    return table[index] if table.ndim == 1 else table[np.arange(len(table)), index]
