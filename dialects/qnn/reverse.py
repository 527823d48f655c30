"""`qnn.reverse`: rows in the opposite order."""

from __future__ import annotations

from xdsl.irdl import irdl_op_definition
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.qnn.movement import MovementOp
from calocc.dialects.qnn.op import Array, Shape, Value, name_attr, shape_of, tensor_of


def reversed_rows(shape: Shape) -> Shape:
    """The shape of a tensor with its rows turned round; raise VerifyException without rows."""
    if len(shape) < 2:
        raise VerifyException(f"{shape} has no rows")
    return shape


@irdl_op_definition
class ReverseOp(MovementOp):
    """The last row first: row t of the result is row T - 1 - t of the operand (T, ..., C)."""

    name = "qnn.reverse"

    def __init__(self, x: Value, layer: str = ""):
        reversed_rows(shape_of(x))
        super().__init__(
            operands=[x],
            properties={"layer": name_attr(layer)},
            result_types=[tensor_of(x)],
        )

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The operand's shape."""
        return reversed_rows(shapes[0])

    def move(self, x: Array) -> Array:
        """Reverse the axis behind the batch."""
        return x[:, ::-1]
