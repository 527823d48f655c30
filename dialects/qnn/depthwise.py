"""`qnn.depthwise`: a convolution that keeps channels apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.irdl import irdl_op_definition

from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import BOUND_BITS, Interval
from calocc.dialects.qnn.conv import ConvolutionOp
from calocc.dialects.qnn.dense import constant_weights
from calocc.dialects.qnn.op import Array, Mantissas, Reals, Shape, shape_of


def channelwise(windows: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Windows (..., taps, C) and weights (taps, C, M) to sums over the taps (..., C * M).

    Output c * M + m belongs to channel c.
    """
    sums = np.einsum("...tc,tcm->...cm", windows, weights)
    return sums.reshape(*sums.shape[:-2], sums.shape[-2] * sums.shape[-1])


def channelwise_interval(channels: Interval, weights: Mantissas, frac: int) -> Interval:
    """Bounds (C * M,) of `channelwise` for bounds (C,) of what lies under the windows.

    Raises OverflowError where the sum of magnitudes needs too many bits.
    """
    largest = np.maximum(np.abs(channels.lo), np.abs(channels.hi)).astype(np.float64)
    if np.any(largest[:, None] * np.abs(weights.astype(np.float64)).sum(axis=0) >= 2.0**BOUND_BITS):
        raise OverflowError(f"weighted sums need more than {BOUND_BITS} bits")
    lo, hi = (b[None, :, None] * weights for b in (channels.lo, channels.hi))
    least, most = (pick(lo, hi).sum(axis=0).reshape(-1) for pick in (np.minimum, np.maximum))
    return Interval(least, most, channels.frac + frac)


@irdl_op_definition
class DepthwiseOp(ConvolutionOp):
    """The sum over the window for each channel alone, with M kernels each; output c * M + m."""

    name = "qnn.depthwise"

    @staticmethod
    def channels(kernels: Shape) -> int:
        """M for each channel of the image."""
        return kernels[2] * kernels[3]

    def _sums(self, x: Array, w: Array) -> Array:
        windows = self.window.slide(x)
        taps = windows.reshape(*windows.shape[:3], -1, windows.shape[-1])
        return channelwise(taps, w.reshape(-1, *w.shape[2:]))

    def evaluate_real(self, *args: Reals) -> Reals:
        """The convolution in float64."""
        return self._sums(*args)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """The exact convolution."""
        return align(self._sums(*args), self.product_frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """Per output channel, from the actual weights."""
        x, w = args
        weights = constant_weights(w, shape_of(self.w))
        return channelwise_interval(
            self.under_window(x), weights.reshape(-1, *weights.shape[2:]), w.frac
        )
