"""Puts quantizers into a model of reals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.pattern_rewriter import PatternRewriter
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.calibration.bits import Bits
from calocc.compiler.calibration.formats import format_for, levels_of
from calocc.compiler.calibration.merge import merge_affines
from calocc.compiler.calibration.points import Needs, WeightedOp
from calocc.compiler.keras.layers.registry import quantizer_to
from calocc.compiler.ports import main_function
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.op import QnnOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.passes.factor_scales import KERNEL_AXES, scale_behind

Samples = Mapping[int, NDArray[np.float64]]
"""Values seen at the points of a module, in the order of the points."""


def quantized(module: ModuleOp, samples: Samples, bits: Bits) -> ModuleOp:
    """A copy of a module on reals with weights and activations of so many bits.

    Batch normalisations are affine already. `samples` are those of `Needs.of(module).points`.
    """
    copy = module.clone()
    needs = Needs.of(copy)
    for index, (value, role) in enumerate(needs.points.items()):
        _quantize_value(copy, value, samples[index], bits, bits.of(role))
    for op in needs.weighted:
        _quantize_weights(op, bits)
    merge_affines(copy)
    copy.verify()
    return copy


def _quantize_value(
    module: ModuleOp, value: SSAValue, seen: NDArray[np.float64], bits: Bits, width: int
) -> None:
    """Let all readers of a value read it quantized."""
    quantizer = quantizer_to(format_for(seen, width, bits.criterion))
    readers = list(value.uses)
    op = QuantizeOp.real(value, quantizer, _layer_of(module, value), UnitAttr())
    Rewriter.insert_op(op, _behind(value))
    for use in readers:
        use.operation.operands[use.index] = op.result


def _layer_of(module: ModuleOp, value: SSAValue) -> str:
    owner = value.owner
    if isinstance(owner, QnnOp):
        return owner.layer_name
    return f"input_{main_function(module).args.index(value)}"


def _behind(value: SSAValue) -> InsertPoint:
    owner = value.owner
    if isinstance(owner, Block):
        return InsertPoint.at_start(owner)
    return InsertPoint.after(owner)


def _quantize_weights(op: WeightedOp, bits: Bits) -> None:
    """op(x, w) -> affine(op(x, levels), scale, 0)"""
    weights: Operation | Block = op.w.owner
    assert isinstance(weights, ConstantOp)
    axes, exact = KERNEL_AXES[type(op)], weights.evaluate_real()
    levels, scale = levels_of(exact, bits.weights, axes, bits.criterion)
    lost = np.abs(exact / scale - levels)
    scale_behind(op, levels, scale.ravel(), PatternRewriter(op), lost)
