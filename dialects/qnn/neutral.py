"""Additions of zero and products with one: canonicalization patterns of elementwise layers.

QKeras models are full of them: biases before a batch normalisation, averages without offset.
"""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    ExactElementwiseOp,
    MultiplyOp,
    SubtractOp,
)
from calocc.dialects.qnn.op import is_fixed, shape_of, tensor_of
from calocc.dialects.qnn.quantize import QuantizeOp


def is_everywhere(value: SSAValue, number: int) -> bool:
    """Whether a value is a fixed-point constant whose elements all equal `number`."""
    constant = value.owner
    if not isinstance(constant, ConstantOp) or not is_fixed(value):
        return False
    return bool(np.all(np.ldexp(constant.value.numpy(), -constant.out.frac) == number))


def _pass_on(op: ExactElementwiseOp, x: SSAValue, rewriter: PatternRewriter) -> None:
    """Replace a layer by its operand, in the format of the layer's result."""
    if shape_of(x) != shape_of(op.result):
        return
    if tensor_of(x) == tensor_of(op.result):
        rewriter.replace(op, [], [x])
        return
    # Exact: the result has all fraction bits of x and holds all its values.
    cast = QuantizeOp.fixed(x, op.out, Rounding.TRN, Overflow.SAT, op.layer_name)
    rewriter.replace(op, cast)


class DropZero(RewritePattern):
    """add(x, 0) -> x, add(0, x) -> x, sub(x, 0) -> x"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: AddOp | SubtractOp, rewriter: PatternRewriter, /) -> None:
        """Look for a constant of zeros."""
        a, b = op.args
        if is_everywhere(b, 0):
            _pass_on(op, a, rewriter)
        elif isinstance(op, AddOp) and is_everywhere(a, 0):
            _pass_on(op, b, rewriter)


class DropOne(RewritePattern):
    """mul(x, 1) -> x, mul(1, x) -> x"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: MultiplyOp, rewriter: PatternRewriter, /) -> None:
        """Look for a constant of ones."""
        a, b = op.args
        if is_everywhere(b, 1):
            _pass_on(op, a, rewriter)
        elif is_everywhere(a, 1):
            _pass_on(op, b, rewriter)


class SplitAffine(RewritePattern):
    """affine(x, scale, 0) -> mul(x, scale), affine(x, 1, offset) -> add(x, offset)"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: AffineOp, rewriter: PatternRewriter, /) -> None:
        """Leave out the half that does nothing."""
        x, scale, offset = op.args
        result = tensor_of(op.result)
        if is_everywhere(offset, 0):
            rewriter.replace(op, MultiplyOp((x, scale), result, op.layer_name))
        elif is_everywhere(scale, 1):
            rewriter.replace(op, AddOp((x, offset), result, op.layer_name))
