"""`thresholds`: few levels by comparisons instead of arithmetic, where that is cheaper.

A monotone chain of element-wise layers that ends in a cast to few levels is told by where each
level begins (Umuroglu et al., "FINN", FPGA 2017, section 4.2.2). Both forms have the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.ports import main_function
from calocc.compiler.ranges import intervals
from calocc.compiler.stages import Stage
from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.fixed.exact import ADD, AFFINE, MAXIMUM, MINIMUM, MULTIPLY, RELU, SUBTRACT
from calocc.dialects.fixed.format import Overflow
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.steps import Mantissas, Steps
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import ElementwiseOp, ExactElementwiseOp
from calocc.dialects.qnn.op import format_of, is_fixed, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.step import ThresholdOp

MONOTONE = (ADD, AFFINE, MAXIMUM, MINIMUM, MULTIPLY, RELU, SUBTRACT)
"""Functions that rise or fall in one operand, if the others are constants."""
MOST_LEVELS = 64
LUTS_PER_DSP = 146
"""What a DSP slice is worth: the ratio of the two on an Alveo U50."""


@dataclass(frozen=True)
class FixedChain:
    """Element-wise layers on one operand, of which nobody reads a value in between."""

    operand: SSAValue
    layers: tuple[ElementwiseOp, ...]

    @staticmethod
    def ending_in(last: QuantizeOp) -> FixedChain:
        """The longest chain that ends in a cast."""
        layers: list[ElementwiseOp] = [last]
        operand: SSAValue = last.x
        while _continues(operand):
            layer = operand.owner
            assert isinstance(layer, ExactElementwiseOp)
            layers.insert(0, layer)
            operand = layer.args[0]
        return FixedChain(operand, tuple(layers))

    def __call__(self, mantissas: Mantissas) -> Mantissas:
        """The results for mantissas (..., channels) of the operand."""
        for layer in self.layers:
            mantissas = layer.evaluate_fixed(mantissas, *map(_constant, layer.operands[1:]))
        return mantissas

    def cost(self) -> Resources:
        """Its arithmetic for one element, and the memory of constants that differ by channel."""
        total = Resources()
        for layer in self.layers:
            widths = tuple(format_of(o).width for o in layer.operands)
            kind = layer.name.partition(".")[2]
            total = total + resources.scalar(kind, widths, layer.out.width)
            for constant in map(_constant, layer.operands[1:]):
                total = total + _stored(constant.size, widths[1])
        return total


def _continues(value: SSAValue) -> bool:
    """Whether a value is that of a monotone layer of one operand that only the chain reads."""
    layer = value.owner
    if not isinstance(layer, ExactElementwiseOp) or layer.FUNCTION not in MONOTONE:
        return False
    constants = layer.args[1:]
    channels = shape_of(value)[-1]
    return (
        value.has_one_use()
        and not isinstance(layer.args[0].owner, ConstantOp)
        and shape_of(layer.args[0]) == shape_of(value)
        and all(isinstance(c.owner, ConstantOp) for c in constants)
        and all(_constant(c).size in (1, channels) for c in constants)
        and all(shape_of(c)[-1:] in ((1,), (channels,)) for c in constants)
    )


def _constant(value: SSAValue) -> Mantissas:
    constant = value.owner
    assert isinstance(constant, ConstantOp)
    return constant.evaluate_fixed().reshape(-1)


def _stored(rows: int, width: int) -> Resources:
    return resources.memory(rows, width) if rows > 1 else Resources()


def _worth(cost: Resources) -> int:
    return cost.lut + LUTS_PER_DSP * cost.dsp


def as_thresholds(chain: FixedChain, bounds: Interval) -> ThresholdOp | None:
    """The chain as thresholds on operands in `bounds` (channels,); None unless that is cheaper."""
    last = chain.layers[-1]
    first, final = chain(bounds.lo), chain(bounds.hi)
    levels = int(final.max()) - int(first.min())
    if (final < first).any() or not 0 < levels <= MOST_LEVELS:
        return None
    steps = Steps.of(chain, bounds.lo, bounds.hi)
    rows = steps.first.T
    rows = rows[:1] if (rows == rows[:1]).all() else rows
    width = format_of(chain.operand).width
    cost = resources.steps(levels, width) + _stored(len(rows), levels * width)
    if _worth(cost) >= _worth(chain.cost()):
        return None
    return ThresholdOp(chain.operand, rows, steps.base, last.out, last.layer_name)


def _rewrite(function: FuncOp) -> None:
    bounds = intervals(function)
    for op in list(function.body.block.ops):
        if not isinstance(op, QuantizeOp) or not is_fixed(op.result):
            continue
        chain = FixedChain.ending_in(op)
        if op.modes[1] is not Overflow.SAT or isinstance(chain.operand.owner, ConstantOp):
            continue
        shape = shape_of(chain.operand)
        channels = bounds[chain.operand].broadcast(shape).collapse()
        channels = channels.aligned(format_of(chain.operand).frac)
        new = as_thresholds(chain, channels)
        if new is not None:
            bounds[new.result] = bounds[op.result]
            _replace(chain, new)


def _replace(chain: FixedChain, new: ThresholdOp) -> None:
    last = chain.layers[-1]
    new.attributes.update(last.attributes)
    new.result.name_hint = last.result.name_hint
    Rewriter.insert_op(new, InsertPoint.before(last))
    last.result.replace_all_uses_with(new.result)
    for layer in reversed(chain.layers):
        Rewriter.erase_op(layer)


@dataclass(frozen=True)
class Thresholds(ModulePass):
    """Replace chains that end in few levels by thresholds, where comparisons are cheaper."""

    name = "thresholds"
    takes = Stage.FIXED

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        _rewrite(main_function(op))
