"""Number formats: what a fixed-point value can hold. Free of xDSL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_TEXT = re.compile(r"\s*(?:ap_)?(u?)fixed<\s*(\d+)\s*,\s*(-?\d+)\s*>\s*")


class Rounding(StrEnum):
    """What happens to the bits below the LSB, named and defined as in Vitis `ap_fixed`."""

    TRN = "trn"
    TRN_ZERO = "trn_zero"
    RND = "rnd"
    RND_ZERO = "rnd_zero"
    RND_MIN_INF = "rnd_min_inf"
    RND_INF = "rnd_inf"
    RND_CONV = "rnd_conv"


class Overflow(StrEnum):
    """What happens to values outside the range, named and defined as in Vitis `ap_fixed`."""

    WRAP = "wrap"
    SAT = "sat"
    SAT_SYM = "sat_sym"
    SAT_ZERO = "sat_zero"


@dataclass(frozen=True)
class Format:
    """Values `mantissa * 2^-frac` with a `width`-bit mantissa, `frac = width - integer`.

    `integer` may be negative (leading zeros are not stored) or exceed `width` (trailing zeros
    are not stored), as in Vitis `ap_fixed<width, integer>`; the sign bit counts as integer bit.
    """

    signed: bool
    width: int
    integer: int

    @property
    def frac(self) -> int:
        """Number of bits after the binary point; negative when the LSB is above 1."""
        return self.width - self.integer

    @property
    def lsb(self) -> float:
        """The distance of neighbouring values."""
        return 2.0**-self.frac

    @property
    def min_mantissa(self) -> int:
        """The least mantissa."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max_mantissa(self) -> int:
        """The greatest mantissa."""
        return (1 << (self.width - self.signed)) - 1

    def holds(self, lo: int, hi: int) -> bool:
        """Whether every mantissa from `lo` to `hi` (at this format's `frac`) is representable."""
        return self.min_mantissa <= lo and hi <= self.max_mantissa

    @staticmethod
    def holding(lo: int, hi: int, frac: int) -> Format:
        """The narrowest format at `frac` that holds the mantissas `lo` to `hi`; width >= 1."""
        signed = lo < 0
        bits = max(max(hi, 0).bit_length(), (~lo).bit_length() if signed else 0) + signed
        width = max(bits, 1)
        return Format(signed, width, width - frac)

    @staticmethod
    def parse(text: str) -> Format:
        """Read `fixed<W,I>` or `ufixed<W,I>`; raise ValueError for anything else."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not fixed<W,I> or ufixed<W,I>")
        result = Format(not match[1], int(match[2]), int(match[3]))
        if not 1 <= result.width <= 64:
            raise ValueError(f"{text!r}: the width must be 1 to 64")
        return result

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}fixed<{self.width},{self.integer}>"
