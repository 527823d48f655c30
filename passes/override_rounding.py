"""`override-rounding`: activations round and overflow as a user wants to try."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.ports import main_function
from calocc.compiler.stages import Stage
from calocc.dialects.fixed.format import Overflow
from calocc.dialects.qnn.elementwise import ReluOp
from calocc.dialects.qnn.op import is_constant
from calocc.dialects.qnn.quantize import QuantizeOp, QuantizerAttr
from calocc.dialects.qnn.quantizers import FixedPoint, Quantizer

RoundingName = Literal["trn", "trn_zero", "rnd", "rnd_zero", "rnd_min_inf", "rnd_inf", "rnd_conv"]
OverflowName = Literal["wrap", "sat", "sat_sym", "sat_zero"]


@dataclass(frozen=True)
class OverrideRounding(ModulePass):
    """Let quantizers of activations round and overflow in another way; formats stay.

    `rounding` and `overflow` are those of `ap_fixed`, as in `rounding=trn overflow=wrap`; what is
    None stays. This changes what the model computes; weights keep their values, and inputs that are
    not signed saturate.
    """

    name = "override-rounding"
    takes = Stage.QNN

    rounding: RoundingName | None = None
    overflow: OverflowName | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        for quantize in main_function(op).walk():
            if isinstance(quantize, QuantizeOp) and not is_constant(quantize.x):
                self._override(quantize)

    def _override(self, op: QuantizeOp) -> None:
        assert op.quantizer is not None
        quantizer = self._overridden(op.quantizer.quantizer)
        if quantizer is None:
            return
        if quantizer.overflow == Overflow.WRAP and not quantizer.signed:
            # What saturated at 0 was a rectifier; numbers below 0 must not come out on top.
            if isinstance(op.parent_op(), FuncOp) and isinstance(op.x, BlockArgument):
                # The host casts inputs, and has no rectifier besides.
                op.quantizer = QuantizerAttr.of(replace(quantizer, overflow=Overflow.SAT))
                return
            relu = ReluOp((op.x,), layer=op.layer_name)
            Rewriter.insert_op(relu, InsertPoint.before(op))
            op.operands[0] = relu.result
        op.quantizer = QuantizerAttr.of(quantizer)

    def _overridden(self, quantizer: Quantizer) -> FixedPoint | None:
        """The cast that takes a quantizer's place; None for one that is no plain cast."""
        if quantizer.rule is None or quantizer.format is None:
            return None
        rounding, overflow = quantizer.rule
        format = quantizer.format
        own = FixedPoint(format.width, format.integer, format.signed, rounding, overflow)
        return replace(own, rounding=self.rounding or rounding, overflow=self.overflow or overflow)
