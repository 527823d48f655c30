"""`qnn.slice`: a range of one axis."""

from __future__ import annotations

from xdsl.dialects.builtin import I64, IntegerAttr, TensorType, i64
from xdsl.irdl import irdl_op_definition, prop_def
from xdsl.pattern_rewriter import RewritePattern
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.qnn.movement import MovementOp
from calocc.dialects.qnn.op import Array, Shape, Value, name_attr, shape_of, tensor_of


def sliced(shape: Shape, axis: int, start: int, stop: int) -> Shape:
    """The shape of elements start to stop - 1 along an axis; raise VerifyException if there are
    none."""
    if not (0 <= axis < len(shape) and 0 <= start < stop <= shape[axis]):
        raise VerifyException(f"no range {start} to {stop} of axis {axis} in {shape}")
    return (*shape[:axis], stop - start, *shape[axis + 1 :])


@irdl_op_definition
class SliceOp(MovementOp):
    """Elements `start` to `stop - 1` along `axis` (batch axis not counted)."""

    name = "qnn.slice"
    axis = prop_def(IntegerAttr[I64])
    start = prop_def(IntegerAttr[I64])
    stop = prop_def(IntegerAttr[I64])

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Slices of what others compute, row by row or pixel by pixel."""
        from calocc.dialects.qnn import chains
        from calocc.dialects.qnn import early_slice as early

        return (
            *super().get_canonicalization_patterns(),
            chains.SliceConcat(),
            early.SliceElements(),
            early.SliceReshape(),
            early.SliceTapSum(),
            early.SliceWindows(),
        )

    def __init__(self, x: Value, axis: int, start: int, stop: int, layer: str = ""):
        shape = sliced(shape_of(x), axis, start, stop)
        super().__init__(
            operands=[x],
            properties={
                "axis": IntegerAttr(axis, i64),
                "start": IntegerAttr(start, i64),
                "stop": IntegerAttr(stop, i64),
                "layer": name_attr(layer),
            },
            result_types=[TensorType(tensor_of(x).element_type, shape)],
        )

    @property
    def range(self) -> tuple[int, int, int]:
        """Axis, start and stop."""
        return self.axis.value.data, self.start.value.data, self.stop.value.data

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The axis shrinks to the range."""
        return sliced(shapes[0], *self.range)

    def move(self, x: Array) -> Array:
        """Slice, not counting the batch axis."""
        axis, start, stop = self.range
        return x.swapaxes(0, axis + 1)[start:stop].swapaxes(0, axis + 1)
