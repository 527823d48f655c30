"""`qnn.batch_norm`: as imported; `fold-batch-norm` makes it an affine."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import FloatAttr, TensorType, f64
from xdsl.irdl import base, irdl_op_definition, operand_def, prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.qnn.op import (
    QnnOp,
    Reals,
    Shape,
    Value,
    name_attr,
    real_tensor,
    shape_of,
)


@irdl_op_definition
class BatchNormOp(QnnOp):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta` per channel (last axis), on reals."""

    name = "qnn.batch_norm"
    x = operand_def(base(TensorType))
    gamma = operand_def(base(TensorType))
    beta = operand_def(base(TensorType))
    mean = operand_def(base(TensorType))
    variance = operand_def(base(TensorType))
    epsilon = prop_def(FloatAttr)
    assembly_format = (
        "$x `,` $gamma `,` $beta `,` $mean `,` $variance attr-dict"
        " `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        x: Value,
        gamma: Value,
        beta: Value,
        mean: Value,
        variance: Value,
        epsilon: float,
        layer: str = "",
    ):
        super().__init__(
            operands=[x, gamma, beta, mean, variance],
            properties={"epsilon": FloatAttr(epsilon, f64), "layer": name_attr(layer)},
            result_types=[real_tensor(shape_of(x))],
        )

    def verify_(self) -> None:
        """Reals only."""
        super().verify_()
        self.require_reals()

    def infer_shape(self, *shapes: Shape) -> Shape:
        """All parameters have one value per channel."""
        x, *parameters = shapes
        if any(p != x[-1:] for p in parameters):
            raise VerifyException(f"parameters {parameters} are not one value per channel of {x}")
        return x

    def scale_and_offset(
        self, gamma: Reals, beta: Reals, mean: Reals, variance: Reals
    ) -> tuple[Reals, Reals]:
        """The affine function per channel that the layer is at inference."""
        scale = gamma / np.sqrt(variance + self.epsilon.value.data)
        return scale, beta - mean * scale

    def evaluate_real(self, *args: Reals) -> Reals:
        """The layer at inference, in float64."""
        x, *parameters = args
        scale, offset = self.scale_and_offset(*parameters)
        return x * scale + offset
