"""`qnn.depthwise`: a convolution that keeps channels apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import TensorType
from xdsl.irdl import base, irdl_op_definition, operand_def, prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.conv import INTS, image_output, int_array, window_of, with_padding
from calocc.dialects.qnn.dense import constant_weights
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
)
from calocc.dialects.qnn.windows import Window


def channelwise(windows: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Windows (..., taps, C) and weights (taps, C, M) to sums over the taps (..., C * M).

    Output c * M + m belongs to channel c.
    """
    sums = np.einsum("...tc,tcm->...cm", windows, weights)
    return sums.reshape(*sums.shape[:-2], -1)


def channelwise_interval(channels: Interval, weights: Mantissas, frac: int) -> Interval:
    """Bounds (C * M,) of `channelwise` for bounds (C,) of what lies under the windows."""
    lo, hi = (b[None, :, None] * weights for b in (channels.lo, channels.hi))
    bounds = (pick(lo, hi).sum(axis=0).reshape(-1) for pick in (np.minimum, np.maximum))
    return Interval(*bounds, channels.frac + frac)


@irdl_op_definition
class DepthwiseOp(QnnOp):
    """x (H, W, C) with kernels w (KH, KW, C, M) to (OH, OW, C * M); padding as in `qnn.conv`."""

    name = "qnn.depthwise"
    x = operand_def(base(TensorType))
    w = operand_def(base(TensorType))
    strides = prop_def(INTS)
    padding = prop_def(INTS)
    assembly_format = "$x `,` $w attr-dict `:` functional-type(operands, results)"

    def __init__(
        self, x: Value, w: Value, window: Window, result: Tensor | None = None, layer: str = ""
    ):
        if result is None:
            channels = shape_of(w)[2] * shape_of(w)[3]
            result = real_tensor(image_output(window, shape_of(x), channels))
        super().__init__(
            operands=[x, w],
            properties={
                "strides": int_array(window.strides),
                "padding": int_array(tuple(window.padding)),
                "layer": name_attr(layer),
            },
            result_types=[result],
        )

    @property
    def window(self) -> Window:
        """The window that slides over the image."""
        return window_of(shape_of(self.w)[:2], self.strides, self.padding)

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(H, W, C) and (KH, KW, C, M) give (OH, OW, C * M)."""
        x, w = shapes
        if len(w) != 4 or x[-1:] != w[2:3]:
            raise VerifyException(f"depthwise kernels {w} do not fit an image {x}")
        return image_output(self.window, x, w[2] * w[3])

    def _sums(self, x: Array, w: Array) -> Array:
        windows = self.window.slide(x)
        taps = windows.reshape(*windows.shape[:3], -1, windows.shape[-1])
        return channelwise(taps, w.reshape(-1, *w.shape[2:]))

    def evaluate_real(self, *args: Reals) -> Reals:
        """The convolution in float64."""
        return self._sums(*args)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The exact convolution."""
        frac = format_of(self.x).frac + format_of(self.w).frac
        return align(self._sums(*args), frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """Per output channel, from the actual weights."""
        x, w = args
        channels = with_padding(x.broadcast(shape_of(self.x)).collapse(), self.window)
        channels = channels.broadcast(shape_of(self.x)[-1:])
        weights = constant_weights(w, shape_of(self.w))
        return channelwise_interval(channels, weights.reshape(-1, *weights.shape[2:]), w.frac)
