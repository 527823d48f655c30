"""`thresholds`: the same bits by comparisons, where they are cheaper."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from qnn_networks import CONTEXT, Network, Reals, run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from calocc.compiler.ports import main_function
from calocc.compiler.ranges import intervals
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.elementwise import AffineOp, MultiplyOp, ReluOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import FixedPoint, QuantizedBits, QuantizedRelu
from calocc.dialects.qnn.step import ThresholdOp
from calocc.passes.thresholds import FixedChain, as_thresholds
from calocc.runtime.emulator import execute

CHANNELS = 3
REALS = hnp.arrays(np.float64, CHANNELS, elements=st.floats(0.125, 2, width=32))
EVERY = np.arange(-128, 128)[:, None].repeat(CHANNELS, axis=1)


def chain(scale: Reals, offset: Reals, bits: int, relu: bool) -> ModuleOp:
    """An affine on eight bits, perhaps a rectifier, and a cast to few levels; lowered."""
    net = Network((CHANNELS,))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedBits(8, 3, alpha=1.0)))
    y = net.add(AffineOp((x, net.constant(scale), net.constant(offset))))
    y = net.add(ReluOp((y,))) if relu else y
    module = net.module(net.add(QuantizeOp.real(y, QuantizedRelu(bits, 1))))
    return run_passes(module, "lower-to-fixed,dce")


def thresholds(module: ModuleOp) -> list[ThresholdOp]:
    return [op for op in main_function(module).walk() if isinstance(op, ThresholdOp)]


@given(REALS, REALS, st.integers(1, 3), st.booleans())
def test_comparisons_are_the_same_function(
    scale: Reals, offset: Reals, bits: int, relu: bool
) -> None:
    module = chain(scale, offset, bits, relu)
    assume(not thresholds(module))  # else lowering has found nothing exact
    (expected,) = execute(module, [EVERY])
    run_passes(module, "thresholds")
    assume(thresholds(module))  # a scale of one or two bits may be cheaper
    np.testing.assert_array_equal(execute(module, [EVERY])[0], expected)


FINE = """\
func.func @main(%x: tensor<3x!fixed.num<s8, 4>> {calocc.name = "x"})
    -> (tensor<3x!fixed.num<u2, 4>> {calocc.name = "y"}) {
  %c = qnn.constant <be7cf46a078fed4fa : tensor<1xi8>> : tensor<1x!fixed.num<u4, 0>>
  %0 = qnn.add %x, %x : (tensor<3x!fixed.num<s8, 4>>, tensor<3x!fixed.num<s8, 4>>)
      -> tensor<3x!fixed.num<s12, 5>>
  %1 = qnn.mul %0, %c : (tensor<3x!fixed.num<s12, 5>>, tensor<1x!fixed.num<u4, 0>>)
      -> tensor<3x!fixed.num<s16, 5>>
  %y = qnn.quantize %1 {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>}
      : (tensor<3x!fixed.num<s16, 5>>) -> tensor<3x!fixed.num<u2, 4>>
  func.return %y : tensor<3x!fixed.num<u2, 4>>
}
{-#
  dialect_resources: {
    fixed: {
      be7cf46a078fed4fa: "0x0b"
    }
  }
#-}
"""


def test_operands_of_more_fraction_bits_than_their_bounds() -> None:
    module = Parser(CONTEXT, FINE).parse_module()
    (expected,) = execute(module, [EVERY])
    run_passes(module, "thresholds")
    assert thresholds(module)
    np.testing.assert_array_equal(execute(module, [EVERY])[0], expected)
    (op,) = thresholds(module)
    bounds = intervals(main_function(module))[op.result]
    assert (bounds.lo.min(), bounds.hi.max()) == (expected.min(), expected.max())


@given(REALS, st.sampled_from(Overflow), st.booleans())
def test_only_casts_that_saturate_are_monotone(
    scale: Reals, overflow: Overflow, signed: bool
) -> None:
    """The range of the operand is many times that of the cast."""
    net = Network((CHANNELS,))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedBits(8, 3, alpha=1.0)))
    y = net.add(MultiplyOp((x, net.constant(scale))))
    cast = FixedPoint(2, 1, signed, Rounding.TRN, overflow)
    module = net.module(net.add(QuantizeOp.real(y, cast)))
    run_passes(module, "lower-to-fixed,dce")
    (expected,) = execute(module, [EVERY])
    known = len(thresholds(module))
    run_passes(module, "thresholds")
    np.testing.assert_array_equal(execute(module, [EVERY])[0], expected)
    assert overflow is Overflow.SAT or len(thresholds(module)) == known


@given(REALS, REALS)
def test_many_levels_are_computed(scale: Reals, offset: Reals) -> None:
    module = chain(scale, offset, 7, relu=False)
    before = str(module)
    run_passes(module, "thresholds")
    assert str(module) == before


def test_what_falls_is_left_alone() -> None:
    net = Network((CHANNELS,))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedBits(8, 3, alpha=1.0)))
    y = net.add(MultiplyOp((x, net.constant(np.array([0.75, -0.75, 0.5])))))
    module = net.module(net.add(QuantizeOp.real(y, QuantizedRelu(2, 1))))
    run_passes(module, "lower-to-fixed,dce")
    (last,) = (op for op in main_function(module).walk() if isinstance(op, QuantizeOp))
    everything = Interval(EVERY[0], EVERY[-1], 4)
    assert as_thresholds(FixedChain.ending_in(last), everything) is None
