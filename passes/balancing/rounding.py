"""Options in place of the mixtures of a linear program."""

from __future__ import annotations

from collections.abc import Iterator
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
TIGHT = 4
"""Rows of either kind by which changes of two layers are judged before all are looked at."""
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
            for layers, options in self._changes(picks, worth):
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

    def _changes(self, picks: Picks, worth: float) -> Iterator[Change]:
        """What to try: the best change of one layer, and then of two, if any may help."""
        yield self._one(picks)
        if (pair := self._two(picks, worth)) is not None:
            yield pair

    def _one(self, picks: Picks) -> Change:
        """The best change of one layer."""
        own = self.rows.amounts[:, np.arange(len(picks)), picks]
        sums = (own.sum(axis=1)[:, None] - own)[:, :, None] + self.rows.amounts
        worth = np.where(np.isfinite(self.cycles), self._worth(sums), np.inf)
        layer, option = np.unravel_index(np.argmin(worth), worth.shape)
        return np.array([layer]), np.array([option])

    def _two(self, picks: Picks, most: float) -> Change | None:
        """The best change of two layers that makes a choice worth less than `most`."""
        layers, near = np.arange(len(picks)), self._near(picks)
        own = self.rows.amounts[:, layers, picks]
        sums = own.sum(axis=1)
        more = self.rows.amounts[:, layers[:, None], near] - own[:, :, None]
        exists = np.isfinite(self.cycles[layers[:, None], near])
        a, b = np.triu_indices(len(picks), 1)
        hopeful = self._at_least(sums, more, a, b) < most
        pair, i, j = np.nonzero(hopeful & exists[a][:, :, None] & exists[b][:, None, :])
        if not len(pair):
            return None
        a, b = a[pair], b[pair]
        best = np.argmin(self._worth(sums[:, None] + more[:, a, i] + more[:, b, j]))
        changed = [a[best], b[best]]
        return np.array(changed), near[changed, [i[best], j[best]]]

    def _near(self, picks: Picks) -> NDArray[np.intp]:
        """The options of each layer whose cycles are nearest to those of the one picked."""
        own = self.cycles[np.arange(len(picks)), picks]
        distance = np.abs(np.log(self.cycles / own[:, None]))
        return np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]

    def _at_least(self, sums: Reals, more: Reals, a: Picks, b: Picks) -> Reals:
        """What changes of layers `a` and `b` (pairs, options, options) are worth at least: by the
        rows that are nearest to their limits."""
        above, soft = sums - self.rows.fixed, self.rows.scale > 0
        first = np.argsort(-above, kind="stable")
        hard, tops = first[~soft[first]][:TIGHT], first[soft[first]][:TIGHT]

        def changed(base: Reals, own: Reals) -> Reals:
            return base[..., None, None, None] + own[..., a, :, None] + own[..., b, None, :]

        total = changed(above[soft].sum(keepdims=True)[0], more[soft].sum(axis=0))
        return _worth(changed(above[hard], more[hard]), changed(above[tops], more[tops]), total)

    def _worth(self, sums: Reals) -> Reals:
        """How much there is in sums (rows, ...) of what should be small, limits that are not met
        above all."""
        above = sums - self.rows.fixed.reshape(-1, *(1,) * (sums.ndim - 1))
        soft = self.rows.scale > 0
        return _worth(above[~soft], above[soft], above[soft].sum(axis=0))


def _worth(hard: Reals, soft: Reals, total: Reals) -> Reals:
    """By how much limits are not met, then the most of what should be small, then its total."""
    return LATE * np.maximum(hard, 0).sum(axis=0) + soft.max(axis=0) + SUM * total
