"""Widths of accumulators: the proved ones and those of a rule for any weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from qnn_networks import Network, run_passes

from calocc.compiler.accumulators import accumulators, worst_case
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import QuantizedBits, QuantizedRelu

FORMATS = st.builds(Format, st.booleans(), st.integers(2, 9), st.integers(-2, 9))


@given(FORMATS, FORMATS, st.integers(1, 300), st.none() | FORMATS)
def test_the_worst_case_holds_every_sum(
    x: Format, w: Format, terms: int, bias: Format | None
) -> None:
    result = worst_case(x, w, terms, bias)
    shift = result.frac - x.frac - w.frac
    assert shift >= 0
    ends = [a * b for a in _ends(x) for b in _ends(w)]
    offsets = [b << (result.frac - bias.frac) for b in _ends(bias)] if bias else [0]
    sums = [(terms * e << shift) + o for e in ends for o in offsets]
    assert result.holds(min(sums), max(sums))


def _ends(format: Format) -> tuple[int, int]:
    return format.min_mantissa, format.max_mantissa


def test_sums_of_actual_weights_need_fewer_bits() -> None:
    """Two outputs of eight inputs from 0 to 15/4: weights 1 and 1/4, the second with a bias."""
    net = Network((8,))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedRelu(4, 2)))
    weights = net.constant(np.array([[1.0, 0.25]] * 8))
    kernel = net.add(QuantizeOp.real(weights, QuantizedBits(4, 1, alpha=1.0)))
    sums = net.add(DenseOp(x, kernel, layer="dense"))
    biased = net.add(AddOp((sums, net.constant(np.array([0.0, -0.25]))), layer="dense"))
    (row,) = accumulators(run_passes(net.module(biased), "lower-to-fixed,dce"))
    assert (row.layer, row.terms) == ("dense", 8)
    # 0 to 30 and -1/4 to 7 1/4 in steps of 1/16.
    assert row.proved == Format(True, 10, 6)
    assert row.channels == (9 + 8) / 2
    # Operands ufixed<4,2>, weights ufixed<3,1>, a bias fixed<1,-1>.
    assert row.worst_case == worst_case(
        Format(False, 4, 2), Format(False, 3, 1), 8, Format(True, 1, -1)
    )
    assert row.saved == row.worst_case.width - 10 > 0
