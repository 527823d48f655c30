"""`hoist-quantize`: quantizers move in front of layers that only move or join elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from calocc.compiler.stages import Stage
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.movement import ConcatOp, MovementOp
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import Quantizer


def _keeps_zero(quantizer: Quantizer) -> bool:
    """Whether the quantizer leaves zeros as they are, whatever stands beside them."""
    return not quantizer.data_dependent and float(quantizer(np.zeros(1))[0]) == 0.0


def _commutes(op: object, quantizer: Quantizer) -> bool:
    """Whether quantizing before `op` is the same as quantizing after it."""
    if isinstance(op, MovementOp):
        # Padding brings in zeros, which the quantizer must leave as they are.
        return _keeps_zero(quantizer)
    return isinstance(op, PoolOp) and op.kind.data is Pooling.MAX and quantizer.monotone


class QuantizeFirst(RewritePattern):
    """quantize(move(x)) -> move(quantize(x))"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: QuantizeOp, rewriter: PatternRewriter, /) -> None:
        """Swap the two if nothing else uses the moved value."""
        if op.quantizer is None or not op.x.has_one_use():
            return
        move = op.x.owner
        if not isinstance(move, MovementOp | PoolOp):
            return
        if not _commutes(move, quantizer := op.quantizer.quantizer):
            return
        first = QuantizeOp.real(move.x, quantizer, op.layer_name, op.inserted)
        moved = move.clone()
        moved.operands[0] = first.result
        rewriter.replace(op, [first, moved])
        rewriter.erase(move)


class QuantizeBranches(RewritePattern):
    """quantize(concat(a, b)) -> concat(quantize(a), quantize(b))"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: QuantizeOp, rewriter: PatternRewriter, /) -> None:
        """Quantize each operand if nothing else uses them side by side."""
        concat = op.x.owner
        if op.quantizer is None or not isinstance(concat, ConcatOp) or not op.x.has_one_use():
            return
        quantizer = op.quantizer.quantizer
        if quantizer.data_dependent:
            return
        parts = [QuantizeOp.real(a, quantizer, op.layer_name, op.inserted) for a in concat.args]
        joined = ConcatOp(parts, concat.axis.value.data, layer=concat.layer_name)
        rewriter.replace(op, [*parts, joined])
        rewriter.erase(concat)


class QuantizeTable(RewritePattern):
    """quantize(embedding(x, w)) -> embedding(x, quantize(w))"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: QuantizeOp, rewriter: PatternRewriter, /) -> None:
        """Quantize the table if nothing else reads its rows, and zeros stay zeros."""
        embedding = op.x.owner
        if op.quantizer is None or not isinstance(embedding, EmbeddingOp):
            return
        quantizer = op.quantizer.quantizer
        if not op.x.has_one_use() or not _keeps_zero(quantizer):
            return
        table = QuantizeOp.real(embedding.w, quantizer, op.layer_name, op.inserted)
        rows = EmbeddingOp(embedding.x, table, layer=embedding.layer_name)
        rewriter.replace(op, [table, rows])
        rewriter.erase(embedding)


@dataclass(frozen=True)
class HoistQuantize(ModulePass):
    """Quantize before moving elements: fewer bits move, and inputs meet their quantizer first."""

    name = "hoist-quantize"
    takes = Stage.QNN

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        patterns = GreedyRewritePatternApplier(
            [QuantizeFirst(), QuantizeBranches(), QuantizeTable()]
        )
        PatternRewriteWalker(patterns).rewrite_module(op)
