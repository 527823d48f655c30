"""`fuse`: element-wise processes move into the epilogue of the process that feeds them."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint

from calocc.compiler.stages import Stage
from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.interpolate import InterpolateOp
from calocc.dialects.dataflow.process import most_lanes
from calocc.dialects.dataflow.tap_sum import TapSumOp
from calocc.dialects.fixed.ops import YieldOp

PRODUCERS = MatvecOp | DepthwiseOp | InterpolateOp | TapSumOp | ReduceOp | MapOp
"""What ends in an epilogue."""


class AbsorbMap(RewritePattern):
    """map(producer(x)) -> producer(x) with the map's body at the end of its epilogue"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: MapOp, rewriter: PatternRewriter, /) -> None:
        """Join the two epilogues; the layer's name becomes that of the last layer in it."""
        if len(op.args) != 1:
            return
        producer = op.args[0].owner
        if not isinstance(producer, PRODUCERS):
            return
        if isinstance(producer, DepthwiseOp) and producer.multiplier > most_lanes(op.result.type):
            return
        block = producer.epilogue.block
        last = block.last_op
        assert isinstance(last, YieldOp)
        body = op.epilogue.block
        rewriter.inline_block(body, InsertPoint.before(last), [last.value])
        rewriter.erase(last)
        result = rewriter.replace_value_with_new_type(producer.results[0], op.result.type)
        result.name_hint = op.result.name_hint
        rewriter.replace(op, [], [result])


@dataclass(frozen=True)
class Fuse(ModulePass):
    """Move element-wise processes into epilogues: fewer processes, no FIFO in between."""

    name = "fuse"
    takes = Stage.DATAFLOW

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        PatternRewriteWalker(AbsorbMap()).rewrite_module(op)
