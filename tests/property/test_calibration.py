"""Formats and levels that are chosen from data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from xdsl.parser import Parser

from calocc.compiler.calibration.accuracy import worst
from calocc.compiler.calibration.errors import BadRequest
from calocc.compiler.calibration.formats import Criterion, format_for, levels_of
from calocc.compiler.calibration.request import Request
from calocc.compiler.calibration.search import Calibration
from calocc.compiler.pipeline import Runner, new_context
from calocc.dialects.fixed.arithmetic import quantize_real, to_real
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.runtime.emulator import execute

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


GATED_STEP = """
func.func @main(%x: tensor<3x4xf32> {calocc.name = "x"}) -> (tensor<2xf32> {calocc.name = "y"}) {
  %r = qnn.function "tanh" %x {layer = "front"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  %y = qnn.recurrent %r {layer = "rnn"} : (tensor<3x4xf32>) -> tensor<2xf32> {
  ^bb0(%a: tensor<2xf32>, %b: tensor<2xf32>, %h: tensor<2xf32>):
    %p = qnn.mul %a, %h {layer = "rnn"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    %s = qnn.add %b, %p {layer = "rnn"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    qnn.yield %s, %s : tensor<2xf32>, tensor<2xf32>
  }
  func.return %y : tensor<2xf32>
}
"""


def test_gates_of_a_step_are_quantized_as_the_rows_that_they_are_parts_of() -> None:
    module = Parser(new_context(), GATED_STEP).parse_module()
    events = np.random.default_rng(2).normal(size=(50, 3, 4))
    calibration = Calibration(module, [events], Request.of(0.01, None, None, "mse"), lambda _: None)
    bits = calibration.search()
    quantized = calibration.quantized(bits)
    front, rows, *step = [op for op in quantized.walk() if isinstance(op, QuantizeOp)]
    assert (front.layer_name, rows.layer_name) == ("input_0", "front")
    assert [op.layer_name for op in step] == ["rnn"]
    assert worst(calibration.accuracy(execute(quantized, [events]))) <= 0.01
    Runner(new_context(), {}).run(quantized, "lower-to-fixed")
