"""`qnn.conv`: a convolution over images (H, W, C)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import I64, DenseArrayBase, TensorType, i64
from xdsl.irdl import base, irdl_op_definition, operand_def, opt_prop_def, prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval, matmul_interval
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
from calocc.dialects.qnn.windows import Padding, Window, exact_matmul, matmul

INTS = DenseArrayBase.constr(i64)
"""The constraint of a property like `array<i64: 1, 2>`."""


def window_of(
    size: Sequence[int],
    strides: DenseArrayBase[I64],
    padding: DenseArrayBase[I64],
    dilation: DenseArrayBase[I64] | None = None,
) -> Window:
    """The window that attributes describe; raise VerifyException if they describe none."""
    apart = (1, 1) if dilation is None else dilation.get_values()
    try:
        return Window.of(size, strides.get_values(), padding.get_values(), apart)
    except ValueError as error:
        raise VerifyException(str(error)) from None


def padding_of(attribute: DenseArrayBase[I64]) -> Padding:
    """The padding that an attribute describes; raise VerifyException if it describes none."""
    try:
        return Padding.of(attribute.get_values())
    except ValueError as error:
        raise VerifyException(str(error)) from None


def int_array(values: Sequence[int]) -> DenseArrayBase[I64]:
    """The attribute `array<i64: ...>`."""
    return DenseArrayBase.from_list(i64, list(values))


def dilation_of(window: Window) -> DenseArrayBase[I64] | None:
    """The attribute for a dilation; none for neighbours side by side."""
    return None if window.dilation == (1, 1) else int_array(window.dilation)


def image_output(window: Window, image: Shape, channels: int) -> Shape:
    """The shape that sliding `window` over an image (H, W, C) gives."""
    if len(image) != 3:
        raise VerifyException(f"an image has three axes (H, W, C), not {image}")
    rows, columns = window.output_size(*image[:2])
    if rows < 1 or columns < 1:
        raise VerifyException(f"the image {image} is smaller than the window")
    return rows, columns, channels


def with_padding(bounds: Interval, window: Window) -> Interval:
    """Bounds per channel of what lies under the window: the image's, and 0 where it is padded."""
    if not window.padding:
        return bounds
    return bounds.hull(Interval.constant(np.zeros(1, np.int64), bounds.frac))


class ConvolutionOp(QnnOp, ABC):
    """x (H, W, C) with kernels w (KH, KW, C, M); padding (top, bottom, left, right) with zeros."""

    x = operand_def(base(TensorType))
    w = operand_def(base(TensorType))
    strides = prop_def(INTS)
    padding = prop_def(INTS)
    dilation = opt_prop_def(INTS)
    assembly_format = "$x `,` $w attr-dict `:` functional-type(operands, results)"

    def __init__(
        self, x: Value, w: Value, window: Window, result: Tensor | None = None, layer: str = ""
    ):
        if result is None:
            channels = self.channels(shape_of(w))
            result = real_tensor(image_output(window, shape_of(x), channels))
        super().__init__(
            operands=[x, w],
            properties={
                "strides": int_array(window.strides),
                "padding": int_array(tuple(window.padding)),
                "dilation": dilation_of(window),
                "layer": name_attr(layer),
            },
            result_types=[result],
        )

    @staticmethod
    @abstractmethod
    def channels(kernels: Shape) -> int:
        """The number of output channels of kernels (KH, KW, C, M)."""

    @property
    def window(self) -> Window:
        """The window that slides over the image."""
        return window_of(shape_of(self.w)[:2], self.strides, self.padding, self.dilation)

    def infer_shape(self, *shapes: Shape) -> Shape:
        """(H, W, C) and (KH, KW, C, M) give (OH, OW, channels)."""
        x, w = shapes
        if len(w) != 4 or x[-1:] != w[2:3]:
            raise VerifyException(f"kernels {w} do not fit an image {x}")
        return image_output(self.window, x, self.channels(w))

    @property
    def product_frac(self) -> int:
        """Fraction bits of an exact product."""
        return format_of(self.x).frac + format_of(self.w).frac

    def under_window(self, x: Interval) -> Interval:
        """Bounds (C,) of what lies under the window."""
        channels = with_padding(x.broadcast(shape_of(self.x)).collapse(), self.window)
        return channels.broadcast(shape_of(self.x)[-1:])


@irdl_op_definition
class ConvOp(ConvolutionOp):
    """The sum over the window and all channels, for each of the M kernels."""

    name = "qnn.conv"

    @staticmethod
    def channels(kernels: Shape) -> int:
        """One per kernel."""
        return kernels[3]

    def _columns(self, x: Array) -> Array:
        windows = self.window.slide(x)
        return windows.reshape(*windows.shape[:3], -1)

    def evaluate_real(self, *args: Reals) -> Reals:
        """The convolution in float64."""
        x, w = args
        return matmul(self._columns(x), w.reshape(-1, w.shape[-1]))

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The exact convolution."""
        x, w = args
        sums = exact_matmul(self._columns(x), w.reshape(-1, w.shape[-1]))
        return align(sums, self.product_frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """Per output channel, from the actual weights."""
        x, w = args
        taps = (self.window.taps, shape_of(self.x)[-1])
        kernels = constant_weights(w, shape_of(self.w)).reshape(-1, shape_of(self.w)[-1])
        inputs = self.under_window(x).broadcast(taps).reshape(taps, kernels.shape[:1])
        return matmul_interval(inputs, kernels, w.frac)
