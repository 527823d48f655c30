"""`narrow-widths`: formats shrink to the values that can occur."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from calocc.compiler.ports import main_function
from calocc.compiler.ranges import intervals
from calocc.compiler.stages import Stage
from calocc.dialects.fixed.format import Format, Overflow
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import QnnOp, fixed_tensor, format_of, is_fixed, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp


def _narrowest(op: QnnOp, bounds: Interval) -> Format:
    """The format at the op's binary point that holds its interval; casts may not begin to wrap."""
    if op.keeps_format:
        return format_of(op.operands[0])
    narrow = bounds.aligned(op.out.frac).format()
    if isinstance(op, QuantizeOp) and op.modes[1] is not Overflow.SAT:
        return op.out
    return narrow if narrow.width < op.out.width and op.allows(narrow) else op.out


def _narrow(op: QnnOp, bounds: Interval) -> None:
    format = _narrowest(op, bounds)
    if format != op.out:
        type = fixed_tensor(shape_of(op.result), format)
        Rewriter.replace_value_with_new_type(op.result, type)


def narrow_function(function: FuncOp) -> None:
    """Give every value the narrowest format that holds its interval.

    Intervals do not depend on formats, except through casts, whose saturation only ever cuts off
    values that the interval of the cast has left out already.
    """
    _narrow_block(function.body.block, intervals(function))
    function.update_function_type()


def _narrow_block(block: Block, bounds: dict[SSAValue, Interval]) -> None:
    for op in block.ops:
        if not isinstance(op, QnnOp) or not is_fixed(op.result) or op.name == "qnn.softmax":
            continue
        if op.regions:
            op.settle()
            _narrow_block(op.regions[0].block, bounds)
            op.settle()
        else:
            _narrow(op, bounds[op.result])


@dataclass(frozen=True)
class NarrowWidths(ModulePass):
    """Shrink every format to the values that can occur."""

    name = "narrow-widths"
    takes = Stage.FIXED

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        narrow_function(main_function(op))
