"""Dividing what a device has among layers, so that the longest chain of waits is short.

Which chain is longest depends on the foldings, and there are too many to write them all down. So
the linear program starts with one; the longest chain of its optimum (`pixels.py`) joins the others,
until there is none that is longer than those it knows: Kelley's method of cutting planes. Rounding
to foldings then goes on in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from calocc.passes.balancing.choice import Amounts, Choice, Flags, Market, Picks
from calocc.passes.balancing.pixels import Chain, Pixels
from calocc.passes.balancing.program import Limits, Program
from calocc.passes.balancing.rounding import Descent

PLANES = 40
"""Chains that join a linear program at most."""
ROUNDINGS = 12
"""Chains that are met at most in rounding its optimum."""
CLOSE = 2e-4
"""The part by which a chain may be longer than all known ones."""


@dataclass(frozen=True)
class Allowance:
    """What chains may take: `cycles`, or where it is `soft` as few beyond as possible. Rows count
    in `unit` cycles."""

    cycles: float
    unit: float
    soft: bool


@dataclass
class Division:
    """Chooses foldings of a market, by the chains of a design in time by pixels."""

    market: Market
    pixels: Pixels
    _known: list[Chain] = field(default_factory=list[Chain])

    def smallest(self, most: float, spent: Amounts, device: Amounts) -> Choice:
        """The least part of any resource of a device beside what is `spent`, then the least sum of
        those parts, with at most `most` cycles in a layer."""
        return self._choice(self._parts(spent, device), None, most)

    def least_parts(self, spent: Amounts, device: Amounts) -> Callable[[float], float]:
        """What `smallest` cannot be below, for the most cycles of a layer."""
        layer, option = np.nonzero(self.market.within(np.inf))
        program = Program(layer, self._parts(spent, device).among(layer, option))

        def least(most: float) -> float:
            program.allow(self.market.within(most)[layer, option])
            mixture = program.least()
            return np.inf if mixture is None else mixture.bound

        return least

    def cheapest(
        self, latency: int, most: float, spent: Amounts, device: Amounts, met: Sequence[Chain]
    ) -> Choice:
        """`smallest` among those for which no chain is longer than the `latency`, nor any that was
        `met`."""
        allowed = Allowance(latency, latency, soft=False)
        return self._choice(self._parts(spent, device), allowed, most, met)

    def fastest(self, most: float, spent: Amounts) -> Choice:
        """The shortest of all longest chains, then the least sum of chains, within what is
        available beside what is `spent`; with at most `most` cycles in a layer."""
        unit = np.maximum(self.market.available, 1)
        room = (self.market.available - spent) / unit
        rows = Limits(self.market.parts(unit), room, np.zeros(len(unit)))
        first = self.pixels.longest(self.market.quickest)
        self._known = self._known or [first]  # with no chain there is no end to what is best
        allowed = Allowance(0.0, first.cycles(self.market.quickest), soft=True)
        return self._choice(rows, allowed, most)

    def _parts(self, spent: Amounts, device: Amounts) -> Limits:
        unit = np.maximum(device, 1)
        return Limits(self.market.parts(unit), -spent / unit, np.ones(len(unit)))

    def _choice(
        self, rows: Limits, allowed: Allowance | None, most: float, met: Sequence[Chain] = ()
    ) -> Choice:
        market, within = self.market, self.market.within(most)
        if not market.shares:
            return Choice((), rows.least())
        parts, bound = self._mixed(rows, within, allowed, met)
        picks = (market.cycles if parts is None else -parts).argmin(axis=1)
        picks = self._rounded(rows, within, allowed, met, picks)
        shares = (own[int(k)] for own, k in zip(market.shares, picks, strict=True))
        return Choice(tuple(shares), bound)

    def _mixed(
        self, rows: Limits, within: Flags, allowed: Allowance | None, met: Sequence[Chain]
    ) -> tuple[Amounts | None, float]:
        """The best mixture of options (layers, options), if there is any, and its bound."""
        layer, option = np.nonzero(within)
        program = Program(layer, rows.among(layer, option))
        if allowed and (chains := [*met, *self._known]):
            program.add(self._waits(chains, allowed).among(layer, option))
        parts, bound = None, np.inf
        for _ in range(PLANES):
            if (mixture := program.least()) is None:
                return None, np.inf
            parts, bound = np.zeros(within.shape), mixture.bound
            parts[layer, option] = mixture.parts
            features = np.einsum("lo,lof->lf", parts, self.market.features)
            if allowed is None or (chain := self._new(features, allowed, met)) is None:
                break
            program.add(self._waits([chain], allowed).among(layer, option))
        return parts, bound

    def _rounded(
        self,
        rows: Limits,
        within: Flags,
        allowed: Allowance | None,
        met: Sequence[Chain],
        picks: Picks,
    ) -> Picks:
        """Options near those picked, such that changing one or two does not help."""
        cycles, places = np.where(within, self.market.cycles, np.inf), np.arange(len(picks))
        if allowed:
            rows = rows + self._waits([*met, *self._known], allowed)
        for _ in range(ROUNDINGS):
            picks = Descent(rows, cycles).from_(picks)
            features = self.market.features[places, picks]
            if allowed is None or (chain := self._new(features, allowed, met)) is None:
                break
            rows = rows + self._waits([chain], allowed)
        return picks

    def _new(self, features: Amounts, allowed: Allowance, met: Sequence[Chain]) -> Chain | None:
        """The longest chain for the features of each layer, if it is longer than all known ones and
        than is allowed."""
        chain = self.pixels.longest(features)
        known = (c.cycles(features) for c in (*met, *self._known))
        if chain.cycles(features) <= max(allowed.cycles, *known, 0.0) * (1 + CLOSE):
            return None
        self._known.append(chain)
        return chain

    def _waits(self, chains: Sequence[Chain], allowed: Allowance) -> Limits:
        rests = np.array([c.constant for c in chains])
        waits = np.array([self.market.waits(c.coefficients) for c in chains])
        waits = waits.reshape(len(chains), *self.market.cycles.shape)
        soft = np.full(len(chains), float(allowed.soft))
        return Limits(waits / allowed.unit, (allowed.cycles - rests) / allowed.unit, soft)
