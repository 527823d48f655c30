"""`qnn` layers that only move elements: reshape, transpose, pad, upsample, concat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr, TensorType, i64
from xdsl.interfaces import HasCanonicalizationPatternsInterface
from xdsl.irdl import base, irdl_op_definition, operand_def, prop_def, var_operand_def
from xdsl.pattern_rewriter import RewritePattern
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.conv import INTS, int_array, padding_of
from calocc.dialects.qnn.op import (
    Array,
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
    tensor_of,
)
from calocc.dialects.qnn.windows import Padding


class MovementOp(HasCanonicalizationPatternsInterface, QnnOp, ABC):
    """A layer whose results are its operand's elements, and perhaps zeros."""

    x = operand_def(base(TensorType))
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Movements in several steps, and those that move nothing."""
        from calocc.dialects.qnn import chains

        return (chains.DropIdentity(), chains.TransposeOnes(), chains.MergeMovements())

    def verify_(self) -> None:
        """Elements keep their type."""
        super().verify_()
        if tensor_of(self.x).element_type != tensor_of(self.result).element_type:
            raise VerifyException(f"{self.name} keeps the element type")

    @property
    def keeps_format(self) -> bool:
        """Always."""
        return True

    @abstractmethod
    def move(self, x: Array) -> Array:
        """The layer on an array (B, ...) of any kind of element."""

    def evaluate_real(self, *args: Reals) -> Reals:
        """Move reals."""
        return self.move(args[0])

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Move mantissas."""
        return self.move(args[0])

    def interval(self, *args: Interval) -> Interval:
        """Move the bounds of each element."""
        bounds = args[0].broadcast(shape_of(self.x))
        lo, hi = (self.move(b[None])[0] for b in (bounds.lo, bounds.hi))
        return Interval(lo, hi, bounds.frac)


@irdl_op_definition
class ReshapeOp(MovementOp):
    """The same elements, in the same row-major order, in another shape."""

    name = "qnn.reshape"

    def __init__(self, x: Value, shape: Sequence[int], layer: str = ""):
        super().__init__(
            operands=[x],
            properties={"layer": name_attr(layer)},
            result_types=[TensorType(tensor_of(x).element_type, shape)],
        )

    def infer_shape(self, *shapes: Shape) -> Shape:
        """Any shape with as many elements."""
        shape = shape_of(self.result)
        if prod(shape) != prod(shapes[0]):
            raise VerifyException(f"cannot reshape {shapes[0]} to {shape}")
        return shape

    def move(self, x: Array) -> Array:
        """Reshape all but the batch axis."""
        return x.reshape(len(x), *shape_of(self.result))


@irdl_op_definition
class TransposeOp(MovementOp):
    """Axis k of the result is axis permutation[k] of the operand (batch axis not counted)."""

    name = "qnn.transpose"
    permutation = prop_def(INTS)

    def __init__(self, x: Value, permutation: Sequence[int], layer: str = ""):
        shape = transposed(shape_of(x), permutation)
        super().__init__(
            operands=[x],
            properties={"permutation": int_array(permutation), "layer": name_attr(layer)},
            result_types=[TensorType(tensor_of(x).element_type, shape)],
        )

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The operand's axes in their new order."""
        return transposed(shapes[0], self.permutation.get_values())

    def move(self, x: Array) -> Array:
        """Transpose all but the batch axis."""
        return x.transpose(0, *(k + 1 for k in self.permutation.get_values()))


def transposed(shape: Shape, permutation: Sequence[int]) -> Shape:
    """The axes in another order; raise VerifyException if `permutation` is none."""
    if sorted(permutation) != list(range(len(shape))):
        raise VerifyException(f"{tuple(permutation)} is no permutation of the axes of {shape}")
    return tuple(shape[k] for k in permutation)


@irdl_op_definition
class PadOp(MovementOp):
    """Zeros around an image (H, W, C): rows above and below, columns left and right."""

    name = "qnn.pad"
    padding = prop_def(INTS)

    def __init__(self, x: Value, padding: Padding, layer: str = ""):
        properties = {"padding": int_array(tuple(padding)), "layer": name_attr(layer)}
        element = tensor_of(x).element_type
        super().__init__(
            operands=[x],
            properties=properties,
            result_types=[TensorType(element, padded(shape_of(x), padding))],
        )

    @property
    def edges(self) -> Padding:
        """The padding as plain data."""
        return padding_of(self.padding)

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(H, W, C) grows to (H + top + bottom, W + left + right, C)."""
        return padded(shapes[0], self.edges)

    def move(self, x: Array) -> Array:
        """Pad with zeros."""
        pad = self.edges
        return np.pad(x, ((0, 0), (pad.top, pad.bottom), (pad.left, pad.right), (0, 0)))


def padded(shape: Shape, pad: Padding) -> Shape:
    """The shape of a padded image; raise VerifyException for anything but an image."""
    if len(shape) != 3:
        raise VerifyException(f"an image has three axes (H, W, C), not {shape}")
    return shape[0] + pad.top + pad.bottom, shape[1] + pad.left + pad.right, shape[2]


@irdl_op_definition
class UpsampleOp(MovementOp):
    """Each pixel of an image (H, W, C) repeated down and across (nearest neighbour)."""

    name = "qnn.upsample"
    factors = prop_def(INTS)

    def __init__(self, x: Value, factors: tuple[int, int], layer: str = ""):
        shape = upsampled(shape_of(x), factors)
        super().__init__(
            operands=[x],
            properties={"factors": int_array(factors), "layer": name_attr(layer)},
            result_types=[TensorType(tensor_of(x).element_type, shape)],
        )

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(H, W, C) grows by the factors."""
        return upsampled(shapes[0], self.factors.get_values())

    def move(self, x: Array) -> Array:
        """Repeat rows and columns."""
        down, across = self.factors.get_values()
        return x.repeat(down, axis=1).repeat(across, axis=2)


def upsampled(shape: Shape, factors: Sequence[int]) -> Shape:
    """The shape of an upsampled image; raise VerifyException if that makes no sense."""
    if len(shape) != 3:
        raise VerifyException(f"an image has three axes (H, W, C), not {shape}")
    if len(factors) != 2 or min(factors) < 1:
        raise VerifyException(f"{tuple(factors)} are not how often rows and columns repeat")
    return shape[0] * factors[0], shape[1] * factors[1], shape[2]


@irdl_op_definition
class ConcatOp(HasCanonicalizationPatternsInterface, QnnOp):
    """Operands one after the other along `axis` (batch axis not counted)."""

    name = "qnn.concat"
    args = var_operand_def(base(TensorType))
    axis = prop_def(IntegerAttr[I64])
    assembly_format = "$args attr-dict `:` functional-type(operands, results)"

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Concatenations in several steps, and of neighbouring slices."""
        from calocc.dialects.qnn import chains

        return (chains.JoinSlices(), chains.FlattenConcat())

    def __init__(
        self, args: Sequence[Value], axis: int, result: Tensor | None = None, layer: str = ""
    ):
        if result is None:
            result = real_tensor(concatenated([shape_of(a) for a in args], axis))
        super().__init__(
            operands=[args],
            properties={"axis": IntegerAttr(axis, i64), "layer": name_attr(layer)},
            result_types=[result],
        )

    def infer_shape(self, *shapes: Shape) -> Shape:
        """Sizes add up along the axis and agree elsewhere."""
        return concatenated(shapes, self.axis.value.data)

    def evaluate_real(self, *args: Reals) -> Reals:
        """Concatenate reals."""
        return np.concatenate(args, axis=self.axis.value.data + 1)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Concatenate mantissas at the result's binary point."""
        aligned = [
            align(x, format_of(a).frac, self.out.frac) for x, a in zip(args, self.args, strict=True)
        ]
        return np.concatenate(aligned, axis=self.axis.value.data + 1)

    def interval(self, *args: Interval) -> Interval:
        """The operands' bounds side by side."""
        frac = max(x.frac for x in args)
        full = [
            x.aligned(frac).broadcast(shape_of(a)) for x, a in zip(args, self.args, strict=True)
        ]
        axis = self.axis.value.data
        lo, hi = (np.concatenate(b, axis) for b in ([x.lo for x in full], [x.hi for x in full]))
        return Interval(lo, hi, frac)


def concatenated(shapes: Sequence[Shape], axis: int) -> Shape:
    """The shape of tensors side by side; raise VerifyException if they do not fit."""

    def others(shape: Shape) -> Shape:
        return shape[:axis] + shape[axis + 1 :]

    if (
        not shapes
        or not 0 <= axis < len(shapes[0])
        or any(others(s) != others(shapes[0]) for s in shapes)
    ):
        raise VerifyException(f"cannot concatenate {shapes} along axis {axis}")
    size = sum(s[axis] for s in shapes)
    return (*shapes[0][:axis], size, *shapes[0][axis + 1 :])
