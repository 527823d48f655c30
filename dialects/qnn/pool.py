"""`qnn.pool`: the maximum or the sum over windows; an average is a sum and a `qnn.affine`."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.dialects.utils import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute
from xdsl.irdl import (
    base,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    prop_def,
)
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.conv import INTS, image_output, int_array, window_of
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
    tensor_of,
)
from calocc.dialects.qnn.windows import Window


class Pooling(StrEnum):
    """How the pixels under a window are combined."""

    MAX = "max"
    SUM = "sum"


# xDSL has a StrEnum of its own, for older Pythons; pyright does not take the standard one.
@irdl_attr_definition
class PoolingAttr(EnumAttribute[Pooling], SpacedOpaqueSyntaxAttribute):  # pyright: ignore[reportInvalidTypeArguments]
    """`#qnn<pooling max>`"""

    name = "qnn.pooling"


@irdl_op_definition
class PoolOp(QnnOp):
    """x (H, W, C) pooled over a window; padding never wins a maximum and adds 0 to a sum."""

    name = "qnn.pool"
    x = operand_def(base(TensorType))
    kind = prop_def(PoolingAttr)
    size = prop_def(INTS)
    strides = prop_def(INTS)
    padding = prop_def(INTS)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: Value, kind: Pooling, window: Window, layer: str = ""):
        """Pool a tensor of reals."""
        super().__init__(
            operands=[x],
            properties={
                "kind": PoolingAttr(kind),
                "size": int_array((window.height, window.width)),
                "strides": int_array(window.strides),
                "padding": int_array(tuple(window.padding)),
                "layer": name_attr(layer),
            },
            result_types=[real_tensor(image_output(window, shape_of(x), shape_of(x)[-1]))],
        )

    @property
    def window(self) -> Window:
        """The window that slides over the image."""
        return window_of(self.size.get_values(), self.strides, self.padding)

    @property
    def keeps_format(self) -> bool:
        """A maximum does."""
        return self.kind.data is Pooling.MAX

    def verify_(self) -> None:
        """A maximum keeps the format of its operand, and each window meets the image."""
        super().verify_()
        if not self.keeps_format:
            return
        if tensor_of(self.x).element_type != tensor_of(self.result).element_type:
            raise VerifyException("a maximum has the element type of its operand")
        if self._terms()[0] < 1:
            raise VerifyException("there is a window with padding only, which has no maximum")

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(H, W, C) gives (OH, OW, C)."""
        return image_output(self.window, shapes[0], *shapes[0][-1:])

    def _pool(self, x: Array, lowest: float) -> Array:
        if self.kind.data is Pooling.MAX:
            return self.window.slide(x, lowest).max(axis=(3, 4))
        return self.window.slide(x).sum(axis=(3, 4))

    def evaluate_real(self, *args: Reals) -> Reals:
        """Pool float64 images."""
        return self._pool(args[0], -np.inf)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Pool mantissas."""
        format = format_of(self.x)
        return align(self._pool(args[0], format.min_mantissa), format.frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """A maximum stays in its operand's bounds; a sum has `taps` times them."""
        bounds = args[0].broadcast(shape_of(self.x)).collapse()
        if self.kind.data is Pooling.MAX:
            return bounds
        least, most = self._terms()
        factors = Interval(np.array([least]), np.array([most]), 0)
        return bounds.multiply(factors)

    def _terms(self) -> tuple[int, int]:
        """The fewest and most pixels of the image that lie under the window."""
        rows, columns = shape_of(self.x)[:2]
        counts = self.window.slide(np.ones((1, rows, columns, 1), np.int64)).sum(axis=(3, 4))
        return int(counts.min()), int(counts.max())
