"""Small networks on fixed-point numbers in the making."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.rewriter import Rewriter

from calocc.compiler.ports import Port, set_ports
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.op import QnnOp, Shape, fixed_tensor, format_of, shape_of


def _bounds(value: SSAValue) -> Interval:
    """A constant's values, or all that a format holds."""
    if isinstance(value.owner, ConstantOp):
        return value.owner.interval()
    return Interval.of_format(format_of(value), shape_of(value))


class FixedNetwork:
    """A function `main` of one fixed-point tensor."""

    def __init__(self, shape: Shape, format: str, seed: int = 0):
        self.block = Block(arg_types=[fixed_tensor(shape, Format.parse(format))])
        self.random = np.random.default_rng(seed)

    @property
    def input(self) -> SSAValue:
        """The argument."""
        return self.block.args[0]

    def add(self, op: QnnOp, format: Format | None = None) -> SSAValue:
        """Append a layer whose result has the format of its interval, or the given one."""
        self.block.add_op(op)
        chosen = format or op.interval(*(_bounds(o) for o in op.operands)).format()
        type = fixed_tensor(shape_of(op.result), chosen)
        return Rewriter.replace_value_with_new_type(op.result, type)

    def constant(self, shape: Shape, format: str) -> SSAValue:
        """Append a constant of random mantissas of a format."""
        f = Format.parse(format)
        values = self.random.integers(f.min_mantissa, f.max_mantissa + 1, shape)
        return self.add(ConstantOp.fixed(values, f), f)

    def module(self, result: SSAValue) -> ModuleOp:
        """The finished module, verified."""
        self.block.add_op(ReturnOp(result))
        function = FuncOp("main", ([], []), Region(self.block))
        port = Port("x", shape_of(self.input), format_of(self.input))
        set_ports(function, [port], [Port("y", shape_of(result))])
        module = ModuleOp([function])
        module.verify()
        return module
