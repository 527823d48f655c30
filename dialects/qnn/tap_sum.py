"""`qnn.tap_sum`: the rest of a convolution over repeated pixels, whose products are there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr, TensorType, i64
from xdsl.irdl import IRDLOperation, base, irdl_op_definition, operand_def, prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval
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
    shape_of,
)
from calocc.dialects.qnn.taps import Taps


class TapsOp(IRDLOperation):
    """The properties of an op that sums taps along an `axis` (batch axis not counted)."""

    axis = prop_def(IntegerAttr[I64])
    taps = prop_def(IntegerAttr[I64])
    factor = prop_def(IntegerAttr[I64])
    stride = prop_def(IntegerAttr[I64])
    dilation = prop_def(IntegerAttr[I64])
    start = prop_def(IntegerAttr[I64])


def taps_properties(axis: int, taps: Taps) -> dict[str, IntegerAttr[I64]]:
    """The properties of a `TapsOp`."""
    values = {"axis": axis, "taps": taps.count, "factor": taps.factor, "stride": taps.stride}
    values |= {"dilation": taps.dilation, "start": taps.start}
    return {name: IntegerAttr(value, i64) for name, value in values.items()}


def taps_of(op: TapsOp, x: Shape, y: Shape) -> Taps:
    """What takes an image x (H, W, M * taps) to y; raise VerifyException if nothing does."""
    axis = op.axis.value.data
    if len(x) != 3 or len(y) != 3 or axis not in (0, 1):
        raise VerifyException(f"taps are summed along axis 0 or 1 of images, not {axis} of {x}")
    numbers = (n.value.data for n in (op.taps, op.factor, op.stride, op.dilation, op.start))
    try:
        taps = Taps(x[axis], y[axis], *numbers)
    except ValueError as error:
        raise VerifyException(str(error)) from None
    summed = summed_shape(x, axis, taps)
    if y != summed:
        raise VerifyException(f"the sums of taps of {x} have the shape {summed}, not {y}")
    return taps


def summed_shape(x: Shape, axis: int, taps: Taps) -> Shape:
    """(H, W, M * taps) with the outputs in place of the axis, and M channels."""
    if x[-1] % taps.count:
        raise VerifyException(f"{x[-1]} channels are not {taps.count} taps of each of some")
    result = list((*x[:-1], x[-1] // taps.count))
    result[axis] = taps.outputs
    return tuple(result)


@irdl_op_definition
class TapSumOp(TapsOp, QnnOp):
    """Sums of taps along an axis of repeated pixels, which were weighted before they are repeated.

    With `taps` kernels in place of each kernel of a convolution along the axis, tap k of kernel m
    at channel m * taps + k, the products of a pixel are computed once, not once per copy. Output o
    is the sum over k of channel m * taps + k of pixel (o * stride + k * dilation + start) / factor,
    rounded down, and of nothing where there is no such pixel.
    """

    name = "qnn.tap_sum"
    x = operand_def(base(TensorType))
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: Value, axis: int, taps: Taps, result: Tensor, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={**taps_properties(axis, taps), "layer": name_attr(layer)},
            result_types=[result],
        )

    @property
    def along(self) -> int:
        """The axis, batch axis not counted."""
        return self.axis.value.data

    @property
    def geometry(self) -> Taps:
        """Which pixels are under the taps of each output."""
        return taps_of(self, shape_of(self.x), shape_of(self.result))

    def infer_shape(self, *shapes: Shape) -> Shape:
        """As many outputs as the result has; M channels."""
        taps_of(self, shapes[0], shape_of(self.result))
        return shape_of(self.result)

    def _sums(self, x: Array) -> Array:
        return self.geometry.gather(x, self.along + 1)

    def evaluate_real(self, *args: Reals) -> Reals:
        """Sums of float64."""
        return self._sums(args[0])

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Sums of mantissas."""
        return align(self._sums(args[0]), format_of(self.x).frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """The sum of the bounds of all taps, with 0 for those that are outside now and then."""
        taps, shape = self.geometry, shape_of(self.x)
        bounds = args[0].broadcast(shape).collapse()
        lo, hi = (b.reshape(-1, taps.count) for b in (bounds.lo, bounds.hi))
        parts = [Interval(lo[:, k], hi[:, k], bounds.frac) for k in range(taps.count)]
        return reduce(Interval.add, _with_edges(parts, taps))


def _with_edges(parts: Sequence[Interval], taps: Taps) -> list[Interval]:
    zero = Interval.constant(np.zeros(1, np.int64), parts[0].frac)
    edged: list[Interval] = []
    for k, part in enumerate(parts):
        inside = taps.inside[:, k]
        within = part if inside.any() else zero
        edged.append(within if inside.all() else within.hull(zero))
    return edged
