"""`fold-batch-norm`: batch normalisation becomes an affine function per channel."""

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

from calocc.compiler.stages import Stage
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import AffineOp


class BatchNormToAffine(RewritePattern):
    """batch_norm(x, gamma, beta, mean, variance) -> affine(x, scale, offset)"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: BatchNormOp, rewriter: PatternRewriter, /) -> None:
        """Compute scale and offset in float64 from constant parameters."""
        parameters = [p.owner for p in (op.gamma, op.beta, op.mean, op.variance)]
        constants = [p for p in parameters if isinstance(p, ConstantOp)]
        if len(constants) < len(parameters):
            return
        values = op.scale_and_offset(*(p.value.numpy() for p in constants))
        scale, offset = (ConstantOp.real(v, op.layer_name) for v in values)
        affine = AffineOp((op.x, scale, offset), layer=op.layer_name)
        rewriter.replace(op, [scale, offset, affine])


@dataclass(frozen=True)
class FoldBatchNorm(ModulePass):
    """Turn batch normalisation into an affine function per channel, in float64."""

    name = "fold-batch-norm"
    takes = Stage.QNN

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        PatternRewriteWalker(BatchNormToAffine()).rewrite_module(op)
