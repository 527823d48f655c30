"""The exact scalar functions: what they compute on mantissas, on reals and on intervals.

Both `fixed` (scalars inside an epilogue) and `qnn` (whole tensors) have an op for each of
these; the meaning stands here once. No function here loses a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.interval import Interval

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Exact:
    """An exact function of fixed-point numbers.

    `frac` gives the fraction bits that always suffice for the result; `mantissas` takes the
    operands, their fraction bits and the result's (at least `frac`'s); `real` is the same
    function on float64; `interval` bounds the results.
    """

    arity: int
    frac: Callable[..., int]
    mantissas: Callable[[Sequence[Mantissas], Sequence[int], int], Mantissas]
    real: Callable[..., Reals]
    interval: Callable[..., Interval]


def align(mantissas: Mantissas, frac: int, to: int) -> Mantissas:
    """The same values with `to >= frac` fraction bits."""
    if to < frac:
        raise ValueError(f"aligning from {frac} to {to} fraction bits would lose bits")
    return mantissas << np.int64(to - frac) if to > frac else mantissas


def _aligned(
    combine: Callable[..., Any],
) -> Callable[[Sequence[Mantissas], Sequence[int], int], Mantissas]:
    """Lift a numpy function to operands that are first aligned to the result's binary point."""

    def mantissas(args: Sequence[Mantissas], fracs: Sequence[int], out: int) -> Mantissas:
        return combine(*(align(a, f, out) for a, f in zip(args, fracs, strict=True)))

    return mantissas


def _product(args: Sequence[Mantissas], fracs: Sequence[int], out: int) -> Mantissas:
    return align(args[0] * args[1], sum(fracs), out)


def _affine(args: Sequence[Mantissas], fracs: Sequence[int], out: int) -> Mantissas:
    return _product(args[:2], fracs[:2], out) + align(args[2], fracs[2], out)


def _leaky(args: Sequence[Mantissas], fracs: Sequence[int], out: int) -> Mantissas:
    return np.where(args[0] < 0, _product(args, fracs, out), align(args[0], fracs[0], out))


def _zero_like(x: Interval) -> Interval:
    return Interval.constant(np.zeros(1, np.int64), x.frac)


def _leaky_interval(x: Interval, slope: Interval) -> Interval:
    zero = _zero_like(x)
    negative = x.minimum(zero).multiply(slope)
    return negative.hull(x.maximum(zero))


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _relu_interval(x: Interval) -> Interval:
    return x.maximum(_zero_like(x))


def _sum_frac(a: int, b: int) -> int:
    return a + b


def _affine_frac(x: int, scale: int, offset: int) -> int:
    return max(x + scale, offset)


def _leaky_frac(x: int, slope: int) -> int:
    return max(x, x + slope)


def _relu_frac(x: int) -> int:
    return x


def _affine_real(x: Reals, scale: Reals, offset: Reals) -> Reals:
    return x * scale + offset


def _affine_interval(x: Interval, scale: Interval, offset: Interval) -> Interval:
    return x.multiply(scale).add(offset)


def _leaky_real(x: Reals, slope: Reals) -> Reals:
    return np.where(x < 0, x * slope, x)


def _gate_frac(x: int, threshold: int, slope: int) -> int:
    common = max(x, threshold)
    return max(common, common + slope)


def _gate(args: Sequence[Mantissas], fracs: Sequence[int], out: int) -> Mantissas:
    common = max(fracs[:2])
    x, threshold = (align(a, f, common) for a, f in zip(args[:2], fracs[:2], strict=True))
    below = _product((x - threshold, args[2]), (common, fracs[2]), out)
    return np.where(x > threshold, align(x, common, out), below)


def _gate_real(x: Reals, threshold: Reals, slope: Reals) -> Reals:
    return np.where(x > threshold, x, (x - threshold) * slope)


def _gate_interval(x: Interval, threshold: Interval, slope: Interval) -> Interval:
    frac = _gate_frac(x.frac, threshold.frac, slope.frac)
    above = x.maximum(threshold).aligned(frac)
    below = x.minimum(threshold).subtract(threshold).multiply(slope).aligned(frac)
    excess = x.subtract(threshold)
    never, always = excess.hi <= 0, excess.lo > 0
    lo = np.where(never, below.lo, np.where(always, above.lo, np.minimum(above.lo, below.lo)))
    hi = np.where(never, below.hi, np.where(always, above.hi, np.maximum(above.hi, below.hi)))
    return Interval(lo, hi, frac)


def _whole(x: int) -> int:
    return 0


def _is_zero(args: Sequence[Mantissas], fracs: Sequence[int], out: int) -> Mantissas:
    return align((args[0] == 0).astype(np.int64), 0, out)


def _is_zero_real(x: Reals) -> Reals:
    return (x == 0).astype(np.float64)


def _is_zero_interval(x: Interval) -> Interval:
    never, always = (x.lo > 0) | (x.hi < 0), (x.lo == 0) & (x.hi == 0)
    return Interval(always.astype(np.int64), 1 - never.astype(np.int64), 0)


ADD = Exact(2, max, _aligned(np.add), np.add, Interval.add)
SUBTRACT = Exact(2, max, _aligned(np.subtract), np.subtract, Interval.subtract)
MULTIPLY = Exact(2, _sum_frac, _product, np.multiply, Interval.multiply)
MAXIMUM = Exact(2, max, _aligned(np.maximum), np.maximum, Interval.maximum)
MINIMUM = Exact(2, max, _aligned(np.minimum), np.minimum, Interval.minimum)
RELU = Exact(1, _relu_frac, _aligned(_relu), _relu, _relu_interval)
AFFINE = Exact(3, _affine_frac, _affine, _affine_real, _affine_interval)
LEAKY_RELU = Exact(2, _leaky_frac, _leaky, _leaky_real, _leaky_interval)
GATE = Exact(3, _gate_frac, _gate, _gate_real, _gate_interval)
IS_ZERO = Exact(1, _whole, _is_zero, _is_zero_real, _is_zero_interval)
