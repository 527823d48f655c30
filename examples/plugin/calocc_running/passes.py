"""`keep-last-sum`: a running sum of which only the last row is read is a plain sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import Rewriter

from calocc.compiler.ports import main_function
from calocc.compiler.ranges import intervals
from calocc.compiler.stages import Stage
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import fixed_tensor, format_of, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Window
from calocc_running.ops import SumOp


@dataclass
class LastRow(RewritePattern):
    """slice(running.sum(x)) of the last row becomes a pool over all rows of x.

    `bounds` are what values can be: a pool is left out whose format could not be that of the slice.
    """

    bounds: Mapping[SSAValue, Interval]

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter) -> None:
        """Rewrite one slice."""
        sums = op.x.owner
        if not isinstance(sums, SumOp):
            return
        rows, channels = shape_of(sums.x)
        layer, format = sums.layer_name, format_of(op.result)
        image = ReshapeOp(sums.x, (rows, 1, channels), layer)
        total = PoolOp(image, Pooling.SUM, Window(rows, 1), layer)
        fits = total.interval(self.bounds[sums.x]).holds(format)
        if op.range != (0, rows - 1, rows) or not fits:
            total.erase()
            image.erase()
            return
        Rewriter.replace_value_with_new_type(
            total.result, fixed_tensor(shape_of(total.result), format)
        )
        rewriter.replace(op, [image, total, ReshapeOp(total, (1, channels), layer)])


@dataclass(frozen=True)
class KeepLastSum(ModulePass):
    """Replace a running sum of which only the last row is read by a plain sum."""

    name = "keep-last-sum"
    takes = Stage.FIXED

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        bounds = intervals(main_function(op))
        PatternRewriteWalker(LastRow(bounds)).rewrite_module(op)
