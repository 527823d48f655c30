"""Formats and levels that are chosen from data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calocc.compiler.calibration.errors import BadRequest
from calocc.compiler.calibration.formats import Criterion, format_for, levels_of
from calocc.compiler.calibration.request import Request
from calocc.dialects.fixed.arithmetic import quantize_real, to_real
from calocc.dialects.fixed.format import Format, Overflow, Rounding

VALUES = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e3, 1e3))
BITS = st.integers(2, 16)


def rounded(x: Any, format: Format) -> Any:
    return to_real(quantize_real(x, format, Rounding.RND_CONV, Overflow.SAT), format.frac)


@given(VALUES, BITS)
def test_a_format_for_the_range_is_off_by_one_step_at_most(x: Any, bits: int) -> None:
    format = format_for(x, bits, Criterion.RANGE)
    assert format.width == bits
    assert format.signed == bool((x < 0).any())
    assert (np.abs(rounded(x, format) - x) <= format.lsb).all()


@given(VALUES, BITS)
def test_least_squares_are_no_worse_than_the_range(x: Any, bits: int) -> None:
    def error(criterion: Criterion) -> float:
        error: Any = rounded(x, format_for(x, bits, criterion)) - x
        return float(np.square(error).mean())

    assert error(Criterion.SQUARE) <= error(Criterion.RANGE)


def test_a_percentile_gives_up_the_tail() -> None:
    x = np.append(np.linspace(-1, 1, 100_000), [900.0])
    assert format_for(x, 8, Criterion.PERCENTILE) == Format(True, 8, 1 + 1 - 1)
    assert format_for(x, 8, Criterion.RANGE) == Format(True, 8, 11)


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=st.floats(-9, 9)
    ),
    BITS,
    st.sampled_from(Criterion),
)
def test_levels_are_symmetric_integers(w: Any, bits: int, criterion: Criterion) -> None:
    levels, scale = levels_of(w, bits, 1, criterion)
    most = 2 ** (bits - 1) - 1
    assert (levels == np.rint(levels)).all()
    assert np.abs(levels).max() <= most
    assert scale.shape == w.shape[-1:]
    if criterion is Criterion.RANGE:
        assert (np.abs(levels * scale - w) <= scale * 0.5000001).all()


def test_depthwise_kernels_have_a_scale_for_each_pair_of_channels() -> None:
    w = np.random.default_rng(0).normal(size=(3, 3, 4, 2))
    levels, scale = levels_of(w, 8, 2, Criterion.SQUARE)
    assert (levels.shape, scale.shape) == (w.shape, (4, 2))


@pytest.mark.parametrize(
    "options", [(0.0, None, None, "mse"), (2.0, None, None, "mse"), (None, 1, None, "mse"),
                (None, None, 17, "mse"), (None, None, None, "best")],
)  # fmt: skip
def test_requests_that_make_no_sense(options: Any) -> None:
    with pytest.raises(BadRequest):
        Request.of(*options)
