"""`fixed.interval` against enumeration: bounds hold every value, and are met where promised."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import quantize
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.interval import Interval, matmul_interval

Ints = NDArray[np.int64]
Pair = tuple[Fraction, Fraction]

SMALL = st.integers(-12, 12)
FRACS = st.integers(-3, 4)


def interval(lo: list[int], hi: list[int], frac: int = 0) -> Interval:
    return Interval(np.array(lo, np.int64), np.array(hi, np.int64), frac)


@st.composite
def scalars(draw: st.DrawFn, bound: int = 12) -> Interval:
    """Intervals of one element, shape (1,)."""
    ends = sorted((draw(st.integers(-bound, bound)), draw(st.integers(-bound, bound))))
    return interval([ends[0]], [ends[1]], draw(FRACS))


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...]) -> Interval:
    """Intervals of a given shape."""
    ends = [draw(npst.arrays(np.int64, shape, elements=SMALL)) for _ in range(2)]
    return Interval(np.minimum(*ends), np.maximum(*ends), draw(FRACS))


def values(x: Interval) -> list[Fraction]:
    """Every value of a one-element interval."""
    unit = Fraction(2) ** -x.frac
    return [m * unit for m in range(int(x.lo[0]), int(x.hi[0]) + 1)]


def bounds(x: Interval) -> Pair:
    unit = Fraction(2) ** -x.frac
    return int(x.lo[0]) * unit, int(x.hi[0]) * unit


Operation = Callable[[Interval, Interval], Interval]
Meaning = Callable[[Fraction, Fraction], Fraction]
BINARY: list[tuple[Operation, Meaning]] = [
    (Interval.add, lambda a, b: a + b),
    (Interval.subtract, lambda a, b: a - b),
    (Interval.multiply, lambda a, b: a * b),
    (Interval.maximum, max),
    (Interval.minimum, min),
]


@pytest.mark.parametrize(("operation", "meaning"), BINARY)
@given(data=st.data())
def test_binary_operations_are_tight(
    operation: Operation,
    meaning: Meaning,
    data: st.DataObject,
) -> None:
    x, y = data.draw(scalars()), data.draw(scalars())
    results = [meaning(a, b) for a, b in itertools.product(values(x), values(y))]
    assert bounds(operation(x, y)) == (min(results), max(results))


@given(scalars())
def test_negate_is_tight(x: Interval) -> None:
    results = [-a for a in values(x)]
    assert bounds(x.negate()) == (min(results), max(results))


@given(scalars(), scalars(), scalars())
def test_hull_and_merge_are_the_least_interval(x: Interval, y: Interval, z: Interval) -> None:
    two, three = values(x) + values(y), values(x) + values(y) + values(z)
    assert bounds(x.hull(y)) == (min(two), max(two))
    assert bounds(Interval.merge([x, y, z])) == (min(three), max(three))


@given(scalars(), st.integers(0, 70))
def test_aligned_keeps_the_values(x: Interval, shift: int) -> None:
    reach = max(abs(int(x.lo[0])), abs(int(x.hi[0]))) << shift
    if reach < 2**62:
        finer = x.aligned(x.frac + shift)
        assert finer.frac == x.frac + shift
        assert bounds(finer) == bounds(x)
    elif reach > 2**62:
        with pytest.raises(OverflowError, match="62 bits"):
            x.aligned(x.frac + shift)


@given(
    scalars(60),
    st.builds(Format, st.booleans(), st.integers(1, 6), st.integers(-2, 8)),
    st.sampled_from(list(Rounding)),
    st.sampled_from(list(Overflow)),
)
def test_quantize_holds_every_result(
    x: Interval, to: Format, rounding: Rounding, overflow: Overflow
) -> None:
    every = np.arange(int(x.lo[0]), int(x.hi[0]) + 1)
    results = quantize(every, x.frac, to, rounding, overflow)
    got = x.quantize(to, rounding, overflow)
    assert got.frac == to.frac
    assert got.contains(results)
    in_range = quantize(every, x.frac, Format(True, 40, 40 - to.frac), rounding, Overflow.WRAP)
    clean = to.min_mantissa <= in_range.min() and in_range.max() <= to.max_mantissa
    if clean or overflow in (Overflow.SAT, Overflow.SAT_SYM):
        assert (int(got.lo[0]), int(got.hi[0])) == (results.min(), results.max())
    elif overflow is Overflow.WRAP:
        assert (int(got.lo[0]), int(got.hi[0])) == (to.min_mantissa, to.max_mantissa)
    elif in_range.min() > to.max_mantissa or in_range.max() < to.min_mantissa:
        assert (int(got.lo[0]), int(got.hi[0])) == (0, 0)


@given(st.data(), st.integers(1, 3), st.integers(1, 3), FRACS)
def test_matmul_is_tight(data: st.DataObject, n: int, m: int, w_frac: int) -> None:
    x = data.draw(arrays((n,)))
    w = data.draw(npst.arrays(np.int64, (n, m), elements=SMALL))
    got = matmul_interval(x, w, w_frac)
    corners = np.array(list(itertools.product(*zip(x.lo, x.hi, strict=True))))
    results = corners @ w
    assert got.frac == x.frac + w_frac
    assert got.lo.tolist() == results.min(axis=0).tolist()
    assert got.hi.tolist() == results.max(axis=0).tolist()


@given(st.data())
def test_operations_broadcast(data: st.DataObject) -> None:
    x, y = data.draw(arrays((1, 2, 3))), data.draw(arrays((3,)))
    total = x.add(y)
    assert total.shape == (1, 2, 3)
    wide = x.broadcast((4, 2, 3)).add(y.broadcast((4, 2, 3)))
    assert wide.shape == (4, 2, 3)
    np.testing.assert_array_equal(total.broadcast((4, 2, 3)).lo, wide.lo)
    np.testing.assert_array_equal(total.broadcast((4, 2, 3)).hi, wide.hi)


@given(st.data(), st.sampled_from([(12,), (4, 3), (2, 6), (3, 2, 2), (1, 12), (2, 2, 3)]))
def test_reshape_moves_bounds_with_their_elements(
    data: st.DataObject, to_shape: tuple[int, ...]
) -> None:
    shape = data.draw(st.sampled_from([(2, 2, 3), (1, 2, 3), (1, 1, 3), (3,), (2, 1, 1)]))
    x = data.draw(arrays(shape))
    got = x.reshape((2, 2, 3), to_shape)
    full = x.broadcast((2, 2, 3))
    np.testing.assert_array_equal(got.broadcast(to_shape).lo, full.lo.reshape(to_shape))
    np.testing.assert_array_equal(got.broadcast(to_shape).hi, full.hi.reshape(to_shape))


def test_reshape_keeps_channel_bounds_small() -> None:
    x = interval([-1, 0, -3], [4, 5, 6])
    assert x.reshape((8, 8, 3), (64, 3)).shape == (1, 3)
    assert x.reshape((8, 8, 3), (192,)).shape == (192,)
    with pytest.raises(ValueError, match="number of elements"):
        x.reshape((8, 8, 3), (191,))


@given(st.data())
def test_collapse_is_the_hull_over_positions(data: st.DataObject) -> None:
    x = data.draw(arrays((2, 2, 3)))
    got = x.collapse()
    parts = Interval.merge(
        Interval(x.lo[i, j], x.hi[i, j], x.frac) for i in range(2) for j in range(2)
    )
    assert got.shape == (3,)
    assert got.lo.tolist() == parts.lo.tolist()
    assert got.hi.tolist() == parts.hi.tolist()


@given(st.data())
def test_format_is_the_narrowest_that_holds_everything(data: st.DataObject) -> None:
    x = data.draw(arrays((2, 3)))
    narrow = x.format()
    assert narrow.frac == x.frac
    assert x.holds(narrow)
    assert x.holds(Format(True, narrow.width + 3, narrow.integer + 1))
    if narrow.width > 1:
        assert not x.holds(Format(narrow.signed, narrow.width - 1, narrow.integer - 1))
    if narrow.signed:
        assert not x.holds(Format(False, 40, 40 - x.frac))
    assert not x.holds(Format(True, 40, 41 - x.frac))


@given(st.builds(Format, st.booleans(), st.integers(1, 62), st.integers(-9, 70)))
def test_of_format_is_the_whole_range(format: Format) -> None:
    x = Interval.of_format(format, (5, 4, 3))
    assert x.shape == (1, 1, 3)
    assert (int(x.lo.max()), int(x.hi.min())) == (format.min_mantissa, format.max_mantissa)
    assert x.holds(format)
    assert x.format() == format
    assert Interval.of_format(format, ()).shape == ()


def test_scalar_tensors_work() -> None:
    x = Interval.of_format(Format(True, 4, 4), ())
    assert x.add(x).shape == x.multiply(x).shape == x.negate().shape == x.collapse().shape == ()
    assert x.quantize(Format(True, 3, 3), Rounding.TRN, Overflow.WRAP).shape == ()


def test_constants_are_points() -> None:
    x = Interval.constant(np.array([-4, 7]), 2)
    assert x.lo.tolist() == x.hi.tolist() == [-4, 7]
    assert not x.contains(np.array([-4, 6]))


def test_bad_intervals_are_refused() -> None:
    with pytest.raises(ValueError, match="above its upper bound"):
        interval([1], [0])
    with pytest.raises(ValueError, match="shapes"):
        interval([1], [1, 2])
    with pytest.raises(ValueError, match="no intervals"):
        Interval.merge([])
    with pytest.raises(ValueError, match="cannot be stated"):
        interval([1], [2], 3).aligned(2)
    with pytest.raises(ValueError, match="against weights"):
        matmul_interval(interval([1], [2]), np.ones((2, 2), np.int64), 0)


WIDE = st.integers(-(2**62), 2**62 - 1)


@pytest.mark.parametrize(("operation", "meaning"), BINARY)
@given(data=st.data())
def test_wide_bounds_are_exact_or_refused(
    operation: Operation,
    meaning: Meaning,
    data: st.DataObject,
) -> None:
    bits = data.draw(st.tuples(st.integers(0, 62), st.integers(0, 62)))
    x, y = [sorted((data.draw(WIDE) >> b, data.draw(WIDE) >> b)) for b in bits]
    exact = [meaning(Fraction(a), Fraction(b)) for a, b in itertools.product(x, y)]
    operands = interval(x[:1], x[1:]), interval(y[:1], y[1:])
    if -(2**62) <= min(exact) and max(exact) < 2**62:
        assert bounds(operation(*operands)) == (min(exact), max(exact))
    else:
        with pytest.raises(OverflowError, match="62 bits"):
            operation(*operands)


@given(st.integers(0, 62), st.integers(0, 63), st.data())
def test_wide_matmul_never_wraps(x_bits: int, w_bits: int, data: st.DataObject) -> None:
    x = [data.draw(WIDE) >> x_bits for _ in range(3)]
    w = [data.draw(st.integers(-(2**63), 2**63 - 1)) >> w_bits for _ in range(3)]
    total = sum(a * b for a, b in zip(x, w, strict=True))
    magnitude = sum(abs(a * b) for a, b in zip(x, w, strict=True))
    weights = np.array(w, np.int64)[:, np.newaxis]
    if magnitude < 2**62 * (1 - 2**-50):
        assert matmul_interval(interval(x, x), weights, 0).lo.tolist() == [total]
    elif magnitude > 2**62 * (1 + 2**-50):
        with pytest.raises(OverflowError, match="62 bits"):
            matmul_interval(interval(x, x), weights, 0)


@pytest.mark.parametrize("wide", [Format(True, 64, 9), Format(False, 63, 9), Format(True, 65, 9)])
def test_formats_beyond_the_bounds_are_refused(wide: Format) -> None:
    with pytest.raises(OverflowError, match="62 bits"):
        Interval.of_format(wide, (3,))


def test_minus_one_alone_is_the_sign_bit() -> None:
    assert Format.holding(-1, -1, 0) == Format(signed=True, width=1, integer=1)
    assert Format.holding(-4, -1, 0) == Format(signed=True, width=3, integer=3)
    assert Format.holding(-4, 3, 0) == Format(signed=True, width=3, integer=3)
    assert Format.holding(-4, 4, 0) == Format(signed=True, width=4, integer=4)
