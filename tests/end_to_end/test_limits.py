"""Designs at the limits of Vitis HLS: balanced within them, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_designs import FixedNetwork
from xdsl.ir import SSAValue

from calocc.compiler.design import Design
from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.stream import WIDEST_BEAT, StreamType, port_stream
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.windows import Window
from calocc.passes.check_dataflow import MOST_REGISTERS, NotBuildable, find_obstacle


@given(st.integers(1, 6000), st.integers(1, 62))
def test_ports_are_as_wide_as_they_may_be(axis: int, width: int) -> None:
    format = Format(True, width, 1)
    port = port_stream((2, axis), format)
    assert port.port_bits <= WIDEST_BEAT
    for lanes in (n for n in range(port.width + 1, axis + 1) if axis % n == 0):
        assert StreamType.of((2, axis), format, lanes).port_bits > WIDEST_BEAT


def wide_dense(inputs: int, format: str, interval: int) -> Design:
    """Dense from many inputs to 8 outputs, at a target interval."""
    net = FixedNetwork(((inputs,), format))
    (x,) = net.block.args
    sums = net.add(DenseOp(x, net.constant((inputs, 8), "fixed<3,1>"), layer="dense"))
    return net.design("wide", [net.cast(sums, "fixed<16,12>", "cast")], interval=interval)


@pytest.mark.parametrize("interval", [1, 2, 3, 50, 10**6])
def test_balanced_beats_are_never_too_wide(interval: int) -> None:
    """1500 inputs of 9 bits are 13500 bits: no folding may take them at once."""
    design = wide_dense(1500, "fixed<9,2>", interval)
    function = main_function(design.module)
    assert find_obstacle(function) is None
    streams = [v.type for op in function.walk() for v in op.results]
    widest = max(s.bits for s in streams if isinstance(s, StreamType))
    assert widest <= WIDEST_BEAT
    assert interval > 1 or widest > WIDEST_BEAT // 2
    x = np.random.default_rng(0).normal(size=(3, 1500))
    expected = wide_dense(1500, "fixed<9,2>", 10**6).predict(x)
    np.testing.assert_array_equal(design.predict(x), expected)


def refusal(net: FixedNetwork, *results: SSAValue) -> str:
    """The reason why the unbalanced design cannot be built."""
    with pytest.raises(NotBuildable) as caught:
        net.design("refused", results, opt_level=0)
    return str(caught.value)


def test_too_many_registers() -> None:
    net = FixedNetwork(((2, 2, MOST_REGISTERS), "ufixed<1,1>"))
    pool = PoolOp(net.block.args[0], Pooling.MAX, Window(2, 1), "pool")
    assert "layer 'pool': dataflow.window keeps 8192 elements" in refusal(net, net.add(pool))


def test_too_wide_products() -> None:
    net = FixedNetwork(((2,), "fixed<40,20>"))
    dense = DenseOp(net.block.args[0], net.constant((2, 2), "fixed<25,2>"), layer="dense")
    format = Format(True, 62, 19)
    with pytest.raises(NotBuildable, match="its sums of products need 65 bits"):
        net.design("refused", [net.add(dense, format)], opt_level=0)


def test_constants_beyond_a_double() -> None:
    net = FixedNetwork(((2,), "fixed<4,2>"))
    bias = AddOp((net.block.args[0], net.constant((2,), "fixed<60,2>")), layer="bias")
    assert "one of its constants has more than 53 significant bits" in refusal(net, net.add(bias))
