"""Slices move in front of what computes rows and columns that they drop: canonicalization patterns.

They stop at values that others read too, which have to be computed as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from calocc.dialects.qnn.conv import ConvolutionOp, int_array
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import QnnOp, Shape, is_constant, is_fixed, shape_of
from calocc.dialects.qnn.pool import PoolOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.tap_sum import TapSumOp
from calocc.dialects.qnn.windows import Padding, Window


def _swap(
    rewriter: PatternRewriter,
    op: SliceOp,
    source: QnnOp,
    slices: Sequence[SliceOp],
    operands: Sequence[SSAValue],
    **changes: Attribute,
) -> None:
    """Replace op(source(...)) by source(slices(...)), with changes of properties."""
    properties = {**source.properties, **changes}
    new = type(source).create(
        operands=operands, result_types=[op.result.type], properties=properties
    )
    new.results[0].name_hint = source.result.name_hint or op.result.name_hint
    rewriter.replace(op, [*slices, new])
    rewriter.erase(source)


def sliceable_operands(op: ElementwiseOp, axis: int) -> list[SSAValue] | None:
    """The operands whose slices along an axis, but the last, give a slice of the result.

    Operands that spread along the axis are left out. None if an operand cannot be sliced: it has
    other users, or is a constant that differs along the axis.
    """
    rank = len(shape_of(op.result))
    if axis + 1 == rank:
        return None
    sizes = {o: ((1,) * (rank - len(shape_of(o))) + shape_of(o))[axis] for o in op.operands}
    sliced = [o for o, size in sizes.items() if size > 1]
    if any(is_constant(o) or not o.has_one_use() for o in sliced):
        return None
    return sliced


class SliceElements(RewritePattern):
    """slice(f(x, y)) -> f(slice(x), slice(y)) for elementwise layers and all axes but the last"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter, /) -> None:
        """The operands can be sliced in place of the result."""
        source, (axis, start, stop) = op.x.owner, op.range
        if not isinstance(source, ElementwiseOp) or not is_fixed(op.x) or not op.x.has_one_use():
            return
        sliced = sliceable_operands(source, axis)
        if not sliced:
            return
        parts = {o: SliceOp(o, axis, start, stop, op.layer_name) for o in sliced}
        operands = [parts[o].result if o in parts else o for o in source.operands]
        _swap(rewriter, op, source, list(parts.values()), operands)


def needed(window: Window, size: int, axis: int, places: range) -> tuple[range, Padding]:
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
        pixels, padding = needed(source.window, size, axis, range(start, stop))
        if not pixels:
            return
        # A slice of everything must not be made: it would stay a user of the image.
        bounds = [(pixels.start, pixels.stop)] if len(pixels) < size else []
        parts = [SliceOp(source.x, axis, *ends, op.layer_name) for ends in bounds]
        image = parts[0].result if parts else source.x
        operands = [image, *source.operands[1:]]
        _swap(rewriter, op, source, parts, operands, padding=int_array(tuple(padding)))


class SliceTapSum(RewritePattern):
    """slice(tap_sum(x)) -> tap_sum(x) with fewer outputs along its axis, tap_sum(slice(x)) else"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter, /) -> None:
        """Outputs before the first one move the taps."""
        source, (axis, start, stop) = op.x.owner, op.range
        if not isinstance(source, TapSumOp) or axis > 1 or not op.x.has_one_use():
            return
        if axis == source.along:
            first = source.start.value.data + start * source.stride.value.data
            _swap(rewriter, op, source, [], [source.x], start=IntegerAttr(first, i64))
        else:
            part = SliceOp(source.x, axis, start, stop, op.layer_name)
            _swap(rewriter, op, source, [part], [part.result])


def same_axis(before: Shape, after: Shape, axis: int) -> int | None:
    """What an axis has been before axes of 1 came or went: it keeps its place among the others."""
    long = [k for k, size in enumerate(before) if size > 1]
    if [before[k] for k in long] != [n for n in after if n > 1] or after[axis] == 1:
        return None
    return long[sum(n > 1 for n in after[:axis])]


class SliceReshape(RewritePattern):
    """slice(reshape(x)) -> reshape(slice(x)) where the shapes differ by axes of 1 only"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter, /) -> None:
        """The axis is one of the operand's."""
        source, (axis, start, stop) = op.x.owner, op.range
        if not isinstance(source, ReshapeOp) or not op.x.has_one_use():
            return
        own = same_axis(shape_of(source.x), shape_of(op.x), axis)
        if own is None:
            return
        part = SliceOp(source.x, own, start, stop, op.layer_name)
        _swap(rewriter, op, source, [part], [part.result])
