"""`qnn.softmax`: on reals the function, on fixed-point numbers an exact integer recipe."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.irdl import base, irdl_op_definition, operand_def, opt_prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import (
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    Tensor,
    Value,
    is_fixed,
    name_attr,
    real_tensor,
    shape_of,
)


def integer_softmax(x: Mantissas, table: Mantissas, out: Format) -> Mantissas:
    """Softmax over the last axis in integers.

    With e_i = table[min(max(x) - x_i, len - 1)] the result is
    min(floor((e_i * 2^frac + sum(e) // 2) / sum(e)), largest mantissa), frac that of `out`.
    """
    distance = np.minimum(x.max(axis=-1, keepdims=True) - x, len(table) - 1)
    weights = table[distance]
    total = weights.sum(axis=-1, keepdims=True)
    quotient = ((weights << np.int64(out.frac)) + (total >> 1)) // total
    return np.minimum(quotient, out.max_mantissa)


def verify_exponentials(table: BlobAttr) -> None:
    """A row of weights: that of the maximum is positive, none is negative or beyond 31 bits."""
    if len(table.shape) != 1 or not table.shape[0]:
        raise VerifyException(f"a table is a row of entries, not {table.shape}")
    values = table.numpy()
    if values.dtype != np.int64 or values[0] < 1 or values.min() < 0 or values.max() >= 1 << 31:
        raise VerifyException("exponentials are from 0 to 2^31 - 1, and begin above 0")


@irdl_op_definition
class SoftmaxOp(QnnOp):
    """Softmax over the last axis; on fixed-point numbers with a table of exponentials.

    The recipe is `integer_softmax`, which is not equal to the real function.
    """

    name = "qnn.softmax"
    x = operand_def(base(TensorType))
    table = opt_prop_def(BlobAttr)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(
        self,
        x: Value,
        table: Mantissas | None = None,
        result: Tensor | None = None,
        layer: str = "",
    ):
        super().__init__(
            operands=[x],
            properties={
                "table": None if table is None else BlobAttr.of(table),
                "layer": name_attr(layer),
            },
            result_types=[result or real_tensor(shape_of(x))],
        )

    def verify_(self) -> None:
        """A table of exponentials goes with fixed-point numbers, and an unsigned result."""
        super().verify_()
        if (self.table is not None) != is_fixed(self.result):
            raise VerifyException("softmax takes a table on fixed-point numbers, and only there")
        if is_fixed(self.result) and (self.out.signed or self.out.frac < 1):
            raise VerifyException("softmax yields unsigned fractions")
        if self.table is not None:
            verify_exponentials(self.table)

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The operand's shape."""
        return shapes[0]

    def evaluate_real(self, *args: Reals) -> Reals:
        """Softmax in float64."""
        weights = np.exp(args[0] - args[0].max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The integer recipe."""
        assert self.table is not None
        return integer_softmax(args[0], self.table.numpy(), self.out)

    def interval(self, *args: Interval) -> Interval:
        """Between 0 and the largest mantissa."""
        return Interval(np.zeros(1, np.int64), np.array([self.out.max_mantissa]), self.out.frac)
