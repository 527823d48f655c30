"""Affine functions behind one another become one, in float64: one multiplication, not two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import AddOp, AffineOp
from calocc.dialects.qnn.op import shape_of

Reals = NDArray[np.float64]


class MergeAffines(RewritePattern):
    """affine(affine(x, a, b), c, d) -> affine(x, a * c, b * c + d); an addition counts as one."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: AffineOp | AddOp, rewriter: PatternRewriter, /) -> None:
        """Merge an op with the one in front of it, whose only reader it is."""
        first = op.args[0].owner
        if not isinstance(first, AffineOp) or not op.args[0].has_one_use():
            return
        inner, outer = _scale_and_offset(first), _scale_and_offset(op)
        if inner is None or outer is None or shape_of(first.args[0]) != shape_of(op.result):
            return
        (a, b), (c, d) = inner, outer
        scale, offset = (ConstantOp.real(v, op.layer_name) for v in (a * c, b * c + d))
        merged = AffineOp((first.args[0], scale, offset), layer=op.layer_name)
        rewriter.replace(op, [scale, offset, merged])
        rewriter.erase(first)


def _scale_and_offset(op: AffineOp | AddOp) -> tuple[Any, Any] | None:
    """The constants of an op, one of each or one per channel; None if they are computed."""
    values = [_constant(value) for value in op.args[1:]]
    if any(v is None or v.size not in (1, *v.shape[-1:]) for v in values):
        return None
    flat = [v.reshape(-1) for v in values if v is not None]
    return (1.0, flat[0]) if isinstance(op, AddOp) else (flat[0], flat[1])


def _constant(value: SSAValue) -> Reals | None:
    owner = value.owner
    return owner.evaluate_real().astype(np.float64) if isinstance(owner, ConstantOp) else None


def merge_affines(module: ModuleOp) -> None:
    """Merge what can be merged, in place."""
    PatternRewriteWalker(MergeAffines()).rewrite_module(module)
