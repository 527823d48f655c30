"""Types, tables and accumulators of hls4ml as plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from calocc.compiler.hls4ml.layers.accumulators import loss_of
from calocc.compiler.hls4ml.precision import parse_precision, type_text
from calocc.dialects.fixed.arithmetic import quantize
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.hls_table import TABLES, HlsTable
from calocc.dialects.qnn.quantize import QuantizerAttr
from calocc.dialects.qnn.quantizers import FixedPoint

Reals = NDArray[np.float64]
CASTS = st.builds(
    FixedPoint,
    st.integers(1, 40),
    st.integers(-20, 40),
    st.booleans(),
    st.sampled_from(Rounding),
    st.sampled_from(Overflow),
)


@given(CASTS)
def test_types_are_read_as_they_are_written(cast: FixedPoint) -> None:
    assert parse_precision(type_text(cast)) == cast


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ap_fixed<16,6>", FixedPoint(16, 6)),
        ("ap_ufixed<8, 0, AP_RND, AP_SAT>", FixedPoint(8, 0, False, "rnd", "sat")),
        ("fixed<16,6,RND_CONV,SAT_SYM,0>", FixedPoint(16, 6, True, "rnd_conv", "sat_sym")),
        ("ac_fixed<9,3,false,AC_TRN_ZERO,AC_WRAP>", FixedPoint(9, 3, False, "trn_zero")),
        ("int<7>", FixedPoint(7, 7)),
        ("ap_uint<1>", FixedPoint(1, 1, False)),
        ("auto", None),
    ],
)
def test_other_spellings(text: str, expected: FixedPoint | None) -> None:
    assert parse_precision(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("float", "fixed<16>", "fixed<a,b>", "fixed<16,6,UP>", "fixed<16,6,RND,SAT,1>"),
        *("fixed<0,0>", "ac_fixed<9,3,maybe>", "ufixed<8,0", ""),
    ],
)
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_precision(text)


@pytest.mark.parametrize("function", TABLES)
@pytest.mark.parametrize("size", [64, 1024])
def test_a_table_is_read_as_in_hls4ml(function: str, size: int) -> None:
    """`int data_round = x * size / reach`, as C++ computes it, then clipped."""
    table = HlsTable(18, 8, function=function, size=size)
    assert QuantizerAttr.of(table).quantizer == table
    x = np.linspace(-12, 12, 4001)
    steps = np.trunc(x * size / table.reach) + size // 2
    expected = table.entries[np.clip(steps, 0, size - 1).astype(int)]
    np.testing.assert_array_equal(table(x), expected)
    near = x[np.abs(x) < 3]
    assert np.abs(table(near) - REAL[function](near)).max() < 16 / size


REAL: dict[str, Callable[[Reals], Reals]] = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
}


@given(st.data())
def test_what_an_accumulator_loses_can_be_seen(data: st.DataObject) -> None:
    """Without a loss no operand gives another result than the exact sum does."""
    operand = FixedPoint(4, data.draw(st.integers(1, 4)), data.draw(st.booleans()))
    accumulator = FixedPoint(data.draw(st.integers(3, 14)), data.draw(st.integers(1, 9)))
    overflow = data.draw(st.sampled_from([Overflow.WRAP, Overflow.SAT]))
    result = FixedPoint(6, data.draw(st.integers(1, 6)), True, Rounding.RND, overflow)
    weights = np.array(data.draw(st.lists(st.integers(-4, 3), min_size=2, max_size=3))) / 2
    bias = np.array([data.draw(st.integers(-4, 3)) / 2])
    loss = loss_of(accumulator, result, operand, weights[:, None], bias)
    values = np.arange(operand.format.min_mantissa, operand.format.max_mantissa + 1)
    x = np.stack(np.meshgrid(*[values * operand.format.lsb] * len(weights)), -1).reshape(
        -1, len(weights)
    )
    rounded = accumulator(x * weights)
    total = accumulator(bias[0]) * np.ones(len(x))
    for product in rounded.T:
        total = accumulator(total + product)
    same = np.array_equal(result(total), result(x @ weights + bias[0]))
    assert same or loss is not None


def test_an_accumulator_that_holds_the_sums_loses_nothing() -> None:
    operand, result = FixedPoint(4, 2), FixedPoint(6, 3, True, "rnd", "sat")
    kernel, bias = np.array([[0.5], [-1.5]]), np.array([0.5])
    assert loss_of(FixedPoint(7, 4), result, operand, kernel, bias) is None
    assert "overflow" in (loss_of(FixedPoint(6, 3), result, operand, kernel, bias) or "")
    assert "cuts" in (loss_of(FixedPoint(6, 4), result, operand, kernel, bias) or "")


def test_a_cast_of_62_bits_is_exact() -> None:
    cast = FixedPoint(62, 30, True, "rnd", "sat")
    mantissas = np.array([(1 << 61) - 1, -(1 << 61), 12345])
    np.testing.assert_array_equal(quantize(mantissas, 32, cast.format, *cast.rule), mantissas)
