"""`factor-scales`: real scales of quantized weights move behind the layer that uses them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
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
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.quantize import QuantizeOp

KERNEL_AXES = {DenseOp: 1, ConvOp: 1, DepthwiseOp: 2}
"""The number of axes, the last ones of a kernel, on which output channels lie."""


def _factor(op: DenseOp | ConvOp | DepthwiseOp, rewriter: PatternRewriter) -> None:
    """op(x, quantize(w)) -> affine(op(x, levels), scale, 0), where the scale is real."""
    quantize = op.w.owner
    if not isinstance(quantize, QuantizeOp) or quantize.quantizer is None:
        return
    weights = quantize.x.owner
    quantizer = quantize.quantizer.quantizer
    if not isinstance(weights, ConstantOp) or quantizer.format is not None:
        return
    levels, scale = quantizer.decompose(weights.value.numpy())
    if scale.shape == () and scale == 1:
        return
    axes = KERNEL_AXES[type(op)]
    columns = np.broadcast_to(scale, levels.shape).reshape(-1, *levels.shape[-axes:])[0].ravel()
    scale_behind(op, levels, columns, rewriter)


def scale_behind(
    op: DenseOp | ConvOp | DepthwiseOp,
    levels: NDArray[np.float64],
    scale: NDArray[np.float64],
    rewriter: PatternRewriter,
    lost: NDArray[np.float64] | None = None,
) -> None:
    """Let a layer multiply with `levels`, and what it sums with the scale of each channel.

    `lost` is how far each level is from what the model has.
    """
    constants = [ConstantOp.real(a, op.layer_name) for a in (levels, scale, np.zeros(scale.size))]
    if lost is not None:
        constants[0].deviation = BlobAttr.of(lost)
    linear = op.clone()
    linear.operands[1] = constants[0].result
    affine = AffineOp((linear, *constants[1:]), layer=op.layer_name)
    rewriter.replace(op, [*constants, linear, affine])


class FactorDense(RewritePattern):
    """Dense layers."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: DenseOp, rewriter: PatternRewriter, /) -> None:
        """Factor the scale of the weights out."""
        _factor(op, rewriter)


class FactorConv(RewritePattern):
    """Convolutions."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ConvOp, rewriter: PatternRewriter, /) -> None:
        """Factor the scale of the kernels out."""
        _factor(op, rewriter)


class FactorDepthwise(RewritePattern):
    """Depthwise convolutions."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: DepthwiseOp, rewriter: PatternRewriter, /) -> None:
        """Factor the scale of the kernels out."""
        _factor(op, rewriter)


@dataclass(frozen=True)
class FactorScales(ModulePass):
    """Split weights with data-dependent scales into integer levels and an affine behind the layer.

    Scales hold for whole output channels, so they commute with the sum over inputs.
    """

    name = "factor-scales"
    takes = Stage.QNN

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        patterns = GreedyRewritePatternApplier([FactorDense(), FactorConv(), FactorDepthwise()])
        PatternRewriteWalker(patterns).rewrite_module(op)
