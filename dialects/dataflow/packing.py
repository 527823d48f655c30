"""Several products with one multiplier: factors that share an operand, side by side in the other.

A DSP slice multiplies a wide by a narrow operand, both signed, and adds in 48 bits (AMD UG579,
"DSP48E2 Functionality"; UG479 for the DSP48E1 of the 7 series; the packing itself is that of AMD
WP486, "Deep Learning with INT8 Optimization on Xilinx Devices"). With weights `spacing` bits apart
in the wide factor, which is then the sum of `w_i * 2^(i * spacing)`, the products with x stand as
far apart in the result. A product below zero borrows one from the product above it; the bit below a
field is the sign of all that is under it, so it tells, and adding it makes every product exact.
"""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST_OPERAND = 3
"""Products with an operand of one or two bits are cheaper in LUTs."""

Interval = tuple[int, int]


@dataclass(frozen=True)
class Multiplier:
    """Bits of the operands of a DSP slice's multiplier, signs included."""

    wide: int
    narrow: int


DSP48E2 = Multiplier(27, 18)
"""That of UltraScale and UltraScale+ (UG579)."""
DSP48E1 = Multiplier(25, 18)
"""That of the 7 series (UG479)."""


@dataclass(frozen=True)
class Packing:
    """`count` products per multiplier, `spacing` bits from one to the next."""

    count: int
    spacing: int


def signed_bits(lo: int, hi: int) -> int:
    """Bits of the narrowest two's complement number that holds an interval."""
    return max(hi.bit_length(), (-lo - 1).bit_length() if lo < 0 else 0) + 1


def packing(weights: Interval, data: Interval, ports: Multiplier = DSP48E2) -> Packing:
    """The most products that fit a multiplier with these ports, for factors in these intervals.

    Fields are symmetric, so that what is under a field never reaches half of the field's unit.
    """
    largest = max(abs(w) for w in weights) * max(abs(x) for x in data)
    spacing = signed_bits(-largest, largest)
    operands = signed_bits(*weights), signed_bits(*data)
    if min(operands) < SMALLEST_OPERAND or operands[1] > ports.narrow:
        return Packing(1, spacing)
    count = 1
    while packed_bits(weights, Packing(count + 1, spacing)) <= ports.wide:
        count += 1
    return Packing(count, spacing)


def packed_bits(weights: Interval, packing: Packing) -> int:
    """Bits of the factor that holds `packing.count` weights."""
    unit = sum(1 << (i * packing.spacing) for i in range(packing.count))
    return signed_bits(min(weights[0], 0) * unit, max(weights[1], 0) * unit)
