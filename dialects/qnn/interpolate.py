"""`qnn.interpolate`: an image made larger, with values in between its pixels."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.irdl import base, irdl_op_definition, operand_def, prop_def

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.conv import INTS, int_array
from calocc.dialects.qnn.movement import upsampled
from calocc.dialects.qnn.op import (
    Array,
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    Value,
    format_of,
    name_attr,
    real_tensor,
    shape_of,
)
from calocc.dialects.qnn.stretch import Stretch


@irdl_op_definition
class InterpolateOp(QnnOp):
    """`scale` times the bilinear interpolation of an image (H, W, C): sums with whole weights.

    Pixels stand for areas (half-pixel centres), and the image goes on as it ends.
    """

    name = "qnn.interpolate"
    x = operand_def(base(TensorType))
    factors = prop_def(INTS)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: Value, factors: tuple[int, int], layer: str = ""):
        """Interpolate a tensor of reals."""
        super().__init__(
            operands=[x],
            properties={"factors": int_array(factors), "layer": name_attr(layer)},
            result_types=[real_tensor(upsampled(shape_of(x), factors))],
        )

    @property
    def axes(self) -> tuple[Stretch, Stretch]:
        """How rows and columns grow."""
        return stretches(shape_of(self.x), self.size)

    @property
    def size(self) -> tuple[int, int]:
        """How many times there are more rows and columns."""
        down, across = self.factors.get_values()
        return down, across

    @property
    def scale(self) -> int:
        """The sum of the weights."""
        rows, columns = self.axes
        return rows.unit * columns.unit

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(H, W, C) grows by the factors."""
        return upsampled(shapes[0], self.factors.get_values())

    def _sums(self, x: Array) -> Array:
        rows, columns = self.axes
        return columns.apply(rows.apply(x, 1), 2)

    def evaluate_real(self, *args: Reals) -> Reals:
        """Interpolate float64 images."""
        return self._sums(args[0])

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Interpolate mantissas."""
        return align(self._sums(args[0]), format_of(self.x).frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """The bounds of a channel, times the sum of the weights."""
        total = np.array([self.scale])
        bounds = args[0].broadcast(shape_of(self.x)).collapse()
        return bounds.multiply(Interval(total, total, 0))


def stretches(image: Shape, factors: tuple[int, int]) -> tuple[Stretch, Stretch]:
    """How the rows and columns of an image (H, W, C) grow."""
    return Stretch(image[0], factors[0]), Stretch(image[1], factors[1])
