"""The foldings of matrix products that are worth choosing from, and what there is for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.foldings import Foldings, Pin
from calocc.dialects.dataflow.resources import Resources
from calocc.passes.balancing.pixels import FEATURES, features_of

NEAREST = 1.03
"""The least ratio between the cycles of two options."""
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
    features: Amounts
    """(options, FEATURES), see `pixels.py`"""
    costs: Amounts
    """(options, resources)"""

    @staticmethod
    def of(op: MatvecOp, pin: Pin) -> Options:
        """The foldings that a pin leaves, with both kinds of multipliers."""
        shares: list[Share] = []
        folded: list[tuple[int, int, int]] = []
        for in_logic in (False, True):
            for cycles, folding in _spread(op.foldings(pin, in_logic)):
                shares.append(Share(cycles, in_logic))
                folded.append(folding)
        price = op.costs()
        costs = [price(*f, s.in_logic) for f, s in zip(folded, shares, strict=True)]
        cycles = np.array([s.cycles for s in shares], np.float64)
        features = features_of(op, *np.array(folded, np.int64).T)
        return Options(shares, cycles, features, np.array([amounts(c) for c in costs]))


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

    `cycles` (layers, options), `features` (layers, options, FEATURES) and `costs` (layers, options,
    resources) are padded with foldings that take forever.
    """

    shares: Sequence[Sequence[Share]]
    cycles: Amounts
    features: Amounts
    costs: Amounts
    available: Amounts

    @staticmethod
    def of(layers: Sequence[Options], available: Amounts) -> Market:
        """Bring the options of all layers into one array."""
        most = max((len(o.shares) for o in layers), default=0)
        cycles = np.full((len(layers), most), np.inf)
        features = np.zeros((len(layers), most, FEATURES))
        costs = np.zeros((len(layers), most, len(available)))
        for k, options in enumerate(layers):
            cycles[k, : len(options.shares)] = options.cycles
            features[k, : len(options.shares)] = options.features
            costs[k, : len(options.shares)] = options.costs
        return Market([o.shares for o in layers], cycles, features, costs, available)

    @property
    def quickest(self) -> Amounts:
        """The least of each feature that an option of a layer has (layers, FEATURES)."""
        exists = np.isfinite(self.cycles)[:, :, None]
        return np.where(exists, self.features, np.inf).min(axis=1, initial=np.inf)

    def within(self, most: float) -> Flags:
        """Which options (layers, options) take `most` cycles at most: of a layer that has none, the
        fastest."""
        least = self.cycles.min(axis=1, initial=np.inf)
        return np.isfinite(self.cycles) & (self.cycles <= np.maximum(most, least)[:, None])

    def parts(self, unit: Amounts) -> Amounts:
        """What options take of each resource (resources, layers, options)."""
        return np.moveaxis(self.costs / unit, 2, 0)

    def waits(self, coefficients: Amounts) -> Amounts:
        """What options add to a chain (layers, options)."""
        return np.einsum("lf,lof->lo", coefficients, self.features)


@dataclass(frozen=True)
class Choice:
    """A share for each layer. No choice is below the `bound` in what was made small; it is infinite
    if there is no choice within the limits, which these shares then exceed as little as possible.
    """

    shares: tuple[Share, ...]
    bound: float
