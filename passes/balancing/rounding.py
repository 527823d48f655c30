"""Options in place of the mixtures of a linear program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calocc.passes.balancing.program import Limits

LATE = 1e3
"""What the whole of a limit counts for that is not met, against what should be small."""
SUM = 1e-3
"""What the sum of all that should be small counts for, against the largest."""
SAME = 1e-9
"""Parts of what is compared that make no difference."""
NEIGHBOURS = 12
"""Options of a layer that are tried together with those of another."""
Reals = NDArray[np.float64]
Picks = NDArray[np.intp]
Change = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Layers, and the options that they get."""


@dataclass(frozen=True, eq=False)
class Descent:
    """Improves a choice of options by changing those of a layer, or of two layers to others of
    about the same `cycles` (layers, options), as long as that helps. Rows are (rows, layers,
    options). Options of infinite cycles are never taken."""

    rows: Limits
    cycles: Reals

    def from_(self, picks: Picks) -> Picks:
        """The choice that no such change improves, starting with one option of each layer."""
        picks, worth = picks.copy(), self._of(picks)
        while len(picks):
            for change in (self._one, self._two)[: len(picks)]:
                layers, options = change(picks)
                trial = picks.copy()
                trial[layers] = options
                if (better := self._of(trial)) < worth - SAME * max(worth, 1):
                    picks, worth = trial, better
                    break
            else:
                break  # rounding must not lead round in circles: `SAME`
        return picks

    def _of(self, picks: Picks) -> float:
        return float(self._worth(self.rows.amounts[:, np.arange(len(picks)), picks].sum(axis=1)))

    def _one(self, picks: Picks) -> Change:
        """The best change of one layer."""
        own = self.rows.amounts[:, np.arange(len(picks)), picks]
        sums = (own.sum(axis=1)[:, None] - own)[:, :, None] + self.rows.amounts
        worth = np.where(np.isfinite(self.cycles), self._worth(sums), np.inf)
        layer, option = np.unravel_index(np.argmin(worth), worth.shape)
        return np.array([layer]), np.array([option])

    def _two(self, picks: Picks) -> Change:
        """The best change of two layers."""
        layers = np.arange(len(picks))
        near = self._near(picks)
        own = self.rows.amounts[:, layers, picks]
        more = self.rows.amounts[:, layers[:, None], near] - own[:, :, None]
        a, b = np.triu_indices(len(picks), 1)
        sums = own.sum(axis=1)[:, None, None, None] + more[:, a, :, None] + more[:, b, None, :]
        barred = ~np.isfinite(self.cycles[layers[:, None], near])
        worth = np.where(barred[a][:, :, None] | barred[b][:, None, :], np.inf, self._worth(sums))
        pair, i, j = np.unravel_index(np.argmin(worth), worth.shape)
        return np.array([a[pair], b[pair]]), np.array([near[a[pair], i], near[b[pair], j]])

    def _near(self, picks: Picks) -> NDArray[np.intp]:
        """The options of each layer whose cycles are nearest to those of the one picked."""
        own = self.cycles[np.arange(len(picks)), picks]
        distance = np.abs(np.log(self.cycles / own[:, None]))
        return np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]

    def _worth(self, sums: Reals) -> Reals:
        """How much there is in sums (rows, ...) of what should be small, limits that are not met
        above all."""
        above = sums - self.rows.fixed.reshape(-1, *(1,) * (sums.ndim - 1))
        soft = self.rows.scale > 0
        late = np.maximum(above[~soft], 0).sum(axis=0)
        return LATE * late + above[soft].max(axis=0) + SUM * above[soft].sum(axis=0)
