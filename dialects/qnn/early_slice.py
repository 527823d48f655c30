"""Slices move in front of what computes rows and columns that they drop: canonicalization patterns.

They stop at values that others read too, which have to be computed as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from calocc.dialects.qnn.conv import ConvolutionOp, int_array
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import QnnOp, is_constant, is_fixed, shape_of
from calocc.dialects.qnn.pool import PoolOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding, Window


def _swap(
    rewriter: PatternRewriter,
    op: SliceOp,
    source: QnnOp,
    slices: Sequence[SliceOp],
    operands: Sequence[SSAValue],
    padding: Padding | None = None,
) -> None:
    """Replace op(source(...)) by source(slices(...)), with another padding if one is given."""
    properties = dict(source.properties)
    if padding is not None:
        properties["padding"] = int_array(tuple(padding))
    new = type(source).create(
        operands=operands, result_types=[op.result.type], properties=properties
    )
    new.results[0].name_hint = op.result.name_hint
    rewriter.replace(op, [*slices, new])
    rewriter.erase(source)


class SliceElements(RewritePattern):
    """slice(f(x, y)) -> f(slice(x), slice(y)) for elementwise layers and all axes but the last"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter, /) -> None:
        """Constants hold for a channel; computed operands must have the shape of the result."""
        source, (axis, start, stop) = op.x.owner, op.range
        if not isinstance(source, ElementwiseOp) or not is_fixed(op.x) or not op.x.has_one_use():
            return
        computed = [o for o in source.operands if not is_constant(o)]
        constants = [o for o in source.operands if is_constant(o)]
        if axis + 1 == len(shape_of(op.x)) or any(len(shape_of(c)) > 1 for c in constants):
            return
        if any(shape_of(o) != shape_of(op.x) or not o.has_one_use() for o in computed):
            return
        parts = {o: SliceOp(o, axis, start, stop, op.layer_name) for o in computed}
        operands = [parts[o].result if o in parts else o for o in source.operands]
        _swap(rewriter, op, source, list(parts.values()), operands)


def _needed(window: Window, size: int, axis: int, places: range) -> tuple[range, Padding]:
    """The pixels along an axis of `size` that some places of a window need, and the padding."""
    stride, edges = window.strides[axis], [*window.padding]
    first = places.start * stride - edges[2 * axis]
    end = (places.stop - 1) * stride - edges[2 * axis] + window.reach[axis]
    edges[2 * axis : 2 * axis + 2] = max(-first, 0), max(end - size, 0)
    return range(max(first, 0), min(end, size)), Padding.of(edges)


class SliceWindows(RewritePattern):
    """slice(conv(x)) -> conv(slice(x)) for rows and columns, and the same for pooling"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter, /) -> None:
        """Windows over padding only have no pixels that could be kept."""
        source, (axis, start, stop) = op.x.owner, op.range
        if not isinstance(source, ConvolutionOp | PoolOp) or axis > 1 or not op.x.has_one_use():
            return
        size = shape_of(source.x)[axis]
        pixels, padding = _needed(source.window, size, axis, range(start, stop))
        if not pixels:
            return
        # A slice of everything must not be made: it would stay a user of the image.
        bounds = [(pixels.start, pixels.stop)] if len(pixels) < size else []
        parts = [SliceOp(source.x, axis, *ends, op.layer_name) for ends in bounds]
        image = parts[0].result if parts else source.x
        _swap(rewriter, op, source, parts, [image, *source.operands[1:]], padding)


class SliceReshape(RewritePattern):
    """slice(reshape(x)) -> reshape(slice(x)) where the shapes differ by axes of 1 only"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter, /) -> None:
        """The axis keeps its place among those that are longer than 1."""
        source, (axis, start, stop) = op.x.owner, op.range
        if not isinstance(source, ReshapeOp) or not op.x.has_one_use():
            return
        before, after = shape_of(source.x), shape_of(op.x)
        long = [k for k, size in enumerate(before) if size > 1]
        if [before[k] for k in long] != [n for n in after if n > 1] or after[axis] == 1:
            return
        own = long[sum(n > 1 for n in after[:axis])]
        part = SliceOp(source.x, own, start, stop, op.layer_name)
        _swap(rewriter, op, source, [part], [part.result])
