"""`qnn.threshold` and `qnn.lookup`: any function to few levels, exactly."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr, TensorType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import base, irdl_op_definition, operand_def, prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed import ops as scalar
from calocc.dialects.fixed import steps
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.op import (
    Mantissas,
    Reals,
    Value,
    fixed_tensor,
    format_of,
    is_fixed,
    name_attr,
    shape_of,
)


class StepOp(ElementwiseOp, ABC):
    """A function of one fixed-point number that is stored, not computed."""

    x = operand_def(base(TensorType))
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def verify_(self) -> None:
        """Fixed-point numbers only."""
        super().verify_()
        if not is_fixed(self.result):
            raise VerifyException(f"{self.name} has no meaning on reals")

    def evaluate_real(self, *args: Reals) -> Reals:
        """Steps are counted in mantissas; there is nothing to do on reals."""
        raise VerifyException(f"{self.name} has no meaning on reals")


@irdl_op_definition
class ThresholdOp(StepOp):
    """`base` plus the number of thresholds that x reaches; thresholds (1 or channels, n)."""

    name = "qnn.threshold"
    thresholds = prop_def(BlobAttr)
    base = prop_def(IntegerAttr[I64])

    def __init__(self, x: Value, thresholds: Mantissas, base: int, out: Format, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={
                "thresholds": BlobAttr.of(thresholds),
                "base": IntegerAttr(base, i64),
                "layer": name_attr(layer),
            },
            result_types=[fixed_tensor(shape_of(x), out)],
        )

    def verify_(self) -> None:
        """Rows of ascending thresholds; the result's format holds all levels."""
        super().verify_()
        channels = shape_of(self.x)[-1]
        scalar.verify_thresholds(self.thresholds, self.base.value.data, self.out, channels)

    def scalar(self, args: Sequence[SSAValue], out: Format) -> scalar.ScalarOp:
        """The scalar thresholds."""
        return scalar.ThresholdOp(args[0], self.thresholds, self.base.value.data, out)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Count the thresholds reached."""
        return steps.threshold(args[0], self.thresholds.numpy(), self.base.value.data)

    def allows(self, format: Format) -> bool:
        """All levels are counted with, those out of reach too."""
        base = self.base.value.data
        return format.holds(base, base + self.thresholds.shape[-1])

    def interval(self, *args: Interval) -> Interval:
        """Thresholds are monotone, and count in mantissas: bounds may have fewer fraction bits."""
        channels = args[0].broadcast(shape_of(self.x)).collapse()
        channels = channels.quantize(format_of(self.x), Rounding.TRN, Overflow.SAT)
        lo, hi = self.evaluate_fixed(channels.lo), self.evaluate_fixed(channels.hi)
        return Interval(lo, hi, self.out.frac)


@irdl_op_definition
class LookupOp(StepOp):
    """`table[x - origin]`, one table for all elements or (channels, n) for the last axis."""

    name = "qnn.lookup"
    table = prop_def(BlobAttr)
    origin = prop_def(IntegerAttr[I64])

    def __init__(self, x: Value, table: Mantissas, origin: int, out: Format, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={
                "table": BlobAttr.of(table),
                "origin": IntegerAttr(origin, i64),
                "layer": name_attr(layer),
            },
            result_types=[fixed_tensor(shape_of(x), out)],
        )

    def verify_(self) -> None:
        """Rows of mantissas of the result's format, as many as there are channels."""
        super().verify_()
        scalar.verify_table(self.table, self.out)
        channels = shape_of(self.x)[-1]
        if self.table.shape[:-1] not in ((), (channels,)):
            raise VerifyException(f"a table {self.table.shape} for {channels} channels")

    def scalar(self, args: Sequence[SSAValue], out: Format) -> scalar.ScalarOp:
        """The scalar lookup."""
        return scalar.LookupOp(args[0], self.table, self.origin.value.data, out)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Read the table."""
        return steps.lookup(args[0], self.table.numpy(), self.origin.value.data)

    def interval(self, *args: Interval) -> Interval:
        """The extremes of each table."""
        table = np.atleast_2d(self.table.numpy())
        lo, hi = table.min(axis=1), table.max(axis=1)
        return Interval(lo, hi, self.out.frac)
