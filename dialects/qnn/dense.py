"""`qnn.dense`: a matrix product over the last axis."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.irdl import base, irdl_op_definition, operand_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval, matmul_interval
from calocc.dialects.qnn.op import (
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    Tensor,
    Value,
    format_of,
    name_attr,
    real_tensor,
    shape_of,
)
from calocc.dialects.qnn.windows import exact_matmul, matmul


def constant_weights(weights: Interval, shape: Shape) -> Mantissas:
    """The values of a constant operand; raise VerifyException if it is not constant."""
    if weights.lo is not weights.hi and not np.array_equal(weights.lo, weights.hi):
        raise VerifyException("the weights of a layer must be constant")
    return np.broadcast_to(weights.lo, shape)


@irdl_op_definition
class DenseOp(QnnOp):
    """x (..., N) times w (N, M); no bias, no activation: those are ops of their own."""

    name = "qnn.dense"
    x = operand_def(base(TensorType))
    w = operand_def(base(TensorType))
    assembly_format = "$x `,` $w attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: Value, w: Value, result: Tensor | None = None, layer: str = ""):
        if result is None:
            result = real_tensor((*shape_of(x)[:-1], shape_of(w)[1]))
        super().__init__(
            operands=[x, w], properties={"layer": name_attr(layer)}, result_types=[result]
        )

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(..., N) and (N, M) give (..., M)."""
        x, w = shapes
        if len(w) != 2 or x[-1:] != w[:1]:
            raise VerifyException(f"cannot multiply {x} with weights {w}")
        return (*x[:-1], w[1])

    def evaluate_real(self, *args: Reals) -> Reals:
        """The product in float64."""
        return matmul(*args)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The exact product."""
        frac = format_of(self.x).frac + format_of(self.w).frac
        return align(exact_matmul(*args), frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """Per output, from the actual weights."""
        x, w = args
        features = x.broadcast(shape_of(self.x)).collapse()
        return matmul_interval(features, constant_weights(w, shape_of(self.w)), w.frac)
