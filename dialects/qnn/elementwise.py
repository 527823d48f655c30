"""`qnn` layers that act on each element alone, and the scalar op each becomes in an epilogue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.interfaces import HasCanonicalizationPatternsInterface
from xdsl.ir import SSAValue
from xdsl.irdl import base, irdl_op_definition, var_operand_def
from xdsl.pattern_rewriter import RewritePattern
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed import exact
from calocc.dialects.fixed import ops as scalar
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import (
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    Tensor,
    Value,
    format_of,
    is_constant,
    name_attr,
    real_tensor,
    shape_of,
)


class ElementwiseOp(QnnOp, ABC):
    """A layer that acts on each element alone."""

    @abstractmethod
    def scalar(self, args: Sequence[SSAValue], out: Format) -> scalar.ScalarOp:
        """The op that does for one element what this op does for a tensor."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        """Broadcast as numpy does."""
        try:
            result = np.broadcast_shapes(*shapes)
        except ValueError:
            raise VerifyException(f"shapes {shapes} do not broadcast") from None
        for operand, shape in zip(self.operands, shapes, strict=True):
            # The batch axis in front of a computed operand must meet that of the others.
            if len(shape) < len(result) and not is_constant(operand):
                raise VerifyException(f"a computed operand {shape} has fewer axes than {result}")
        return result


class ExactElementwiseOp(ElementwiseOp, ABC):
    """An elementwise layer that is exact on fixed-point numbers."""

    FUNCTION: ClassVar[exact.Exact]
    SCALAR: ClassVar[type[scalar.ExactOp]]
    args = var_operand_def(base(TensorType))
    assembly_format = "$args attr-dict `:` functional-type(operands, results)"

    def __init__(self, args: Sequence[Value], result: Tensor | None = None, layer: str = ""):
        if result is None:
            result = real_tensor(np.broadcast_shapes(*(shape_of(a) for a in args)))
        super().__init__(
            operands=[args], result_types=[result], properties={"layer": name_attr(layer)}
        )

    def scalar(self, args: Sequence[SSAValue], out: Format) -> scalar.ScalarOp:
        """The `fixed` op of the same function."""
        return self.SCALAR(args, out)

    def verify_(self) -> None:
        """Besides the shape, the number of operands."""
        if len(self.args) != self.FUNCTION.arity:
            raise VerifyException(f"{self.name} takes {self.FUNCTION.arity} operands")
        super().verify_()

    def evaluate_real(self, *args: Reals) -> Reals:
        """The function on float64."""
        return self.FUNCTION.real(*args)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The function on mantissas."""
        fracs = [format_of(a).frac for a in self.args]
        return self.FUNCTION.mantissas(args, fracs, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """The function on intervals."""
        return self.FUNCTION.interval(*args)


@irdl_op_definition
class AddOp(HasCanonicalizationPatternsInterface, ExactElementwiseOp):
    """`a + b`, broadcasting: a bias, a residual sum."""

    name = "qnn.add"
    FUNCTION: ClassVar = exact.ADD
    SCALAR: ClassVar = scalar.AddOp

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Additions of zero."""
        from calocc.dialects.qnn.neutral import DropZero

        return (DropZero(),)


@irdl_op_definition
class SubtractOp(HasCanonicalizationPatternsInterface, ExactElementwiseOp):
    """`a - b`"""

    name = "qnn.sub"
    FUNCTION: ClassVar = exact.SUBTRACT
    SCALAR: ClassVar = scalar.SubtractOp

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Subtractions of zero."""
        from calocc.dialects.qnn.neutral import DropZero

        return (DropZero(),)


@irdl_op_definition
class MultiplyOp(HasCanonicalizationPatternsInterface, ExactElementwiseOp):
    """`a * b`"""

    name = "qnn.mul"
    FUNCTION: ClassVar = exact.MULTIPLY
    SCALAR: ClassVar = scalar.MultiplyOp

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Products with one."""
        from calocc.dialects.qnn.neutral import DropOne

        return (DropOne(),)


@irdl_op_definition
class MaximumOp(ExactElementwiseOp):
    """The greater of two values."""

    name = "qnn.max"
    FUNCTION: ClassVar = exact.MAXIMUM
    SCALAR: ClassVar = scalar.MaximumOp


@irdl_op_definition
class MinimumOp(ExactElementwiseOp):
    """The lesser of two values."""

    name = "qnn.min"
    FUNCTION: ClassVar = exact.MINIMUM
    SCALAR: ClassVar = scalar.MinimumOp


@irdl_op_definition
class ReluOp(ExactElementwiseOp):
    """`max(x, 0)`"""

    name = "qnn.relu"
    FUNCTION: ClassVar = exact.RELU
    SCALAR: ClassVar = scalar.ReluOp


@irdl_op_definition
class AffineOp(HasCanonicalizationPatternsInterface, ExactElementwiseOp):
    """`x * scale + offset` with constant scale and offset, each one value or one per channel."""

    name = "qnn.affine"
    FUNCTION: ClassVar = exact.AFFINE
    SCALAR: ClassVar = scalar.AffineOp

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Scales of one and offsets of zero."""
        from calocc.dialects.qnn.neutral import SplitAffine

        return (SplitAffine(),)


@irdl_op_definition
class LeakyReluOp(ExactElementwiseOp):
    """`x` where it is not negative, `x * slope` elsewhere; the slope is a constant."""

    name = "qnn.leaky_relu"
    FUNCTION: ClassVar = exact.LEAKY_RELU
    SCALAR: ClassVar = scalar.LeakyReluOp


@irdl_op_definition
class GateOp(ExactElementwiseOp):
    """`x` above a threshold, `(x - threshold) * slope` elsewhere; both are constants."""

    name = "qnn.gate"
    FUNCTION: ClassVar = exact.GATE
    SCALAR: ClassVar = scalar.GateOp


@irdl_op_definition
class IsZeroOp(ExactElementwiseOp):
    """1 where x is 0, else 0: a mask of padding."""

    name = "qnn.is_zero"
    FUNCTION: ClassVar = exact.IS_ZERO
    SCALAR: ClassVar = scalar.IsZeroOp
