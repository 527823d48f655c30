"""`fixed.arithmetic` against rational arithmetic and against the Xilinx `ap_types` headers."""

from __future__ import annotations

import ctypes
import math
import random
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import (
    dyadic_frac,
    from_real,
    overflow_side,
    quantize,
    quantize_real,
    rescale,
    to_real,
)
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.runtime.gxx import ap_types_dir, compile_shared

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

EVERYWHERE = st.integers(-(2**63), 2**63 - 1)
# Ties and range limits lie at powers of two and next to them.
NEAR_POWERS = [s * (2**bit + k) for bit in range(64) for k in (-1, 0, 1) for s in (-1, 1)]
POWERS = sorted({m for m in NEAR_POWERS if -(2**63) <= m < 2**63})
INT64 = EVERYWHERE | st.sampled_from(POWERS)
SHIFTS = st.integers(-70, 70)
ROUNDINGS = st.sampled_from(list(Rounding))
OVERFLOWS = st.sampled_from(list(Overflow))


@st.composite
def formats(draw: st.DrawFn) -> Format:
    """Formats whose mantissas fit int64, with binary points near and far."""
    signed = draw(st.booleans())
    width = draw(st.integers(1, 63 + signed))
    return Format(signed, width, draw(st.integers(-100, 100)))


# --- the definition, in rational numbers -----------------------------------------------------


def round_exactly(value: Fraction, rounding: Rounding) -> int:
    """UG1399, "Quantization Modes", for a value in units of the LSB."""
    floor = math.floor(value)
    twice = 2 * (value - floor)
    if rounding is Rounding.TRN or twice == 0:
        return floor
    if rounding is Rounding.TRN_ZERO:
        return math.trunc(value)
    if twice != 1:
        return floor + (twice > 1)
    up = {
        Rounding.RND: True,
        Rounding.RND_MIN_INF: False,
        Rounding.RND_ZERO: value < 0,
        Rounding.RND_INF: value > 0,
        Rounding.RND_CONV: floor % 2 == 1,
    }
    return floor + up[rounding]


def bring_into_range(m: int, to: Format, overflow: Overflow) -> int:
    """UG1399, "Overflow Modes"."""
    lo, hi = to.min_mantissa, to.max_mantissa
    if overflow is Overflow.WRAP:
        return (m - lo) % (1 << to.width) + lo
    if overflow is Overflow.SAT_ZERO:
        return m if lo <= m <= hi else 0
    if overflow is Overflow.SAT_SYM and to.signed and to.width > 1:
        lo = -hi
    return min(max(m, lo), hi)


def define(value: Fraction, to: Format, rounding: Rounding, overflow: Overflow) -> int:
    """The mantissa of `value` in `to`."""
    return bring_into_range(round_exactly(value * Fraction(2) ** to.frac, rounding), to, overflow)


@given(st.lists(INT64, min_size=1), SHIFTS, formats(), ROUNDINGS, OVERFLOWS)
def test_quantize_is_the_definition(
    values: list[int], shift: int, to: Format, rounding: Rounding, overflow: Overflow
) -> None:
    frac = to.frac + shift
    got = quantize(np.array(values, np.int64), frac, to, rounding, overflow)
    unit = Fraction(2) ** -frac
    assert got.dtype == np.int64
    assert got.tolist() == [define(v * unit, to, rounding, overflow) for v in values]


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("rounding", Rounding)
def test_quantize_of_every_small_value(rounding: Rounding, overflow: Overflow) -> None:
    m = np.arange(-70, 71)
    formats = [Format(signed, width, 2) for signed in (True, False) for width in (1, 2, 3, 5)]
    for to in formats:
        for shift in (-2, -1, 0, 1, 2, 3, 5, 8):
            frac = to.frac + shift
            expected = [
                define(v * Fraction(2) ** -frac, to, rounding, overflow) for v in range(-70, 71)
            ]
            assert quantize(m, frac, to, rounding, overflow).tolist() == expected
            assert quantize_real(to_real(m, frac), to, rounding, overflow).tolist() == expected


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("rounding", Rounding)
def test_quantize_of_powers_of_two(rounding: Rounding, overflow: Overflow) -> None:
    for to in (Format(True, 64, 64), Format(True, 3, 3), Format(False, 63, 63)):
        for frac in (-63, -1, 0, 1, 61, 62, 63, 64, 65, 66, 67, 90, 200):
            unit = Fraction(2) ** -frac
            got = quantize(np.array(POWERS, np.int64), frac, to, rounding, overflow)
            assert got.tolist() == [define(v * unit, to, rounding, overflow) for v in POWERS]


def test_scalars_stay_scalars() -> None:
    got = quantize(np.array(5), 1, Format(True, 4, 4), Rounding.RND_CONV, Overflow.SAT)
    assert isinstance(got, np.ndarray)
    assert got.shape == ()
    assert got.tolist() == 2


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    st.integers(1, 63),
    st.integers(-1100, 1100),
    st.booleans(),
    ROUNDINGS,
    OVERFLOWS,
)
def test_quantize_real_is_the_definition(
    values: list[float],
    width: int,
    integer: int,
    signed: bool,
    rounding: Rounding,
    overflow: Overflow,
) -> None:
    to = Format(signed, width + signed, integer)
    got = quantize_real(np.array(values), to, rounding, overflow)
    assert got.tolist() == [define(Fraction(v), to, rounding, overflow) for v in values]


@given(st.integers(-(2**53), 2**53), formats(), st.integers(-5, 70), ROUNDINGS, OVERFLOWS)
def test_quantize_real_agrees_with_quantize(
    mantissa: int, to: Format, below: int, rounding: Rounding, overflow: Overflow
) -> None:
    m, frac = np.array([mantissa]), to.frac + below
    got = quantize_real(to_real(m, frac), to, rounding, overflow)
    assert got.tolist() == quantize(m, frac, to, rounding, overflow).tolist()


@given(st.lists(INT64, min_size=1), SHIFTS, formats(), ROUNDINGS)
def test_overflow_side_is_the_definition(
    values: list[int], shift: int, to: Format, rounding: Rounding
) -> None:
    frac, scale = to.frac + shift, Fraction(2) ** -shift
    rounded = [round_exactly(v * scale, rounding) for v in values]
    expected = [(m > to.max_mantissa) - (m < to.min_mantissa) for m in rounded]
    assert overflow_side(np.array(values, np.int64), frac, to, rounding).tolist() == expected


def test_quantize_leaves_its_input_alone() -> None:
    m = np.arange(-40, 40).reshape(8, 10)[::2, ::3]
    before = m.copy()
    to = Format(True, 64, 64)
    for rounding in Rounding:
        for frac in (0, 3):
            result = quantize(m, frac, to, rounding, Overflow.WRAP)
            assert not np.shares_memory(result, m)
            assert result.shape == m.shape
    np.testing.assert_array_equal(m, before)


@pytest.mark.parametrize("bad", [Format(False, 64, 8), Format(True, 65, 8)])
def test_mantissas_beyond_int64_are_refused(bad: Format) -> None:
    for call in (
        lambda: quantize(np.array([1]), 0, bad, Rounding.TRN, Overflow.SAT),
        lambda: quantize_real(np.array([1.0]), bad, Rounding.TRN, Overflow.SAT),
        lambda: overflow_side(np.array([1]), 0, bad, Rounding.TRN),
    ):
        with pytest.raises(ValueError, match="do not fit int64"):
            call()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_non_finite_numbers_are_refused(bad: float) -> None:
    x = np.array([1.0, bad])
    for call in (
        lambda: quantize_real(x, Format(True, 8, 4), Rounding.TRN, Overflow.SAT),
        lambda: from_real(x, 3),
        lambda: dyadic_frac(x),
    ):
        with pytest.raises(ValueError, match="no fixed-point value"):
            call()


@given(st.lists(INT64, min_size=1), st.integers(-80, 80), st.integers(-80, 80))
def test_rescale_is_exact_or_refuses(values: list[int], frac: int, to_frac: int) -> None:
    exact = [v * Fraction(2) ** (to_frac - frac) for v in values]
    fits = all(e.denominator == 1 and -(2**63) <= e < 2**63 for e in exact)
    if fits:
        assert rescale(np.array(values, np.int64), frac, to_frac).tolist() == exact
    else:
        with pytest.raises(ValueError, match="do not fit"):
            rescale(np.array(values, np.int64), frac, to_frac)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.integers(0, 20), st.integers(-9, 9))
def test_rescale_goes_there_and_back(values: list[int], shift: int, frac: int) -> None:
    m = np.array(values)
    assert rescale(rescale(m, frac, frac + shift), frac + shift, frac).tolist() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_dyadic_frac_is_the_smallest(values: list[float]) -> None:
    frac = dyadic_frac(np.array(values, np.float64))
    if not any(values):
        assert frac == 0
        return
    scaled = [Fraction(v) * Fraction(2) ** frac for v in values]
    assert all(s.denominator == 1 for s in scaled)
    assert any(s.numerator % 2 for s in scaled)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-1200, 1200))
def test_from_real_is_exact_or_refuses(value: float, frac: int) -> None:
    exact = Fraction(value) * Fraction(2) ** frac
    if exact.denominator == 1 and -(2**63) < exact < 2**63:
        assert from_real(np.array([value]), frac).tolist() == [exact]
    else:
        with pytest.raises(ValueError, match="64-bit multiple"):
            from_real(np.array([value]), frac)


# --- the Xilinx headers ----------------------------------------------------------------------


@dataclass(frozen=True)
class Conversion:
    """One assignment between two `ap_fixed` types."""

    source: Format
    to: Format
    rounding: Rounding
    overflow: Overflow

    def cpp(self) -> str:
        """Its two template arguments."""
        modes = f", AP_{self.rounding.upper()}, AP_{self.overflow.upper()}"
        return f"{ap_type(self.source)}, {ap_type(self.to, modes)}"


def ap_type(format: Format, modes: str = "") -> str:
    name = "ap_fixed" if format.signed else "ap_ufixed"
    return f"{name}<{format.width}, {format.integer}{modes}>"


def drawn_format(rng: random.Random) -> Format:
    """Any width with any binary point, small widths more often."""
    signed = rng.random() < 0.5
    width = rng.choice([rng.randint(1, 6), rng.randint(1, 20), rng.randint(1, 63 + signed)])
    return Format(signed, width, rng.randint(-12, width + 12))


def drawn_conversion(rng: random.Random, rounding: Rounding, overflow: Overflow) -> Conversion:
    """Binary points mostly so near to each other that rounding and overflow both matter."""
    source, to = drawn_format(rng), drawn_format(rng)
    if rng.random() < 0.75:
        integer = source.integer + rng.randint(-3, 3)
        to = Format(to.signed, to.width, integer)
    return Conversion(source, to, rounding, overflow)


def drawn_conversions() -> list[Conversion]:
    """Every pair of modes several times, then the narrowest and widest formats."""
    rng = random.Random(2024)
    modes = [(r, o) for r in Rounding for o in Overflow]
    result = [drawn_conversion(rng, r, o) for r, o in modes for _ in range(5)]
    wide, bit = Format(True, 64, 30), Format(True, 1, 1)
    for overflow in Overflow:
        for to in (Format(True, 64, 28), bit, Format(False, 1, 0), Format(True, 2, 30)):
            result.append(Conversion(wide, to, rng.choice(list(Rounding)), overflow))
        result.append(Conversion(Format(True, 4, 2), bit, Rounding.RND_CONV, overflow))
        result.append(Conversion(Format(True, 6, 6), Format(True, 6, 6), Rounding.RND, overflow))
    return result


CONVERSIONS = drawn_conversions()
REAL_EVERY = 4
"""One in so many conversions is also compiled from `double`."""

_SOURCE = r"""
#include <ap_fixed.h>
template <class From, class To> void convert(const long long *x, long long *y, int n) {
    for (int i = 0; i < n; i++) {
        From from;
        from.V = x[i];
        To to = from;
        y[i] = to.V.to_int64();
    }
}
template <class To> void convert_real(const double *x, long long *y, int n) {
    for (int i = 0; i < n; i++) {
        To to = x[i];
        y[i] = to.V.to_int64();
    }
}
using Convert = void (*)(const long long *, long long *, int);
using ConvertReal = void (*)(const double *, long long *, int);
static const Convert table[] = {%s};
static const ConvertReal real_table[] = {%s};
extern "C" void run(int k, const long long *x, long long *y, int n) { table[k](x, y, n); }
extern "C" void run_real(int k, const double *x, long long *y, int n) { real_table[k](x, y, n); }
"""


class Oracle:
    """The compiled conversions."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))

    def convert(self, index: int, x: Ints) -> Ints:
        """What `CONVERSIONS[index]` makes of source mantissas."""
        return self._call(self._library.run, index, x)

    def convert_real(self, index: int, x: Reals) -> Ints:
        """What the target of `CONVERSIONS[index]` makes of doubles."""
        return self._call(self._library.run_real, index // REAL_EVERY, x)

    @staticmethod
    def _call(function: ctypes._NamedFuncPointer, index: int, x: Ints | Reals) -> Ints:  # pyright: ignore[reportPrivateUsage]
        y = np.empty(x.shape, np.int64)
        pointers = (ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))
        function(ctypes.c_int(index), *pointers, ctypes.c_int(x.size))
        return y


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    directory = tmp_path_factory.mktemp("ap_types")
    table = ",\n".join(f"convert<{c.cpp()}>" for c in CONVERSIONS)
    reals = ",\n".join(
        f"convert_real<{c.cpp().partition('>, ')[2]}>" for c in CONVERSIONS[::REAL_EVERY]
    )
    source, library = directory / "conversions.cpp", directory / "conversions.so"
    source.write_text(_SOURCE % (table, reals))
    # Without NDEBUG the headers abort where an assignment drops more bits than the source has.
    compile_shared([source], library, [ap_types_dir()], ["-O0", "-w", "-DNDEBUG"])
    return Oracle(library)


def mantissas_of(format: Format, to: Format, rng: np.random.Generator, count: int) -> Ints:
    """All mantissas of narrow formats, else a mixture around zero, the ends, ties and at random."""
    lo, hi = format.min_mantissa, format.max_mantissa
    if hi - lo < count:
        return np.arange(lo, hi + 1)
    near = np.concatenate([np.arange(-40, 40), lo + np.arange(40), hi - np.arange(40)])
    random_bits = rng.integers(lo, hi, count, endpoint=True) >> rng.integers(0, 63, count)
    drop = min(max(format.frac - to.frac, 1), 62)
    ties = ((random_bits >> drop) << drop) + (1 << (drop - 1)) + rng.integers(-1, 2, count)
    values = np.concatenate([near, random_bits, ties])
    return np.ascontiguousarray(values[(values >= lo) & (values <= hi)])


def test_quantize_is_the_xilinx_assignment(oracle: Oracle) -> None:
    rng = np.random.default_rng(7)
    checked = 0
    for index, c in enumerate(CONVERSIONS):
        x = mantissas_of(c.source, c.to, rng, 20000)
        expected = oracle.convert(index, x)
        got = quantize(x, c.source.frac, c.to, c.rounding, c.overflow)
        np.testing.assert_array_equal(got, expected, err_msg=str(c))
        checked += x.size
    assert checked > 2_000_000


def test_quantize_real_is_the_xilinx_constructor(oracle: Oracle) -> None:
    rng = np.random.default_rng(8)
    for index in range(0, len(CONVERSIONS), REAL_EVERY):
        c = CONVERSIONS[index]
        fine = Format(True, 53, c.to.integer + 2)
        grid = to_real(mantissas_of(fine, c.to, rng, 2048), fine.frac)
        spread = np.ldexp(rng.standard_normal(2048), rng.integers(-90, 90, 2048))
        x = np.concatenate([grid, spread])
        got = quantize_real(x, c.to, c.rounding, c.overflow)
        np.testing.assert_array_equal(got, oracle.convert_real(index, x), err_msg=str(c))


def test_every_pair_of_modes_is_compiled() -> None:
    assert {(c.rounding, c.overflow) for c in CONVERSIONS} == {
        (r, o) for r in Rounding for o in Overflow
    }
