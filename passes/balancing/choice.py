"""Choosing a folding for each matrix product under prices for time and for resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.foldings import Foldings, Pin
from calocc.dialects.dataflow.resources import Resources
from calocc.passes.balancing.program import Limits, least

RATIOS = tuple(k / 16 for k in range(1, 16))
"""Prices of DSP slices, against one minus that for all other resources."""
LOWEST_PRICE, HIGHEST_PRICE = 1e-3, 1e12
"""Cycles that all of a resource may be worth."""
STEPS = 32
"""Halvings in the search for a price, on a logarithmic scale."""
NEAREST = 1.03
"""The least ratio between the cycles of two options."""
LATE = 1e3
"""What the whole of an allowance of cycles counts for, in devices."""
SUM = 1e-3
"""What the sum of all parts of a device counts for, against the largest."""
SAME = 1e-9
"""Parts of a device, or of what is compared, that make no difference."""
Amounts = NDArray[np.float64]
Picks = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """What a matrix product gets: cycles per event, and whether it multiplies in logic.

    They are those of the windows in front where they take more.
    """

    cycles: int
    in_logic: bool = False


def amounts(used: Resources) -> Amounts:
    """Resources as a vector, DSP slices first."""
    return np.array([used.dsp, used.bram18, used.uram, used.lut, used.ff], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Options:
    """The foldings of a layer that no other beats in both time and resources."""

    shares: Sequence[Share]
    cycles: NDArray[np.float64]
    costs: Amounts
    """(options, resources)"""

    @staticmethod
    def of(op: MatvecOp, pin: Pin) -> Options:
        """The foldings that a pin leaves, with both kinds of multipliers."""
        shares: list[Share] = []
        costs: list[Amounts] = []
        cost = op.costs()
        for in_logic in (False, True):
            for cycles, folding in _spread(op.foldings(pin, in_logic)):
                shares.append(Share(cycles, in_logic))
                costs.append(amounts(cost(*folding, in_logic)))
        return Options(shares, np.array([s.cycles for s in shares], np.float64), np.array(costs))


def _spread(found: Foldings) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Foldings whose cycles differ by a share that is worth telling apart, the fastest first."""
    last = 0
    for k, cycles in enumerate(found.cycles.tolist()):
        if cycles > last * NEAREST and found.cheapest(cycles).start == k:
            last = cycles
            yield cycles, min(found.triples(found.cheapest(cycles)), key=lambda t: (t[2], t[1]))


@dataclass(frozen=True, eq=False)
class Market:
    """The options of all layers, and what there is for them to share.

    `cycles` (layers, options) and `costs` (layers, options, resources) are padded with foldings
    that take forever.
    """

    shares: Sequence[Sequence[Share]]
    cycles: Amounts
    costs: Amounts
    available: Amounts

    @staticmethod
    def of(layers: Sequence[Options], available: Amounts) -> Market:
        """Bring the options of all layers into one array."""
        most = max((len(o.shares) for o in layers), default=0)
        cycles = np.full((len(layers), most), np.inf)
        costs = np.zeros((len(layers), most, len(available)))
        for k, options in enumerate(layers):
            cycles[k, : len(options.shares)] = options.cycles
            costs[k, : len(options.shares)] = options.costs
        return Market([o.shares for o in layers], cycles, costs, available)

    def divide(self, weights: Amounts, most: float, spent: Amounts) -> tuple[Share, ...] | None:
        """The shares of least weighted cycles that fit beside what is `spent` already, no layer
        taking more than `most` cycles if it can.

        Optimal for the prices at which they fit; None if nothing fits.
        """
        within = self.cycles <= np.maximum(most, self.cycles.min(axis=1, initial=np.inf))[:, None]
        times = np.where(within, self.cycles, np.inf)
        weighted = np.where(within, weights[:, None] * np.where(within, times, 0), np.inf)
        if not self.shares:
            return ()
        room, rows = self.available - spent, np.arange(len(weights))
        found = (self._at_ratio(weighted, room, ratio) for ratio in RATIOS)
        picks = [self._filled(weighted, room, p) for p in found if p is not None]
        if not picks:
            return None
        best = min(picks, key=lambda p: float(weighted[rows, p].sum()))
        return tuple(own[int(k)] for own, k in zip(self.shares, best, strict=True))

    def cheapest(
        self, chains: Amounts, allowed: Amounts, most: float, spent: Amounts, device: Amounts
    ) -> tuple[Share, ...]:
        """Shares that take the least part of any resource of a device beside what is `spent`, then
        the least sum of those parts; with at most `most` cycles in a layer and `allowed` weighted
        cycles in all for each of the `chains` (chains, layers).

        Starts where the linear relaxation mixes most of, and changes layer by layer as long as
        that helps. Where too many cycles are left, there are as few as possible.
        """
        if not self.shares:
            return ()
        within = self.cycles <= np.maximum(most, self.cycles.min(axis=1))[:, None]
        times = chains[:, :, None] * np.where(within, self.cycles, 0)
        parts = np.where(within[:, :, None], self.costs / np.maximum(device, 1), np.inf)
        base = spent / np.maximum(device, 1)
        picks = self._mixed_most(times, within, parts, base, allowed)
        rows, best = np.arange(len(picks)), np.inf
        while True:
            own, wait = parts[rows, picks], times[:, rows, picks]
            used = base + own.sum(axis=0) - own[:, None] + parts
            cycles = wait.sum(axis=1)[:, None, None] - wait[:, :, None] + times
            late = np.maximum(cycles / allowed[:, None, None] - 1, 0).max(axis=0, initial=0)
            worth = LATE * late + used.max(axis=2) + SUM * used.sum(axis=2)
            layer, option = np.unravel_index(np.argmin(worth), worth.shape)
            found = float(worth[layer, option])
            best = min(best, float(worth[0, picks[0]]))
            if not found < best - SAME * max(best, 1):  # rounding must not lead round in circles
                return tuple(own[int(k)] for own, k in zip(self.shares, picks, strict=True))
            picks[layer], best = option, found

    def _mixed_most(
        self, times: Amounts, within: Flags, parts: Amounts, base: Amounts, allowed: Amounts
    ) -> Picks:
        """The option of each layer that the relaxation takes most of, else the fastest."""
        layer, option = np.nonzero(within)
        resources = parts[layer, option].T
        rows = np.concatenate([resources, times[:, layer, option]])
        scale = np.append(np.ones(len(resources)), np.zeros(len(times)))
        mixture = least(layer, Limits(rows, np.append(-base, allowed), scale))
        if mixture is None:
            return self.cycles.argmin(axis=1)
        shown = np.zeros(within.shape)
        shown[layer, option] = mixture.parts
        return shown.argmax(axis=1)

    def _at_ratio(self, weighted: Amounts, room: Amounts, ratio: float) -> Picks | None:
        """The best picks with this ratio of prices, the lowest prices at which they fit."""
        unit = np.array([ratio, *(1 - ratio,) * 4]) / np.maximum(self.available, 1)
        prices, rows = self.costs @ unit, np.arange(len(weighted))
        low, high = LOWEST_PRICE, HIGHEST_PRICE
        fitting: Picks | None = None
        for step in range(STEPS):
            middle = (low * high) ** 0.5 if step else high
            picks = np.argmin(weighted + middle * prices, axis=1)
            if np.all(self.costs[rows, picks].sum(axis=0) <= room):
                high, fitting = middle, picks
            elif fitting is None:
                return None
            else:
                low = middle
        return fitting

    def _filled(self, weighted: Amounts, room: Amounts, picks: Picks) -> Picks:
        """Use what prices leave over: the layer that gains most first, as long as it fits."""
        rows = np.arange(len(picks))
        while True:
            costs = self.costs[rows, picks]
            used = costs.sum(axis=0) - costs[:, None] + self.costs
            gain = weighted[rows, picks][:, None] - weighted
            gain = np.where(np.all(used <= room, axis=2), gain, 0)
            layer, option = np.unravel_index(np.argmax(gain), gain.shape)
            if gain[layer, option] <= 0:
                return picks
            picks = np.where(rows == layer, option, picks)
