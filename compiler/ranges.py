"""Interval analysis of a fixed-point `qnn` function, and the proof that nothing overflows."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
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


def check_formats(module: ModuleOp) -> None:
    """Raise VerifyException if any value of a fixed-point function can leave its format."""
    for value, bounds in intervals(main_function(module)).items():
        if not bounds.holds(format_of(value)):
            op = value.owner
            raise VerifyException(
                f"{getattr(op, 'layer_name', value.name_hint)}: {format_of(value)} does not hold "
                f"the results of {getattr(op, 'name', 'an input')}, which need {bounds.format()}"
            )
