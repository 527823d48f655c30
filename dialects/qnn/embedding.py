"""`qnn.embedding`: rows of a table, by their numbers."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.irdl import base, irdl_op_definition, operand_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.dense import constant_weights
from calocc.dialects.qnn.op import (
    Array,
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    Tensor,
    Value,
    format_of,
    is_fixed,
    name_attr,
    real_tensor,
    shape_of,
)


def rows_of(table: Array, indices: Mantissas) -> Array:
    """The rows (..., M) of a table (N, M); zeros for indices that are none of 0 to N - 1."""
    known = (indices >= 0) & (indices < len(table))
    return np.where(known[..., None], table[np.where(known, indices, 0)], 0)


@irdl_op_definition
class EmbeddingOp(QnnOp):
    """Rows (..., M) of a constant table w (N, M), numbered by x (...).

    Indices outside 0 to N - 1 give zeros, as TensorFlow does on a GPU; on a CPU it fails. On reals
    an index is cut to an integer, as Keras does; on fixed-point numbers it has no fraction bits.
    """

    name = "qnn.embedding"
    x = operand_def(base(TensorType))
    w = operand_def(base(TensorType))
    assembly_format = "$x `,` $w attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: Value, w: Value, result: Tensor | None = None, layer: str = ""):
        if result is None:
            result = real_tensor((*shape_of(x), shape_of(w)[1]))
        super().__init__(
            operands=[x, w], properties={"layer": name_attr(layer)}, result_types=[result]
        )

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return shape_of(self.w)[0]

    def verify_(self) -> None:
        """Fixed-point indices are integers."""
        super().verify_()
        if is_fixed(self.x) and format_of(self.x).frac > 0:
            raise VerifyException(f"indices are integers, not {format_of(self.x)}")

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(...) and (N, M) give (..., M)."""
        x, w = shapes
        if len(w) != 2:
            raise VerifyException(f"a table has rows and columns, not the shape {w}")
        return (*x, w[1])

    def evaluate_real(self, *args: Reals) -> Reals:
        """The rows."""
        x, w = args
        largest = 2.0**31  # beyond any number of rows
        return rows_of(w, np.trunc(np.clip(x, -largest, largest)).astype(np.int64))

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The rows in the result's format."""
        x, w = args
        rows = rows_of(w, align(x, format_of(self.x).frac, 0))
        return align(rows, format_of(self.w).frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """Per column, over the rows that can be asked for."""
        x, w = args[0].aligned(0), args[1]
        first, last, step = int(x.lo.min()), int(x.hi.max()), 1 << -args[0].frac
        table = constant_weights(w, shape_of(self.w))
        asked = table[max(first, 0) : max(last + 1, 0) : step]
        if first < 0 or last >= self.rows:
            asked = np.concatenate([asked, np.zeros_like(table[:1])])
        return Interval(asked.min(axis=0), asked.max(axis=0), w.frac)
