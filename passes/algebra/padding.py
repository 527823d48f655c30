"""Padding belongs to windows, and taps that meet nothing else are left out.

A convolution or sum that pads for itself needs no process that does; its padding is address
generation. Where an image is so small that the first or last taps of a window only ever lie on
padding, as those of a 3 x 3 window around a single pixel do, or where their weights are zeros, they
add nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvolutionOp, int_array
from calocc.dialects.qnn.movement import PadOp
from calocc.dialects.qnn.op import Mantissas, format_of, is_fixed, shape_of, tensor_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.windows import Padding, Window


class PadInWindow(RewritePattern):
    """conv(pad(x)) -> conv(x) with more padding, and the same for pooling"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ConvolutionOp | PoolOp, rewriter: PatternRewriter, /) -> None:
        """A maximum sees zeros of a layer, not those of its own padding: it may only where no
        pixel is below zero, and each window meets the image."""
        pad = op.x.owner
        if not isinstance(pad, PadOp) or not is_fixed(op.result):
            return
        edges = (a + b for a, b in zip(pad.edges, op.window.padding, strict=True))
        window = replace(op.window, padding=Padding(*edges))
        if isinstance(op, PoolOp) and op.kind.data is Pooling.MAX:
            if format_of(op.x).signed or not _meets(window, *shape_of(pad.x)[:2]):
                return
        op.operands[0] = pad.x
        op.padding = int_array(tuple(window.padding))
        rewriter.notify_op_modified(op)


def _meets(window: Window, rows: int, columns: int) -> bool:
    """Whether a pixel of the image lies under the window wherever it is."""
    inside = window.slide(np.ones((1, rows, columns, 1), np.bool_))
    return bool(inside.any(axis=(3, 4)).all())


class TrimTaps(RewritePattern):
    """conv(x, w) -> conv(x, w[a:b]) without the first and last taps that add nothing"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ConvolutionOp, rewriter: PatternRewriter, /) -> None:
        """Row by row and column by column, as long as there is padding to give up."""
        weights = op.w.owner
        if not isinstance(weights, ConstantOp) or not is_fixed(op.result):
            return
        values, window = weights.value.numpy(), op.window
        for axis in (0, 1):
            size, outputs = shape_of(op.x)[axis], shape_of(op.result)[axis]
            kept = _useful(values, window, axis, size, outputs)
            values = values.take(kept, axis=axis)
            window = trimmed(window, axis, kept)
        if window == op.window:
            return
        kernels = ConstantOp.fixed(values, weights.out, weights.layer_name)
        conv = type(op)(op.x, kernels, window, tensor_of(op.result), op.layer_name)
        rewriter.replace(op, [kernels, conv])


def _useful(weights: Mantissas, window: Window, axis: int, size: int, outputs: int) -> range:
    """The taps along an axis that are left when those at either end that add nothing are gone."""
    count, apart = weights.shape[axis], window.dilation[axis]
    edges = [*window.padding][2 * axis : 2 * axis + 2]
    starts = range(-edges[0], outputs * window.strides[axis] - edges[0], window.strides[axis])
    useful = [
        any(0 <= start + k * apart < size for start in starts) and taps.any()
        for k, taps in enumerate(np.moveaxis(weights, axis, 0))
    ]
    first, last = 0, count
    while first < count - 1 and not useful[first] and edges[0] >= apart * (first + 1):
        first += 1
    while last > first + 1 and not useful[last - 1] and edges[1] >= apart * (count - last + 1):
        last -= 1
    return range(first, last)


def trimmed(window: Window, axis: int, kept: range) -> Window:
    """A window with some neighbouring taps along an axis only; the places stay where they are."""
    sizes, edges = [window.height, window.width], [*window.padding]
    apart = window.dilation[axis]
    edges[2 * axis] -= kept.start * apart
    edges[2 * axis + 1] -= (sizes[axis] - kept.stop) * apart
    sizes[axis] = len(kept)
    dilation = [*window.dilation]
    dilation[axis] = 1 if len(kept) == 1 else apart
    return Window.of(sizes, window.strides, edges, dilation)


def give_padding_to_windows(function: FuncOp) -> None:
    """Let the windows of a function pad for themselves, and no further than they need."""
    patterns = GreedyRewritePatternApplier([PadInWindow(), TrimTaps()])
    PatternRewriteWalker(patterns).rewrite_region(function.body)
