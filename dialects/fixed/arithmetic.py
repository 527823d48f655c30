"""Exact fixed-point arithmetic on int64 mantissas, as Vitis `ap_fixed` does it. Free of xDSL.

Rounding and overflow follow the assignment operator of `ap_fixed_base` in the Xilinx `ap_types`
headers, which agrees with the tables "Quantization Modes" and "Overflow Modes" of AMD UG1399:
the bits below the LSB are rounded first, in unlimited range, then the result is brought into
range. The result depends on the value alone, not on the width or signedness of its source.

What the headers do where UG1399 says little:

* `sat_sym` on an unsigned target is `sat`.
* `sat_sym` on a signed target turns the in-range mantissa -2^(w-1) into -(2^(w-1) - 1) too,
  except for `w = 1`, where -1 stays -1 (the symmetric range would be {0}).
* `wrap` is the plain residue modulo 2^w (`AP_WRAP` with its default N = 0 saturated bits),
  also from negative values to unsigned targets.
* `sat_zero` gives 0 outside the range on either side, so it is not monotone.
* An assignment that rounds away more bits than its source has fails an assertion of the headers
  (but for truncations), unless they are compiled with NDEBUG; then it is correct.

Every function takes and returns int64, so targets must fit: signed up to 64 bits, unsigned up to
63. An unsigned 64-bit target raises ValueError.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.format import Format, Overflow, Rounding

Ints = NDArray[np.int64]
"""Mantissas."""
Reals = NDArray[np.float64]
"""Real numbers; exact wherever a function does not say otherwise."""

_MAX_SHIFT = 62  # 2^62 + 2^61 still fits int64
_FLOAT64_BITS = 53  # of integers that float64 holds


def quantize(mantissa: Ints, frac: int, to: Format, rounding: Rounding, overflow: Overflow) -> Ints:
    """The mantissas in `to` of the values `mantissa * 2^-frac`, any shape; exact for every input.

    `frac` may be anything: where `to` has more fractional bits, bits are gained and `rounding`
    has no effect. Raises ValueError if the mantissas of `to` do not fit int64.
    """
    _require_int64(to)
    rounded = _round(mantissa, frac - to.frac, rounding)
    gain = max(to.frac - frac, 0)
    if overflow is Overflow.WRAP:
        return _wrap(_shift_left(rounded, gain), to)
    if gain == 0 and overflow is not Overflow.SAT_ZERO:
        return np.asarray(np.clip(rounded, least_mantissa(to, overflow), to.max_mantissa))
    under, over = _outside(rounded, gain, to)
    inside = _shift_left(np.where(under | over, np.int64(0), rounded), gain)
    return _saturate(inside, under, over, to, overflow)


def quantize_real(x: Reals, to: Format, rounding: Rounding, overflow: Overflow) -> Ints:
    """The mantissas in `to` of the real numbers `x`, any shape; exact for every finite float64.

    Raises ValueError if `x` has a non-finite element or the mantissas of `to` do not fit int64.
    """
    _require_int64(to)
    rounded = _round_real(_scaled(x, to.frac), rounding)
    if overflow is Overflow.WRAP:
        return _wrap(_modulo_2_64(rounded), to)
    if overflow is not Overflow.SAT_ZERO and to.width <= _FLOAT64_BITS:
        limits = float(least_mantissa(to, overflow)), float(to.max_mantissa)
        return np.asarray(np.clip(rounded, *limits).astype(np.int64))
    under = rounded < float(to.min_mantissa)
    over = rounded >= 2.0 ** (to.width - to.signed)
    inside = np.where(under | over, 0.0, rounded).astype(np.int64)
    return _saturate(inside, under, over, to, overflow)


def overflow_side(mantissa: Ints, frac: int, to: Format, rounding: Rounding) -> NDArray[np.int8]:
    """-1 where the rounded value lies below the range of `to`, 1 where above, 0 where inside.

    The range is that of the format, from `min_mantissa` to `max_mantissa`; `sat_sym` also moves
    `min_mantissa`, which counts as inside here.
    """
    _require_int64(to)
    rounded = _round(mantissa, frac - to.frac, rounding)
    under, over = _outside(rounded, max(to.frac - frac, 0), to)
    return np.asarray(over.astype(np.int8) - under.astype(np.int8))


def to_real(mantissa: Ints, frac: int) -> Reals:
    """`mantissa * 2^-frac`; exact up to 53 significant bits, else the nearest float64."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(mantissa.astype(np.float64), -frac))


def from_real(x: Reals, frac: int) -> Ints:
    """The mantissas of `x` at `frac`; ValueError unless every one is an int64 exactly."""
    scaled = _scaled(x, frac)
    if np.any(scaled != np.trunc(scaled)) or np.any(np.abs(scaled) >= 2.0**63):
        raise ValueError(f"not every number is a 64-bit multiple of 2^{-frac}")
    return scaled.astype(np.int64)


def rescale(mantissa: Ints, frac: int, to_frac: int) -> Ints:
    """The same values at `to_frac`.

    Raises ValueError if non-zero bits would be lost below the new LSB or above 64 bits.
    """
    shift = to_frac - frac
    if shift >= 0:
        result = _shift_left(mantissa, shift)
        lost = _shift_right(result, shift) != mantissa
    else:
        result = _shift_right(mantissa, -shift)
        lost = _shift_left(result, -shift) != mantissa
    if np.any(lost):
        raise ValueError(f"mantissas at 2^{-frac} do not fit 64 bits at 2^{-to_frac}")
    return result


def dyadic_frac(x: Reals) -> int:
    """The smallest `frac` (perhaps negative) for which every `x * 2^frac` is an integer.

    0 if all numbers are zero. Raises ValueError for a non-finite number.
    """
    _require_finite(x)
    significand, exponent = np.frexp(x[x != 0])
    if significand.size == 0:
        return 0
    integer = np.ldexp(significand, 53).astype(np.int64)
    _, trailing = np.frexp((integer & -integer).astype(np.float64))  # trailing zeros + 1
    return int(np.max(54 - exponent - trailing))


def _require_int64(to: Format) -> None:
    if to.width > 63 + to.signed:
        raise ValueError(f"the mantissas of {to} do not fit int64")


def _require_finite(x: Reals) -> None:
    if not np.all(np.isfinite(x)):
        raise ValueError("infinities and NaN have no fixed-point value")


def least_mantissa(to: Format, overflow: Overflow) -> int:
    """The least mantissa that a saturating overflow mode returns."""
    symmetric = overflow is Overflow.SAT_SYM and to.signed and to.width > 1
    return -to.max_mantissa if symmetric else to.min_mantissa


def _shift_left(m: Ints, bits: int) -> Ints:
    """`m * 2^bits` modulo 2^64, a new array."""
    if bits >= 64:
        return np.zeros_like(m)
    return np.asarray((m.view(np.uint64) << np.uint64(bits)).view(np.int64))


def _shift_right(m: Ints, bits: int) -> Ints:
    """`floor(m / 2^bits)`, a new array."""
    return np.asarray(m >> np.int64(min(bits, 63)))


def _round(m: Ints, shift: int, rounding: Rounding) -> Ints:
    """`m / 2^shift` rounded to integers; `m` itself if no bits are dropped."""
    if shift <= 0:
        return m
    m, shift = _shortened(m, shift)
    quotient = m >> np.int64(shift)
    if rounding is Rounding.TRN:
        return quotient
    rest = m & np.int64((1 << shift) - 1)
    # The quotient goes up by one where rest + bias carries; neither sum can overflow.
    rest += _bias(m, quotient, shift, rounding)
    rest >>= np.int64(shift)
    quotient += rest
    return quotient


def _shortened(m: Ints, shift: int) -> tuple[Ints, int]:
    """The same rounding problem with a shift of at most 62.

    The bits cut off are kept as one sticky bit, which is all that rounding needs to know; beyond
    66 bits every int64 is nearer to 0 than 1/8, and the exact shift is of no account.
    """
    if shift <= _MAX_SHIFT:
        return m, shift
    cut = min(shift, 66) - _MAX_SHIFT
    sticky = (m & np.int64((1 << cut) - 1)) != 0
    return (m >> np.int64(cut)) | sticky, _MAX_SHIFT


def _bias(m: Ints, quotient: Ints, shift: int, rounding: Rounding) -> Ints | np.int64:
    """What to add before dropping `shift` bits so that flooring rounds as asked."""
    half = np.int64(1 << (shift - 1))
    match rounding:
        case Rounding.TRN:
            return np.int64(0)
        case Rounding.TRN_ZERO:
            return (m < 0) * np.int64((1 << shift) - 1)
        case Rounding.RND:
            return half
        case Rounding.RND_ZERO:
            return (half - 1) + (m < 0)
        case Rounding.RND_MIN_INF:
            return half - 1
        case Rounding.RND_INF:
            return half - (m < 0)
        case Rounding.RND_CONV:
            return (half - 1) + (quotient & np.int64(1))


def _outside(m: Ints, gain: int, to: Format) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where `m * 2^gain` lies below and where it lies above the range of `to`."""
    under = m < -(-to.min_mantissa >> gain)
    over = m > (to.max_mantissa >> gain)
    return np.asarray(under), np.asarray(over)


def _saturate(
    inside: Ints,
    under: NDArray[np.bool_],
    over: NDArray[np.bool_],
    to: Format,
    overflow: Overflow,
) -> Ints:
    """Mantissas in range from `inside`, which holds 0 wherever `under` or `over` is set."""
    if overflow is Overflow.SAT_ZERO:
        return inside
    least = np.int64(least_mantissa(to, overflow))
    result = np.where(over, np.int64(to.max_mantissa), np.where(under, least, inside))
    return np.asarray(np.maximum(result, least))


def _wrap(m: Ints, to: Format) -> Ints:
    """The residue of `m` modulo 2^width that lies in the range of `to`, a new array."""
    if not to.signed:
        return np.asarray(m & np.int64(to.max_mantissa))
    unused = 64 - to.width
    return _shift_right(_shift_left(m, unused), unused)


def _scaled(x: Reals, frac: int) -> Reals:
    """`x * 2^frac`, which float64 holds exactly but for the two ends of its exponent range.

    Too large a product becomes an infinity. Too small a one becomes the least normal number of
    the same sign, which rounds like the true product.
    """
    _require_finite(x)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.asarray(np.ldexp(x, frac))
    if frac >= 0:
        return scaled
    tiny = np.finfo(np.float64).tiny
    small = (np.abs(scaled) < tiny) & (x != 0)
    return np.where(small, np.copysign(tiny, x), scaled)


def _round_real(y: Reals, rounding: Rounding) -> Reals:
    """`y` rounded to integers; exact, since a number and its truncation differ exactly."""
    match rounding:
        case Rounding.TRN:
            return np.floor(y)
        case Rounding.TRN_ZERO:
            return np.trunc(y)
        case Rounding.RND_CONV:
            return np.rint(y)
        case _:
            pass
    whole = np.trunc(y)
    with np.errstate(invalid="ignore"):  # infinity - infinity: no fraction, stays as it is
        part = np.abs(y - whole)
    away = (part > 0.5) | ((part == 0.5) & _tie_leaves_zero(y, rounding))
    return whole + np.copysign(away.astype(np.float64), y)


def _tie_leaves_zero(y: Reals, rounding: Rounding) -> NDArray[np.bool_]:
    """Where a value half-way between two integers goes to the one farther from zero."""
    if rounding is Rounding.RND:
        return y > 0
    if rounding is Rounding.RND_MIN_INF:
        return y < 0
    return np.full(y.shape, rounding is Rounding.RND_INF)


def _modulo_2_64(y: Reals) -> Ints:
    """Integer-valued `y` modulo 2^64, as int64."""
    # An infinity stands for a finite multiple of 2^971, whose residue is 0.
    residue = np.fmod(np.where(np.isinf(y), 0.0, y), 2.0**64)
    # Both differences are exact: numbers from 2^63 on are multiples of 2^11.
    residue = np.where(residue >= 2.0**63, residue - 2.0**64, residue)
    residue = np.where(residue < -(2.0**63), residue + 2.0**64, residue)
    return residue.astype(np.int64)
