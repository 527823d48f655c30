"""`qnn.constant`: weights, biases and scales."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numpy.typing import NDArray
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def, traits_def
from xdsl.traits import ConstantLike, Pure

from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.ops import verify_mantissas
from calocc.dialects.qnn.op import (
    Mantissas,
    QnnOp,
    Reals,
    Shape,
    fixed_tensor,
    is_fixed,
    name_attr,
    real_tensor,
)


@irdl_op_definition
class ConstantOp(QnnOp):
    """A constant tensor, without batch axis.

    `deviation` tells how far each value is from that of the model, where it was rounded.

    ```mlir
    %w = qnn.constant #fixed.blob<b55e97b6af40a0ad7 : tensor<3x3x4x16xf32>> : tensor<3x3x4x16xf32>
    ```
    """

    name = "qnn.constant"
    value = prop_def(BlobAttr)
    deviation = opt_prop_def(BlobAttr)
    traits = traits_def(Pure(), ConstantLike())
    assembly_format = "$value attr-dict `:` type($result)"

    def __init__(self, value: BlobAttr, format: Format | None = None, layer: str = ""):
        """Reals if `format` is None, else mantissas of that format."""
        shape = value.shape
        result = real_tensor(shape) if format is None else fixed_tensor(shape, format)
        super().__init__(
            properties={"value": value, "layer": name_attr(layer)}, result_types=[result]
        )

    @staticmethod
    def real(array: NDArray[Any], layer: str = "") -> ConstantOp:
        """A constant of reals."""
        return ConstantOp(BlobAttr.of(array), layer=layer)

    @staticmethod
    def fixed(mantissas: Mantissas, format: Format, layer: str = "") -> ConstantOp:
        """A constant of mantissas of `format`."""
        return ConstantOp(BlobAttr.of(mantissas), format, layer)

    def verify_(self) -> None:
        """Mantissas fit the format."""
        super().verify_()
        if is_fixed(self.result):
            verify_mantissas(self.value, self.out)

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The blob's shape."""
        return self.value.shape

    def evaluate_real(self, *args: Reals) -> Reals:
        """The values."""
        return self.value.numpy()

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The mantissas."""
        return self.value.numpy()

    def interval(self, *args: Interval) -> Interval:
        """Each value alone."""
        return _constant(self.value, self.out.frac)


@lru_cache(maxsize=256)
def _constant(value: BlobAttr, frac: int) -> Interval:
    """Weights are large, and every analysis asks for them."""
    return Interval.constant(value.numpy(), frac)
