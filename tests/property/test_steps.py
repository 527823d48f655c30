"""Monotone functions as steps, thresholds and tables: against looking at every point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qnn_draws import Ints, argument, bounds_of, integers
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.steps import Function, Steps, first_reaching, lookup, threshold
from calocc.dialects.qnn.step import LookupOp, ThresholdOp

LO, HI = -4, 4
CHANNELS = 2


@st.composite
def monotone(draw: st.DrawFn) -> Ints:
    """Values (channels, points) of a function on LO..HI that never decreases."""
    rises = draw(integers(-2, 2, (CHANNELS, HI - LO + 1)))
    return np.cumsum(np.maximum(rises, 0), axis=1) + draw(st.integers(-9, 9))


def tabulated(table: Ints) -> Function:
    """The function with these values; channels on the last axis."""

    def function(x: Ints) -> Ints:
        assert LO <= x.min()
        assert x.max() <= HI
        return np.stack([table[c][x[..., c] - LO] for c in range(len(table))], axis=-1)

    return function


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Ints, Ints]:
    """The least and the greatest argument of each channel."""
    a, b = (draw(integers(LO, HI, (CHANNELS,))) for _ in range(2))
    return np.minimum(a, b), np.maximum(a, b)


@given(monotone(), ranges(), st.integers(-10, 30))
def test_first_reaching(table: Ints, ends: tuple[Ints, Ints], level: int) -> None:
    lo, hi = ends
    found = first_reaching(tabulated(table), lo, hi, np.array([[level]]))
    for c in range(CHANNELS):
        points = range(int(lo[c]), int(hi[c]) + 1)
        expected = next((x for x in points if table[c][x - LO] >= level), int(hi[c]) + 1)
        assert found[0, c] == expected


@given(monotone(), ranges())
def test_steps_tell_the_function(table: Ints, ends: tuple[Ints, Ints]) -> None:
    lo, hi = ends
    steps = Steps.of(tabulated(table), lo, hi)
    for c in range(CHANNELS):
        x = np.arange(int(lo[c]), int(hi[c]) + 1)
        told = threshold(x[:, None], steps.first.T[c : c + 1], steps.base)
        np.testing.assert_array_equal(told[:, 0], table[c][x - LO])


@given(monotone(), ranges(), st.data())
def test_comparison_with_another_function(
    table: Ints, ends: tuple[Ints, Ints], data: st.DataObject
) -> None:
    lo, hi = ends
    # Most other functions are far away: this one differs by a lift of one stretch at most.
    lift = np.zeros_like(table)
    where = data.draw(st.tuples(st.integers(0, CHANNELS - 1), st.integers(0, HI - LO)))
    lift[where[0], where[1] :] = data.draw(st.integers(0, 1))
    other = table + lift
    steps = Steps.of(tabulated(table), lo, hi)
    differ = sum(
        int((table[c] != other[c])[lo[c] - LO : hi[c] - LO + 1].sum()) for c in range(CHANNELS)
    )
    assert steps.agrees(tabulated(other)) is (differ == 0)
    assert steps.differing_points(tabulated(other)).sum() == differ


@given(monotone(), monotone(), ranges(), st.sampled_from([-1, 1]))
def test_points_that_differ_are_counted(
    table: Ints, other: Ints, ends: tuple[Ints, Ints], sign: int
) -> None:
    lo, hi = ends
    other[0] *= sign  # a channel may fall
    steps = Steps.of(tabulated(table), lo, hi)
    inside = (np.arange(LO, HI + 1) >= lo[:, None]) & (np.arange(LO, HI + 1) <= hi[:, None])
    differ = int(((table != other) & inside).sum())
    assert steps.agrees(tabulated(other)) is (differ == 0)
    assert steps.differing_points(tabulated(other)).sum() == differ


@given(
    x=integers(-20, 20, (2, 2, CHANNELS)),
    rows=st.sampled_from([1, CHANNELS]).flatmap(lambda n: integers(-15, 15, (n, 5))),
    base=st.integers(-4, 4),
)
def test_threshold(x: Ints, rows: Ints, base: int) -> None:
    rows = np.sort(rows, axis=1)
    result = threshold(x, rows, base)
    for index in np.ndindex(x.shape):
        row = rows[index[-1] if len(rows) > 1 else 0]
        assert result[index] == base + sum(int(x[index] >= t) for t in row)


@given(rows=integers(-40, 40, (CHANNELS, 3)), base=st.integers(-4, 0))
def test_threshold_op(rows: Ints, base: int) -> None:
    rows = np.sort(rows, axis=1)
    op = ThresholdOp(argument((CHANNELS,), Format(True, 6, 6)), rows, base, Format(True, 4, 2))
    op.verify()
    x = np.broadcast_to(np.arange(-32, 32)[:, None], (64, CHANNELS))
    (result,) = op.evaluate(x)
    bounds = op.interval(bounds_of(op.x))
    np.testing.assert_array_equal(bounds.lo, result.min(axis=0))
    np.testing.assert_array_equal(bounds.hi, result.max(axis=0))
    assert bounds.holds(op.out)


@pytest.mark.parametrize("rows", [[[3, 2]], [[1], [2]], [1, 2], [[0] * 8]])
def test_threshold_op_refuses(rows: list[list[int]]) -> None:
    op = ThresholdOp(argument((3,), Format(True, 6, 6)), np.array(rows), 0, Format(False, 3, 3))
    with pytest.raises(VerifyException):
        op.verify()


@given(table=integers(-8, 7, (16,)), origin=st.integers(-20, 20), x=integers(0, 15, (2, 3)))
def test_lookup(table: Ints, origin: int, x: Ints) -> None:
    np.testing.assert_array_equal(lookup(x + origin, table, origin), table.take(x))
    op = LookupOp(argument((3,), Format(True, 4, 4)), table, -8, Format(True, 4, 0))
    op.verify()
    (result,) = op.evaluate(x - 8)
    np.testing.assert_array_equal(result, table.take(x))
    assert op.interval(bounds_of(op.x)).contains(result)


@pytest.mark.parametrize("x", [-1, 16])
def test_lookup_never_leaves_its_table(x: int) -> None:
    with pytest.raises(IndexError, match="16 entries from 0"):
        lookup(np.array([3, x]), np.arange(16), 0)
