"""Interval analysis of a fixed-point `qnn` function, and the proof that nothing overflows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from functools import lru_cache

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from calocc.compiler.ports import main_function
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import QnnOp, format_of, is_fixed, shape_of

REMEMBERED = 1024
"""Intervals that are kept, about those of a dozen of models."""
_known: OrderedDict[Hashable, Interval] = OrderedDict()


def intervals(function: FuncOp) -> dict[SSAValue, Interval]:
    """What each fixed-point value of a function can be, if its inputs can be anything."""
    bounds: dict[SSAValue, Interval] = {}
    for argument in function.args:
        if is_fixed(argument):
            bounds[argument] = _any(format_of(argument), shape_of(argument))
    for op in function.body.block.ops:
        if isinstance(op, QnnOp) and is_fixed(op.result):
            operands = [bounds[o] for o in op.operands]
            bounds[op.result] = _interval(op, operands)
            bounds |= op.inner_intervals(*operands)
    return bounds


@lru_cache(maxsize=REMEMBERED)
def _any(format: Format, shape: tuple[int, ...]) -> Interval:
    return Interval.of_format(format, shape)


def _interval(op: QnnOp, operands: Sequence[Interval]) -> Interval:
    """What an op makes of intervals. After each pass most ops are as they were before it, so what
    follows from the same things as before is not computed again."""
    if op.regions:
        return op.interval(*operands).compact()
    types = (value.type for value in (op.result, *op.operands))
    key = type(op), *op.properties.items(), *types, *operands
    if (known := _known.get(key)) is None:
        known = _known[key] = op.interval(*operands).compact()
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
    return known


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
