"""What every `qnn` op is: a layer that runs on reals and, exactly, on fixed-point mantissas.

Arrays carry a leading batch axis that the types leave out, except for constants. Elements of
type `f32` stand for real numbers (float64 at run time); `!fixed.num` elements are int64
mantissas. Passes ask ops for shapes, values and intervals; they never switch on the class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import Float32Type, StringAttr, TensorType, f32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    base,
    opt_prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.types import FixedType, tensor_type

Shape = tuple[int, ...]
Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]
Array = NDArray[Any]
Value = SSAValue | Operation

Tensor = TensorType[Attribute]


def tensor_of(value: Value) -> Tensor:
    """The tensor type of a value."""
    type = (value if isinstance(value, SSAValue) else SSAValue.get(value)).type
    assert isinstance(type, TensorType)
    return type  # pyright: ignore[reportUnknownVariableType]


def shape_of(value: Value) -> Shape:
    """The shape of a tensor value, without batch axis."""
    return tensor_of(value).get_shape()


def is_fixed(value: Value) -> bool:
    """Whether a tensor value has fixed-point elements."""
    return isinstance(tensor_of(value).element_type, FixedType)


def format_of(value: Value) -> Format:
    """The number format of a fixed-point tensor value."""
    element = tensor_of(value).element_type
    assert isinstance(element, FixedType)
    return element.format


def is_constant(value: SSAValue) -> bool:
    """Whether a value depends on no argument; its array then has no batch axis."""
    owner = value.owner
    return isinstance(owner, Operation) and all(is_constant(o) for o in owner.operands)


def real_tensor(shape: Sequence[int]) -> Tensor:
    """The type of a tensor of reals."""
    return tensor_type(tuple(shape), f32)


def fixed_tensor(shape: Sequence[int], format: Format) -> Tensor:
    """The type of a tensor of fixed-point numbers."""
    return tensor_type(tuple(shape), FixedType.of(format))


class QnnOp(IRDLOperation, ABC):
    """A layer with one result."""

    result = result_def(base(TensorType))
    layer = opt_prop_def(StringAttr)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)

    @property
    def out(self) -> Format:
        """The format of a fixed-point result."""
        return format_of(self.result)

    @property
    def layer_name(self) -> str:
        """The Keras layer that this op stands for, or the op's own name."""
        return self.layer.data if self.layer is not None else self.name

    @property
    def keeps_format(self) -> bool:
        """Whether results have the element type of the first operand, as they are its elements."""
        return False

    @abstractmethod
    def infer_shape(self, *shapes: Shape) -> Shape:
        """The result's shape; raise VerifyException if the operands' shapes do not fit."""

    @abstractmethod
    def evaluate_real(self, *args: Reals) -> Reals:
        """The layer in float64."""

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The layer on mantissas, exactly."""
        raise VerifyException(f"{self.name} has no meaning on fixed-point numbers")

    def interval(self, *args: Interval) -> Interval:
        """Bounds of the exact results, at the fewest fraction bits that hold them exactly."""
        raise VerifyException(f"{self.name} has no meaning on fixed-point numbers")

    def allows(self, format: Format) -> bool:
        """Whether a format that holds all results will do for them."""
        return True

    def inner_intervals(self, *args: Interval) -> dict[SSAValue, Interval]:
        """Bounds of the values in the op's region, if it has one."""
        return {}

    def settle(self) -> None:
        """After formats around the op have changed: give those in it that follow theirs."""

    def require_reals(self) -> None:
        """Raise VerifyException for a layer on fixed-point numbers."""
        if is_fixed(self.result):
            raise VerifyException(f"{self.name} has no meaning on fixed-point numbers")

    def evaluate(self, *args: Array) -> tuple[Array, ...]:
        """Run the layer in the domain of its result's elements."""
        run = self.evaluate_fixed if is_fixed(self.result) else self.evaluate_real
        return (run(*args),)

    def verify_(self) -> None:
        """The result has the inferred shape; all values are reals, or all fixed-point numbers."""
        types = [tensor_of(value) for value in (*self.operands, self.result)]
        for type in types:
            if not isinstance(type.element_type, Float32Type | FixedType):
                raise VerifyException(f"elements are f32 or !fixed.num, not {type}")
        if len({isinstance(type.element_type, FixedType) for type in types}) > 1:
            raise VerifyException(f"{self.name} mixes reals and fixed-point numbers")
        *operands, shape = (type.get_shape() for type in types)
        expected = self.infer_shape(*operands)
        if shape != expected:
            raise VerifyException(f"result shape {shape}, expected {expected}")


def name_attr(layer: str | None) -> StringAttr | None:
    """The `layer` property for a layer's name."""
    return StringAttr(layer) if layer else None
