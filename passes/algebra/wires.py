"""Reshapes move behind layers that do not mind the shape, and meet there.

A reshape is a wire, but one between a product and its activation keeps `fuse` from joining them.
Convolutions of single pixels are dense layers, which take any shape.
"""

from __future__ import annotations

from xdsl.dialects.func import FuncOp
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from calocc.dialects.qnn.chains import DropIdentity, FlattenConcat, MergeMovements
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import QnnOp, fixed_tensor, is_fixed, shape_of, tensor_of
from calocc.passes.algebra.monotone import computed_operand


class DensePixels(RewritePattern):
    """conv(x, w) -> dense(x, w) for kernels of one pixel that move by one"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ConvOp, rewriter: PatternRewriter, /) -> None:
        """Without padding, as many results as pixels."""
        weights = op.w.owner
        if not isinstance(weights, ConstantOp) or not is_fixed(op.result) or op.window.taps > 1:
            return
        if op.window.padding or shape_of(op.x)[:2] != shape_of(op.result)[:2]:
            return
        values = weights.value.numpy()
        matrix = values.reshape(values.shape[2:])
        constant = ConstantOp.fixed(matrix, weights.out, weights.layer_name)
        dense = DenseOp(op.x, constant, tensor_of(op.result), op.layer_name)
        rewriter.replace(op, [constant, dense])


class ReshapeLater(RewritePattern):
    """f(reshape(x)) -> reshape(f(x)) for dense layers and elementwise ones with constants"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ElementwiseOp | DenseOp, rewriter: PatternRewriter, /) -> None:
        """Channels stay channels, and nobody else reads the reshaped value."""
        place = 0 if isinstance(op, DenseOp) else computed_operand(op)
        if place is None or not is_fixed(op.result):
            return
        moved, channels = op.operands[place], shape_of(op.operands[place])[-1:]
        reshape = moved.owner
        if not isinstance(reshape, ReshapeOp) or not moved.has_one_use():
            return
        before = shape_of(reshape.x)
        if before[-1:] != channels or not channels:
            return
        shape = (*before[:-1], *shape_of(op.result)[-1:])
        operands = [reshape.x if k == place else o for k, o in enumerate(op.operands)]
        earlier: QnnOp = type(op).create(
            operands=operands,
            result_types=[fixed_tensor(shape, op.out)],
            properties=dict(op.properties),
            attributes=dict(op.attributes),
        )
        earlier.result.name_hint = op.result.name_hint
        later = ReshapeOp(earlier, shape_of(op.result), reshape.layer_name)
        rewriter.replace(op, [earlier, later])


def reshape_late(function: FuncOp, dense: bool = False) -> None:
    """Move the reshapes of a function behind what does not mind; with `dense`, make convolutions
    of single pixels dense layers first."""
    patterns: list[RewritePattern] = [
        ReshapeLater(),
        MergeMovements(),
        DropIdentity(),
        FlattenConcat(),
    ]
    patterns += [DensePixels()] if dense else []
    PatternRewriteWalker(GreedyRewritePatternApplier(patterns)).rewrite_region(function.body)
