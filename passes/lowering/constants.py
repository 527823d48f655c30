"""Real constants as fixed-point numbers of few bits. Free of xDSL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import dyadic_frac, from_real
from calocc.dialects.fixed.format import Format

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]

FLOAT64_BITS = 53
"""Significant bits of a float64: the widest constant that generated code can hold."""

FLOAT32_BITS = 24
"""Significant bits of a float32: the widest constant that is taken as it is."""


@dataclass(frozen=True, eq=False)
class FixedConstant:
    """Mantissas and their format."""

    mantissas: Mantissas
    format: Format

    @property
    def frac(self) -> int:
        """Fraction bits."""
        return self.format.frac

    @staticmethod
    def holding(mantissas: Mantissas, frac: int) -> FixedConstant:
        """The narrowest constant with these values; common trailing zeros are dropped."""
        joined = int(np.bitwise_or.reduce(mantissas, axis=None)) if mantissas.size else 0
        zeros = (joined & -joined).bit_length() - 1 if joined else 0
        shifted = mantissas >> zeros
        lo, hi = int(shifted.min(initial=0)), int(shifted.max(initial=0))
        return FixedConstant(shifted, Format.holding(lo, hi, frac - zeros if joined else 0))


def exact_width(values: Reals) -> int:
    """The bits that a two's complement format holding all values needs."""
    largest = float(np.abs(values).max(initial=0))
    if largest == 0:
        return 1
    return int(np.frexp(largest)[1]) + dyadic_frac(values) + bool((values < 0).any())


def exact_constant(values: Reals) -> FixedConstant:
    """The constant with exactly these values; raise ValueError beyond 62 bits."""
    frac = dyadic_frac(values)
    return FixedConstant.holding(from_real(values, frac), frac)


def frac_for_bits(values: Reals, bits: int) -> int:
    """Fraction bits that leave the largest magnitude `bits` significant bits."""
    largest = float(np.abs(values).max(initial=0))
    return bits - int(np.frexp(largest)[1]) if largest else 0


def round_to_frac(values: Reals, frac: int) -> Mantissas:
    """The nearest mantissas at `frac`, ties to even; OverflowError beyond 62 bits."""
    rounded = np.rint(np.ldexp(values, frac))
    if (np.abs(rounded) >= 2.0**62).any():
        raise OverflowError(f"a constant needs more than 62 bits at 2^{-frac}")
    return rounded.astype(np.int64)
