"""Interval analysis of a fixed-point `qnn` function, and the proof that nothing overflows."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from calocc.compiler.ports import main_function
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import QnnOp, format_of, is_fixed, shape_of


def intervals(function: FuncOp) -> dict[SSAValue, Interval]:
    """What each fixed-point value of a function can be, if its inputs can be anything."""
    bounds: dict[SSAValue, Interval] = {}
    for argument in function.args:
        if is_fixed(argument):
            bounds[argument] = Interval.of_format(format_of(argument), shape_of(argument))
    for op in function.body.block.ops:
        if isinstance(op, QnnOp) and is_fixed(op.result):
            operands = [bounds[o] for o in op.operands]
            bounds[op.result] = op.interval(*operands).compact()
            bounds |= op.inner_intervals(*operands)
    return bounds


class FormatTooNarrow(VerifyException):
    """A fixed-point value that can leave its format, with the op that yields it."""

    def __init__(self, value: SSAValue, bounds: Interval):
        op = value.owner
        self.op = op if isinstance(op, Operation) else None
        what = f"the results of {self.op.name}" if self.op else f"input {value.name_hint}"
        super().__init__(f"{format_of(value)} does not hold {what}: they need {bounds.format()}")


def check_formats(module: ModuleOp) -> None:
    """Raise FormatTooNarrow if any value of a fixed-point function can leave its format."""
    for value, bounds in intervals(main_function(module)).items():
        if not bounds.holds(format_of(value)):
            raise FormatTooNarrow(value, bounds)
