"""Rows and columns that no window reads are not computed.

The last window of a pooling or a convolution may end before its image does. A slice drops what is
behind it and moves, by the patterns of `canonicalize`, into the window that computes it; where it
would get stuck on the way, nothing is sliced.
"""

from __future__ import annotations

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.pattern_rewriter import GreedyRewritePatternApplier, PatternRewriteWalker
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.dialects.qnn.conv import ConvolutionOp, int_array
from calocc.dialects.qnn.early_slice import needed, same_axis, sliceable_operands
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import is_fixed, shape_of
from calocc.dialects.qnn.pool import PoolOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.tap_sum import TapSumOp


def drop_unread(function: FuncOp) -> None:
    """Let windows compute only what the windows behind them read."""
    for op in reversed(list(function.body.block.ops)):
        if isinstance(op, ConvolutionOp | PoolOp) and is_fixed(op.result):
            for axis in (0, 1):
                _drop_behind_last(op, axis)
    patterns = GreedyRewritePatternApplier([*SliceOp.get_canonicalization_patterns()])
    PatternRewriteWalker(patterns).rewrite_region(function.body)


def _drop_behind_last(op: ConvolutionOp | PoolOp, axis: int) -> None:
    """Slice the image of a window op behind the last window."""
    size, window = shape_of(op.x)[axis], op.window
    pixels, padding = needed(window, size, axis, range(shape_of(op.result)[axis]))
    if pixels.stop >= size or not pixels or not _can_skip(op.x, axis, pixels.stop):
        return
    part = SliceOp(op.x, axis, 0, pixels.stop, op.layer_name)
    Rewriter.insert_op(part, InsertPoint.before(op))
    op.operands[0] = part.result
    op.padding = int_array(tuple(padding))


def _can_skip(value: SSAValue, axis: int, stop: int) -> bool:
    """Whether a slice of a value reaches the window that computes it, and ends there."""
    source = value.owner
    if not value.has_one_use():
        return False
    if isinstance(source, ElementwiseOp):
        operands = sliceable_operands(source, axis)
        return bool(operands) and all(_can_skip(o, axis, stop) for o in operands)
    if isinstance(source, ReshapeOp):
        own = same_axis(shape_of(source.x), shape_of(value), axis)
        return own is not None and _can_skip(source.x, own, stop)
    if isinstance(source, TapSumOp) and axis < 2:
        return axis == source.along or _can_skip(source.x, axis, stop)
    if not isinstance(source, ConvolutionOp | PoolOp) or axis > 1:
        return False
    size = shape_of(source.x)[axis]
    pixels, _ = needed(source.window, size, axis, range(stop))
    return len(pixels) == size or (bool(pixels) and _can_skip(source.x, axis, pixels.stop))
