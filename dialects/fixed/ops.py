"""Scalar operations on `!fixed.num`: the bodies of epilogues.

A region of these ops describes what happens to one element. A constant holds one value per
channel (the last axis of the tensor that streams by), so the region itself is scalar.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import I64, IntegerAttr, i64
from xdsl.ir import Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    base,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import ConstantLike, IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed import exact, steps
from calocc.dialects.fixed.arithmetic import quantize
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.types import FixedType, OverflowAttr, RoundingAttr

Mantissas = NDArray[np.int64]


def format_of(value: SSAValue) -> Format:
    """The format of a scalar value of type `!fixed.num`."""
    assert isinstance(value.type, FixedType)
    return value.type.format


def verify_mantissas(blob: BlobAttr, format: Format) -> None:
    """A blob holds integers that are mantissas of `format`."""
    values = blob.numpy()
    if values.dtype != np.int64:
        raise VerifyException("mantissas are integers")
    if values.size and not format.holds(int(values.min()), int(values.max())):
        raise VerifyException(f"{format} does not hold {values.min()} to {values.max()}")


def verify_table(blob: BlobAttr, format: Format) -> None:
    """A row of one or more entries, or one for each channel, mantissas of `format`."""
    if len(blob.shape) not in (1, 2) or not prod(blob.shape):
        raise VerifyException(f"a table is a row of entries, or one per channel: {blob.shape}")
    verify_mantissas(blob, format)


def verify_thresholds(blob: BlobAttr, base: int, out: Format, channels: int | None = None) -> None:
    """Ascending rows, one for all channels or one for each; `out` holds all levels."""
    try:
        steps.check_thresholds(blob.numpy(), channels)
    except ValueError as error:
        raise VerifyException(str(error)) from None
    if not out.holds(base, base + blob.shape[-1]):
        raise VerifyException(f"{out} does not hold the levels from {base}")


class ScalarOp(IRDLOperation, ABC):
    """One scalar result from scalar operands."""

    result = result_def(FixedType)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "operands attr-dict `:` functional-type(operands, results)"

    @property
    def out(self) -> Format:
        """The result's format."""
        return self.result.type.format

    @abstractmethod
    def evaluate(self, *args: Mantissas) -> Mantissas:
        """The result's mantissas, elementwise; constants broadcast along the last axis."""


class ExactOp(ScalarOp, ABC):
    """An exact function: the result has at least the fraction bits that it needs."""

    FUNCTION: ClassVar[exact.Exact]
    args = var_operand_def(base(FixedType))
    assembly_format = "$args attr-dict `:` functional-type(operands, results)"

    def __init__(self, args: Sequence[SSAValue | Operation], out: Format):
        super().__init__(operands=[args], result_types=[FixedType.of(out)])

    def verify_(self) -> None:
        """The number of operands fits, and no fraction bit of the result is missing."""
        if len(self.args) != self.FUNCTION.arity:
            raise VerifyException(f"{self.name} takes {self.FUNCTION.arity} operands")
        needed = self.FUNCTION.frac(*(format_of(a).frac for a in self.args))
        if self.out.frac < needed:
            raise VerifyException(
                f"{self.name} is exact: its result needs {needed} fraction bits, "
                f"{self.out} has {self.out.frac}"
            )

    def evaluate(self, *args: Mantissas) -> Mantissas:
        """Apply the exact function."""
        fracs = [format_of(a).frac for a in self.args]
        return self.FUNCTION.mantissas(args, fracs, self.out.frac)


@irdl_op_definition
class AddOp(ExactOp):
    """`a + b`"""

    name = "fixed.add"
    FUNCTION: ClassVar = exact.ADD


@irdl_op_definition
class SubtractOp(ExactOp):
    """`a - b`"""

    name = "fixed.sub"
    FUNCTION: ClassVar = exact.SUBTRACT


@irdl_op_definition
class MultiplyOp(ExactOp):
    """`a * b`"""

    name = "fixed.mul"
    FUNCTION: ClassVar = exact.MULTIPLY


@irdl_op_definition
class MaximumOp(ExactOp):
    """The greater of two values."""

    name = "fixed.max"
    FUNCTION: ClassVar = exact.MAXIMUM


@irdl_op_definition
class MinimumOp(ExactOp):
    """The lesser of two values."""

    name = "fixed.min"
    FUNCTION: ClassVar = exact.MINIMUM


@irdl_op_definition
class ReluOp(ExactOp):
    """`max(x, 0)`"""

    name = "fixed.relu"
    FUNCTION: ClassVar = exact.RELU


@irdl_op_definition
class AffineOp(ExactOp):
    """`x * scale + offset`"""

    name = "fixed.affine"
    FUNCTION: ClassVar = exact.AFFINE


@irdl_op_definition
class LeakyReluOp(ExactOp):
    """`x` where it is not negative, `x * slope` elsewhere."""

    name = "fixed.leaky_relu"
    FUNCTION: ClassVar = exact.LEAKY_RELU


@irdl_op_definition
class GateOp(ExactOp):
    """`x` above a threshold, `(x - threshold) * slope` elsewhere."""

    name = "fixed.gate"
    FUNCTION: ClassVar = exact.GATE


@irdl_op_definition
class IsZeroOp(ExactOp):
    """1 where x is 0, else 0."""

    name = "fixed.is_zero"
    FUNCTION: ClassVar = exact.IS_ZERO


@irdl_op_definition
class QuantizeOp(ScalarOp):
    """Cast to the result's format with the given rounding and overflow.

    ```mlir
    %y = fixed.quantize %x {rounding = #fixed<rounding rnd_conv>, ...} : ...
    ```
    """

    name = "fixed.quantize"
    x = operand_def(FixedType)
    rounding = prop_def(RoundingAttr)
    overflow = prop_def(OverflowAttr)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(
        self, x: SSAValue | Operation, out: Format, rounding: Rounding, overflow: Overflow
    ):
        super().__init__(
            operands=[x],
            properties={"rounding": RoundingAttr(rounding), "overflow": OverflowAttr(overflow)},
            result_types=[FixedType.of(out)],
        )

    def evaluate(self, *args: Mantissas) -> Mantissas:
        """Round and saturate or wrap."""
        frac = format_of(self.x).frac
        return quantize(args[0], frac, self.out, self.rounding.data, self.overflow.data)


@irdl_op_definition
class ConstantOp(ScalarOp):
    """A constant: one mantissa, or one for each channel."""

    name = "fixed.constant"
    value = prop_def(BlobAttr)
    traits = traits_def(Pure(), ConstantLike())
    assembly_format = "$value attr-dict `:` type($result)"

    def __init__(self, value: BlobAttr, out: Format):
        super().__init__(properties={"value": value}, result_types=[FixedType.of(out)])

    @property
    def channels(self) -> int:
        """The number of values."""
        return prod(self.value.shape)

    def verify_(self) -> None:
        """At most one axis, the channels; all values fit the format."""
        if len(self.value.shape) > 1:
            raise VerifyException(f"a scalar constant varies by channel only: {self.value.shape}")
        verify_mantissas(self.value, self.out)

    def evaluate(self, *args: Mantissas) -> Mantissas:
        """The mantissas, shape () or (channels,)."""
        return self.value.numpy()


@irdl_op_definition
class ThresholdOp(ScalarOp):
    """`base` plus the number of thresholds that x reaches; thresholds (1 or channels, n)."""

    name = "fixed.threshold"
    x = operand_def(FixedType)
    thresholds = prop_def(BlobAttr)
    base = prop_def(IntegerAttr[I64])
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue | Operation, thresholds: BlobAttr, base: int, out: Format):
        super().__init__(
            operands=[x],
            properties={"thresholds": thresholds, "base": IntegerAttr(base, i64)},
            result_types=[FixedType.of(out)],
        )

    @property
    def channels(self) -> int:
        """The number of rows."""
        return self.thresholds.shape[0]

    def verify_(self) -> None:
        """Rows of ascending thresholds; the result's format holds all levels."""
        verify_thresholds(self.thresholds, self.base.value.data, self.out)

    def evaluate(self, *args: Mantissas) -> Mantissas:
        """Count the thresholds reached."""
        return steps.threshold(args[0], self.thresholds.numpy(), self.base.value.data)


@irdl_op_definition
class LookupOp(ScalarOp):
    """`table[x - origin]`, one table (n,) or one per channel (channels, n)."""

    name = "fixed.lookup"
    x = operand_def(FixedType)
    table = prop_def(BlobAttr)
    origin = prop_def(IntegerAttr[I64])
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue | Operation, table: BlobAttr, origin: int, out: Format):
        super().__init__(
            operands=[x],
            properties={"table": table, "origin": IntegerAttr(origin, i64)},
            result_types=[FixedType.of(out)],
        )

    @property
    def channels(self) -> int:
        """The number of rows."""
        return prod(self.table.shape[:-1])

    def verify_(self) -> None:
        """Rows of mantissas of the result's format."""
        verify_table(self.table, self.out)

    def evaluate(self, *args: Mantissas) -> Mantissas:
        """Read the table."""
        return steps.lookup(args[0], self.table.numpy(), self.origin.value.data)


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends an epilogue with its result."""

    name = "fixed.yield"
    value = operand_def(FixedType)
    traits = traits_def(IsTerminator())
    assembly_format = "$value attr-dict `:` type($value)"

    def __init__(self, value: SSAValue | Operation):
        super().__init__(operands=[value])
