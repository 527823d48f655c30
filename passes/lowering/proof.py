"""Proofs that a fixed-point chain equals its reference on every reachable operand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.steps import Function, Steps
from calocc.passes.lowering.chain import Chain

Mantissas = NDArray[np.int64]

WIDEST_CONSTANT = 40
LARGEST_PROOF = 1 << 22
"""Steps times channels beyond which monotone chains are not compared."""
MOST_OPERANDS = 1 << 20
"""Operands beyond which chains that are not monotone are not compared."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The channels of a chain, those with the same constants and bounds taken together.

    `first` holds one channel of each kind and `kind` the kind of each channel; `lo` and `hi`
    bound the operands of each kind.
    """

    first: NDArray[np.intp]
    kind: NDArray[np.intp]
    lo: Mantissas
    hi: Mantissas

    @staticmethod
    def of(chain: Chain, lo: Mantissas, hi: Mantissas) -> Columns:
        """Compare the channels of a chain on operands from `lo` to `hi` (channels,)."""
        constants = [c for stage in chain.stages for c in stage.constants if c.size > 1]
        rows = np.stack([*constants, lo, hi]) if lo.size > 1 else np.stack([lo, hi])
        _, first, kind = np.unique(rows, axis=1, return_index=True, return_inverse=True)
        return Columns(first, kind.reshape(-1), lo[first], hi[first])

    @property
    def counts(self) -> Mantissas:
        """How many channels there are of each kind."""
        return np.bincount(self.kind)

    @property
    def rows(self) -> int:
        """Rows of a stored function: one, or one per channel."""
        return len(self.kind) if len(self.first) > 1 else 1

    @property
    def points(self) -> int:
        """Operands of all channels together."""
        return int(((self.hi - self.lo + 1) * self.counts).sum())


@dataclass(frozen=True, eq=False)
class Proof(ABC):
    """A reference on all operands of each kind of channels."""

    columns: Columns

    @abstractmethod
    def differs(self, candidate: Function) -> Mantissas:
        """For each kind of channels, the number of operands that a candidate maps elsewhere."""

    @abstractmethod
    def agrees(self, candidate: Function) -> bool:
        """Whether a candidate equals the reference everywhere."""

    @abstractmethod
    def largest_difference(self, candidate: Function) -> int:
        """How far, in LSB of the result, a candidate is from the reference at most."""

    def differing_points(self, candidate: Function) -> int:
        """The number of operands, over all channels, that a candidate maps elsewhere."""
        return int((self.differs(candidate) * self.columns.counts).sum())


@dataclass(frozen=True, eq=False)
class Oriented(Proof):
    """A monotone reference by its steps; where it falls, the operand is multiplied by `sign`."""

    steps: Steps
    sign: Mantissas

    def agrees(self, candidate: Function) -> bool:
        """Compare at the ends of all steps."""
        return self.steps.agrees(turn(candidate, self.sign))

    def differs(self, candidate: Function) -> Mantissas:
        """Compare between all steps of both."""
        return self.steps.differing_points(turn(candidate, self.sign))

    def largest_difference(self, candidate: Function) -> int:
        """Compare between all steps of both."""
        return self.steps.largest_difference(turn(candidate, self.sign))


@dataclass(frozen=True, eq=False)
class Enumerated(Proof):
    """Any reference, operand by operand: `operands` and `results` are (points, kinds)."""

    operands: Mantissas
    results: Mantissas

    def agrees(self, candidate: Function) -> bool:
        """Compare everywhere."""
        return np.array_equal(candidate(self.operands), self.results)

    def differs(self, candidate: Function) -> Mantissas:
        """Compare everywhere; the last operand of a short column stands there many times."""
        other = candidate(self.operands) != self.results
        own = np.arange(len(self.operands))[:, None] <= self.columns.hi - self.columns.lo
        return (other & own).sum(axis=0)

    def largest_difference(self, candidate: Function) -> int:
        """Compare everywhere."""
        return int(np.abs(candidate(self.operands) - self.results).max(initial=0))


def prove(chain: Chain, columns: Columns) -> Proof | None:
    """All that has to be known of a chain on `columns`; None where it is too much to look at."""
    reference = chain.channels(columns.first).reference
    if chain.monotone:
        return _oriented(reference, columns)
    span = int((columns.hi - columns.lo).max()) + 1
    if span * prod(columns.lo.shape) > MOST_OPERANDS:
        return None
    operands = np.minimum(columns.lo + np.arange(span)[:, None], columns.hi)
    return Enumerated(columns, operands, reference(operands))


def _oriented(reference: Function, columns: Columns) -> Oriented | None:
    lo, hi = columns.lo, columns.hi
    first, last = reference(lo), reference(hi)
    sign = np.where(last < first, np.int64(-1), np.int64(1))
    low, high = np.where(sign < 0, -hi, lo), np.where(sign < 0, -lo, hi)
    levels = max(first.max(), last.max()) - min(first.min(), last.min())
    if int(levels) * len(lo) > LARGEST_PROOF:
        return None
    return Oriented(columns, Steps.of(turn(reference, sign), low, high), sign)


def turn(function: Function, sign: Mantissas) -> Function:
    """The function of `sign * x`."""
    return lambda x: function(sign * x)


@dataclass(frozen=True)
class Fit:
    """Constants of so many bits, the operands that they map elsewhere than the reference, and
    how far they do in LSB of the result."""

    bits: int
    differing: int = 0
    largest: int = 0


def fit(chain: Chain, proof: Proof, most: int = 0) -> Fit:
    """The fewest constant bits with which the fixed-point chain is `most` LSB or less from its
    reference; as many as possible where no width is enough.

    Raises OverflowError where even constants of one bit need too wide products.
    """
    bits, candidate = 0, None
    for bits, candidate in _candidates(chain, proof.columns):
        if proof.agrees(candidate):
            return Fit(bits)
        if most and proof.largest_difference(candidate) <= most:
            break
    if candidate is None:
        raise OverflowError("constants of one bit need too many bits")
    differing = proof.differing_points(candidate)
    return Fit(bits, differing, proof.largest_difference(candidate))


def _candidates(chain: Chain, columns: Columns) -> Iterator[tuple[int, Function]]:
    """The fixed-point chain with constants of ever more bits, while they are not too many."""
    part = chain.channels(columns.first)
    for bits in range(1, WIDEST_CONSTANT + 1):
        try:
            constants = part.constants(bits)
            part.check_width(constants, columns.lo, columns.hi)
        except OverflowError:
            return
        yield bits, part.with_constants(constants)
