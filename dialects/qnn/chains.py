"""Chains of layers that only move elements: canonicalization patterns.

Models say the same movement in several steps, or one that moves nothing.
"""

from __future__ import annotations

from itertools import accumulate

from xdsl.ir import SSAValue
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.movement import (
    ConcatOp,
    MovementOp,
    PadOp,
    ReshapeOp,
    TransposeOp,
    UpsampleOp,
)
from calocc.dialects.qnn.op import is_fixed, shape_of, tensor_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding


class DropIdentity(RewritePattern):
    """reshape, slice, pad or upsample(x) -> x where the shape stays the same"""

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: ReshapeOp | SliceOp | PadOp | UpsampleOp, rewriter: PatternRewriter, /
    ) -> None:
        """Each of them moves elements only if it changes the shape."""
        if op.x.type == op.result.type:
            rewriter.replace(op, [], [op.x])


class TransposeOnes(RewritePattern):
    """transpose(x) -> reshape(x) where only axes of length 1 change their places"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: TransposeOp, rewriter: PatternRewriter, /) -> None:
        """The other axes keep their order, and elements theirs."""
        shape = shape_of(op.x)
        long = [k for k in op.permutation.get_values() if shape[k] > 1]
        if long == sorted(long):
            rewriter.replace(op, ReshapeOp(op.x, shape_of(op.result), op.layer_name))


class MergeMovements(RewritePattern):
    """f(f(x)) -> f(x) for reshape, slice (along one axis), pad, upsample and transpose"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: MovementOp, rewriter: PatternRewriter, /) -> None:
        """Whoever else reads the value in between keeps it."""
        first = op.x.owner
        merged = _merged(first, op) if isinstance(first, MovementOp) else None
        if merged is not None:
            rewriter.replace(op, merged)


def _merged(first: MovementOp, last: MovementOp) -> MovementOp | None:
    """The one movement that does what two do; None if there is none."""
    x, layer = first.x, last.layer_name
    match first, last:
        case ReshapeOp(), ReshapeOp():
            return ReshapeOp(x, shape_of(last.result), layer)
        case SliceOp(), SliceOp() if first.range[0] == last.range[0]:
            (axis, origin, _), (_, start, stop) = first.range, last.range
            return SliceOp(x, axis, origin + start, origin + stop, layer)
        case PadOp(), PadOp():
            edges = (a + b for a, b in zip(first.edges, last.edges, strict=True))
            return PadOp(x, Padding(*edges), layer)
        case UpsampleOp(), UpsampleOp():
            factors = zip(first.factors.get_values(), last.factors.get_values(), strict=True)
            down, across = (a * b for a, b in factors)
            return UpsampleOp(x, (down, across), layer)
        case TransposeOp(), TransposeOp():
            before = first.permutation.get_values()
            return TransposeOp(x, [before[k] for k in last.permutation.get_values()], layer)
        case _:
            return None


def _part(value: SSAValue, like: ConcatOp, rewriter: PatternRewriter) -> SSAValue:
    """An operand of a concatenation in the format of its result, which holds all operands."""
    if tensor_of(value).element_type == tensor_of(like.result).element_type:
        return value
    cast = QuantizeOp.fixed(value, like.out, Rounding.TRN, Overflow.SAT, like.layer_name)
    rewriter.insert(cast)
    return cast.result


class SliceConcat(RewritePattern):
    """slice(concat(a, b, ...)) -> slice(b) where the range lies within one operand"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SliceOp, rewriter: PatternRewriter, /) -> None:
        """The range is along the axis of the concatenation."""
        concat, (axis, start, stop) = op.x.owner, op.range
        if not isinstance(concat, ConcatOp) or concat.axis.value.data != axis:
            return
        ends = list(accumulate(shape_of(a)[axis] for a in concat.args))
        for operand, end in zip(concat.args, ends, strict=True):
            first = end - shape_of(operand)[axis]
            if first <= start and stop <= end:
                part = _part(operand, concat, rewriter)
                slice = SliceOp(part, axis, start - first, stop - first, op.layer_name)
                rewriter.replace(op, slice)
                return


class JoinSlices(RewritePattern):
    """concat(slice(x, a, b), slice(x, b, c)) -> slice(x, a, c), among further operands too"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ConcatOp, rewriter: PatternRewriter, /) -> None:
        """The two are neighbours, and there is one slice of both in their place."""
        axis = op.axis.value.data
        for k, (one, next) in enumerate(zip(op.args, op.args[1:], strict=False)):
            a, b = one.owner, next.owner
            if not isinstance(a, SliceOp) or not isinstance(b, SliceOp) or a.x is not b.x:
                continue
            if a.range[0] == b.range[0] == axis and a.range[2] == b.range[1]:
                both = SliceOp(a.x, axis, a.range[1], b.range[2], a.layer_name)
                operands = [*op.args[:k], both.result, *op.args[k + 2 :]]
                joined = ConcatOp(operands, axis, tensor_of(op.result), op.layer_name)
                rewriter.replace(op, [both, joined])
                return


class FlattenConcat(RewritePattern):
    """concat(concat(a, b), c) -> concat(a, b, c), concat(x) -> x"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ConcatOp, rewriter: PatternRewriter, /) -> None:
        """The inner one is along the same axis, and nobody else reads it."""
        if len(op.args) == 1 and is_fixed(op.result):
            rewriter.replace(op, [], [_part(op.args[0], op, rewriter)])
            return
        operands: list[SSAValue] = []
        for operand in op.args:
            inner = operand.owner
            flat = isinstance(inner, ConcatOp) and inner.axis == op.axis and operand.has_one_use()
            operands += inner.args if isinstance(inner, ConcatOp) and flat else [operand]
        if len(operands) > len(op.args):
            result, layer = tensor_of(op.result), op.layer_name
            rewriter.replace(op, ConcatOp(operands, op.axis.value.data, result, layer))
