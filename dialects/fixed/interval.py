"""Closed intervals of fixed-point values, one per element of a tensor. Free of xDSL.

Interval arithmetic as in Moore, Kearfott and Cloud, "Introduction to Interval Analysis" (SIAM,
2009), on integers: nothing is rounded, so every bound is exact for independent operands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import overflow_side, quantize
from calocc.dialects.fixed.format import Format, Overflow, Rounding

Ints = NDArray[np.int64]

BOUND_BITS = 62
"""Bounds lie in -2^62 to 2^62 - 1, so that the sum of two never leaves int64."""

EXACT = 2.0**51
"""Twice of sums up to this, and all partial sums, are integers that float64 holds."""
_SAFE = 1.5 * 2.0**BOUND_BITS  # a float64 estimate below this is a true value below 2^63


@dataclass(frozen=True, eq=False)
class Interval:
    """All values `m * 2^-frac` with an integer `lo <= m <= hi`, for each tensor element.

    `lo` and `hi` have one shape, which broadcasts against the shape of the tensor without its
    batch dimension: the last axis is the channel axis, leading axes may be 1 or missing. Raises
    OverflowError for a bound beyond `BOUND_BITS` bits (so does every operation), ValueError for
    an empty interval or bounds of different shapes.
    """

    lo: Ints
    hi: Ints
    frac: int

    def __post_init__(self) -> None:
        if self.lo.shape != self.hi.shape:
            raise ValueError(f"bounds of shapes {self.lo.shape} and {self.hi.shape}")
        if (self.lo > self.hi).any():
            raise ValueError("a lower bound lies above its upper bound")
        if not _representable(*self._extremes):
            raise _overflow(self.frac)

    @staticmethod
    def of_format(format: Format, shape: tuple[int, ...]) -> Interval:
        """Everything `format` can hold; for a tensor shape (..., C) the bounds are (1, ..., C)."""
        if not _representable(format.min_mantissa, format.max_mantissa):
            raise _overflow(format.frac)
        small = (*(1 for _ in shape[:-1]), *shape[-1:])
        return Interval(
            np.full(small, format.min_mantissa, np.int64),
            np.full(small, format.max_mantissa, np.int64),
            format.frac,
        )

    @staticmethod
    def constant(mantissas: Ints, frac: int) -> Interval:
        """The single values `mantissas * 2^-frac`."""
        return Interval(mantissas, mantissas, frac)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the bounds, not of the tensor they bound."""
        return self.lo.shape

    def aligned(self, frac: int) -> Interval:
        """The same values with bounds at `frac`, which must not be below the present one.

        Raises ValueError for a smaller `frac`, OverflowError as every operation does.
        """
        shift = frac - self.frac
        if shift < 0:
            raise ValueError(f"an interval at 2^{-self.frac} cannot be stated at 2^{-frac}")
        if shift == 0:
            return self
        lo, hi = self._extremes
        if not _representable(lo << min(shift, 64), hi << min(shift, 64)):
            raise _overflow(frac)
        shift = min(shift, BOUND_BITS)  # only zeros get here with a larger shift
        return Interval(self.lo << np.int64(shift), self.hi << np.int64(shift), frac)

    def add(self, other: Interval) -> Interval:
        """Of `x + y`."""
        a, b = _alike(self, other)
        return _checked(a.lo + b.lo, a.hi + b.hi, a.frac)

    def subtract(self, other: Interval) -> Interval:
        """Of `x - y`."""
        a, b = _alike(self, other)
        return _checked(a.lo - b.hi, a.hi - b.lo, a.frac)

    def multiply(self, other: Interval) -> Interval:
        """Of `x * y`, at the sum of the fracs."""
        frac = self.frac + other.frac
        if self._magnitude() * other._magnitude() >= _SAFE:
            _check_products(self, other, frac)
        products = [a * b for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return _checked(reduce(np.minimum, products), reduce(np.maximum, products), frac)

    def maximum(self, other: Interval) -> Interval:
        """Of `max(x, y)`."""
        a, b = _alike(self, other)
        return _checked(np.maximum(a.lo, b.lo), np.maximum(a.hi, b.hi), a.frac)

    def minimum(self, other: Interval) -> Interval:
        """Of `min(x, y)`."""
        a, b = _alike(self, other)
        return _checked(np.minimum(a.lo, b.lo), np.minimum(a.hi, b.hi), a.frac)

    def negate(self) -> Interval:
        """Of `-x`."""
        return _checked(-self.hi, -self.lo, self.frac)

    def quantize(self, to: Format, rounding: Rounding, overflow: Overflow) -> Interval:
        """Of the value quantized to `to`.

        Saturation is monotone, so its bounds are exact. Where `sat_zero` may overflow, the
        interval is extended to 0; where `wrap` may overflow, it is the whole range of `to`.
        """
        clipping = Overflow.SAT if overflow is not Overflow.SAT_SYM else overflow
        lo = quantize(self.lo, self.frac, to, rounding, clipping)
        hi = quantize(self.hi, self.frac, to, rounding, clipping)
        below = overflow_side(self.lo, self.frac, to, rounding)
        above = overflow_side(self.hi, self.frac, to, rounding)
        inside = (below == 0) & (above == 0)
        if overflow is Overflow.WRAP:
            lo = np.where(inside, lo, np.int64(to.min_mantissa))
            hi = np.where(inside, hi, np.int64(to.max_mantissa))
        elif overflow is Overflow.SAT_ZERO:
            all_outside = (below > 0) | (above < 0)
            lo = np.where(inside, lo, np.where(all_outside, 0, np.minimum(lo, 0)))
            hi = np.where(inside, hi, np.where(all_outside, 0, np.maximum(hi, 0)))
        return _checked(lo, hi, to.frac)

    def hull(self, other: Interval) -> Interval:
        """The least interval that contains both, element by element."""
        a, b = _alike(self, other)
        return _checked(np.minimum(a.lo, b.lo), np.maximum(a.hi, b.hi), a.frac)

    @staticmethod
    def merge(intervals: Iterable[Interval]) -> Interval:
        """The hull of one or more intervals; ValueError if there is none."""
        given = list(intervals)
        if not given:
            raise ValueError("the hull of no intervals")
        return reduce(Interval.hull, given)

    def broadcast(self, shape: tuple[int, ...]) -> Interval:
        """One pair of bounds per element of a tensor of `shape` (read-only views)."""
        if self.lo.shape == shape:
            return self
        lo, hi = np.broadcast_to(self.lo, shape), np.broadcast_to(self.hi, shape)
        return Interval(lo, hi, self.frac)

    def reshape(self, from_shape: tuple[int, ...], to_shape: tuple[int, ...]) -> Interval:
        """Of a tensor reshaped in row-major order; both shapes are without batch.

        Leading axes along which no bound changes come back as 1. Raises ValueError if the number
        of elements differs or the interval does not broadcast to `from_shape`.
        """
        if prod(from_shape) != prod(to_shape):
            raise ValueError(f"{from_shape} and {to_shape} differ in their number of elements")
        full = self.broadcast(from_shape)
        return Interval(full.lo.reshape(to_shape), full.hi.reshape(to_shape), self.frac).compact()

    def compact(self) -> Interval:
        """The same interval with every leading axis of 1 along which no bound changes."""
        return self._compact

    @cached_property
    def _compact(self) -> Interval:
        lo, hi = self.lo, self.hi
        for axis in (a for a in range(lo.ndim - 1) if lo.shape[a] != 1):
            first_lo, first_hi = lo.take([0], axis), hi.take([0], axis)
            if np.all(lo == first_lo) and np.all(hi == first_hi):
                lo, hi = first_lo, first_hi
        return self if lo is self.lo else Interval(lo, hi, self.frac)

    def collapse(self) -> Interval:
        """The hull over all axes but the last: bounds of shape (C,), or () for a scalar."""
        leading = tuple(range(self.lo.ndim - 1))
        lo, hi = np.min(self.lo, axis=leading), np.max(self.hi, axis=leading)
        return Interval(np.asarray(lo), np.asarray(hi), self.frac)

    def format(self) -> Format:
        """The narrowest format at `frac` that holds every value."""
        return Format.holding(*self._extremes, self.frac)

    def holds(self, format: Format) -> bool:
        """Whether `format` represents every value exactly.

        A format with fewer fractional bits does not, whatever the bounds.
        """
        shift = format.frac - self.frac
        if shift < 0:
            return False
        lo, hi = self._extremes
        return format.holds(lo << shift, hi << shift)

    def contains(self, mantissas: Ints) -> bool:
        """Whether all `mantissas`, at this `frac` and broadcastable to `shape`, lie within."""
        return bool(np.all((self.lo <= mantissas) & (mantissas <= self.hi)))

    @cached_property
    def _extremes(self) -> tuple[int, int]:
        """The least and the greatest mantissa of all; (0, 0) for no elements."""
        if self.lo.size == 0:
            return 0, 0
        return int(self.lo.min()), int(self.hi.max())

    def _magnitude(self) -> float:
        """The greatest absolute mantissa."""
        return float(max(map(abs, self._extremes)))


def matmul_interval(x: Interval, w: Ints, w_frac: int) -> Interval:
    """Bounds (M,) of `sum over n of x[n] * w[n, m]` for `x` of shape (N,) and fixed `w` (N, M).

    Exact for independent inputs: a positive weight takes its input's upper bound for the maximum,
    a negative one the lower bound. Raises OverflowError where the sum of magnitudes needs more
    than `BOUND_BITS` bits, which also keeps every partial sum, in any order, in int64.
    """
    if x.lo.ndim != 1 or w.ndim != 2 or w.shape[0] != x.lo.shape[0]:
        raise ValueError(f"an interval of shape {x.shape} against weights of shape {w.shape}")
    frac = x.frac + w_frac
    largest = np.maximum(np.abs(x.lo), np.abs(x.hi)).astype(np.float64)
    real = w.astype(np.float64)
    most = float(np.max(largest @ np.abs(real), initial=0.0))
    if most >= 2.0**BOUND_BITS:
        raise _overflow(frac)
    if most < EXACT:  # products of floating point are exact, and quicker
        middle, spread = (x.lo + x.hi) @ real, (x.hi - x.lo) @ np.abs(real)
        lo, hi = (middle - spread) / 2, (middle + spread) / 2
        return Interval(lo.astype(np.int64), hi.astype(np.int64), frac)
    positive, negative = np.maximum(w, 0), np.minimum(w, 0)
    lo = x.lo @ positive + x.hi @ negative
    hi = x.hi @ positive + x.lo @ negative
    return Interval(lo, hi, frac)


def _alike(x: Interval, y: Interval) -> tuple[Interval, Interval]:
    """Both at the finer of their fracs."""
    frac = max(x.frac, y.frac)
    return x.aligned(frac), y.aligned(frac)


def _checked(lo: Ints, hi: Ints, frac: int) -> Interval:
    """An interval from computed bounds, which are scalars where the operands had no axes."""
    return Interval(np.asarray(lo), np.asarray(hi), frac)


def _check_products(x: Interval, y: Interval, frac: int) -> None:
    """Raise OverflowError if an element's product of bounds may leave int64."""
    largest_x = np.maximum(np.abs(x.lo), np.abs(x.hi)).astype(np.float64)
    largest_y = np.maximum(np.abs(y.lo), np.abs(y.hi)).astype(np.float64)
    if np.any(largest_x * largest_y >= _SAFE):
        raise _overflow(frac)


def _representable(lo: int, hi: int) -> bool:
    return -(1 << BOUND_BITS) <= lo and hi < 1 << BOUND_BITS


def _overflow(frac: int) -> OverflowError:
    return OverflowError(f"an interval at 2^{-frac} needs bounds of more than {BOUND_BITS} bits")
