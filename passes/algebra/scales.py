"""Scales and offsets one after the other become one scale and one offset, where that is cheaper.

Biases in front of batch normalisations, and offsets behind them, all are functions a * x + b with
constants for each channel, and so is one after the other. Nothing is rounded in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.dialects.dataflow import resources
from calocc.dialects.fixed.exact import ADD, AFFINE, MULTIPLY, SUBTRACT
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import AddOp, AffineOp, ExactElementwiseOp, MultiplyOp
from calocc.dialects.qnn.op import Tensor, format_of, is_fixed, tensor_of
from calocc.passes.algebra.known import Bounds, minimal_constant
from calocc.passes.algebra.monotone import computed_operand
from calocc.passes.algebra.worth import worth

ONE, ZERO = (Interval.constant(np.array([n], np.int64), 0) for n in (1, 0))


@dataclass(frozen=True)
class Line:
    """`scale * x + offset` with constants (1,) or (channels,)."""

    x: SSAValue
    scale: Interval
    offset: Interval

    @staticmethod
    def of(value: SSAValue) -> Line | None:
        """The line that an elementwise layer draws; None for other layers."""
        op = value.owner
        if not isinstance(op, ExactElementwiseOp) or not is_fixed(value):
            return None
        place = computed_operand(op)
        if place is None or op.FUNCTION not in (ADD, SUBTRACT, MULTIPLY, AFFINE):
            return None
        if place > 0 and op.FUNCTION in (SUBTRACT, AFFINE):
            return None
        first, *more = [_numbers(o) for k, o in enumerate(op.args) if k != place]
        x = op.args[place]
        if op.FUNCTION is ADD:
            return Line(x, ONE, first)
        if op.FUNCTION is SUBTRACT:
            return Line(x, ONE, first.negate())
        return Line(x, first, *(more or [ZERO]))

    def after(self, first: Line) -> Line:
        """This line drawn on the results of another one; raise OverflowError."""
        offset = first.offset.multiply(self.scale).add(self.offset)
        return Line(first.x, first.scale.multiply(self.scale), offset)

    def build(self, result: Tensor, layer: str) -> tuple[list[ConstantOp], ExactElementwiseOp]:
        """The layer that draws it, and its constants."""
        scale, offset = (minimal_constant(c, layer) for c in (self.scale, self.offset))
        if _is_everywhere(self.scale, 1):
            return [offset], AddOp((self.x, offset.result), result, layer)
        if _is_everywhere(self.offset, 0):
            return [scale], MultiplyOp((self.x, scale.result), result, layer)
        return [scale, offset], AffineOp((self.x, scale.result, offset.result), result, layer)


def _numbers(value: SSAValue) -> Interval:
    constant = value.owner
    assert isinstance(constant, ConstantOp)
    return Interval.constant(constant.evaluate_fixed().reshape(-1), constant.out.frac)


def _is_everywhere(constant: Interval, number: int) -> bool:
    return bool((np.ldexp(constant.lo.astype(float), -constant.frac) == number).all())


def _cost(op: ExactElementwiseOp) -> float:
    widths = tuple(format_of(o).width for o in op.operands)
    return worth(resources.scalar(op.name.partition(".")[2], widths, op.out.width))


def join_lines(function: FuncOp, bounds: Bounds) -> None:
    """Draw two lines as one wherever nobody else reads the first one; bound new values."""
    for op in list(function.body.block.ops):
        if isinstance(op, ExactElementwiseOp) and (last := Line.of(op.result)) is not None:
            first = Line.of(last.x) if last.x.has_one_use() else None
            if first is not None:
                _join(op, first, last, bounds)


def _join(op: ExactElementwiseOp, first: Line, last: Line, bounds: Bounds) -> None:
    before = last.x.owner
    assert isinstance(before, ExactElementwiseOp)
    try:
        constants, new = last.after(first).build(tensor_of(op.result), op.layer_name)
    except OverflowError:  # more bits than mantissas have
        return
    try:
        new.interval(bounds[first.x], *(c.interval() for c in constants))
        better = _cost(new) < _cost(before) + _cost(op)
    except OverflowError:
        better = False
    if not better:
        new.erase()  # else it stays a user of what it reads
        return
    for added in (*constants, new):
        Rewriter.insert_op(added, InsertPoint.before(op))
        bounds[added.result] = added.interval(*(bounds[o] for o in added.operands)).compact()
    new.result.name_hint = op.result.name_hint
    Rewriter.replace_op(op, [], [new.result])
    Rewriter.erase_op(before)
