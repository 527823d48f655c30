"""Sliding windows over images, and exact products of integer matrices. Free of xDSL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Padding:
    """Rows and columns added around an image."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __iter__(self) -> Iterator[int]:
        return iter((self.top, self.bottom, self.left, self.right))

    @staticmethod
    def of(values: Sequence[int]) -> Padding:
        """From (top, bottom, left, right); raise ValueError for anything else."""
        if len(values) != 4 or min(values) < 0:
            raise ValueError(f"padding is (top, bottom, left, right), not {tuple(values)}")
        return Padding(*values)

    def __bool__(self) -> bool:
        return any(self)


@dataclass(frozen=True)
class Window:
    """A window of `height` x `width` pixels that moves by `strides` over a padded image.

    Neighbours under the window are `dilation` rows and columns apart in the image.
    """

    height: int
    width: int
    strides: tuple[int, int] = (1, 1)
    padding: Padding = Padding()
    dilation: tuple[int, int] = (1, 1)

    @staticmethod
    def of(
        size: Sequence[int],
        strides: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int] = (1, 1),
    ) -> Window:
        """From plain lists; raise ValueError for a wrong number of them or a size below 1."""
        if (len(size), len(strides)) != (2, 2) or min(*size, *strides) < 1:
            raise ValueError(f"a window of size {tuple(size)} cannot move by {tuple(strides)}")
        if len(dilation) != 2 or min(dilation) < 1:
            raise ValueError(f"a window is not dilated by {tuple(dilation)}")
        apart = dilation[0], dilation[1]
        return Window(size[0], size[1], (strides[0], strides[1]), Padding.of(padding), apart)

    @property
    def taps(self) -> int:
        """Pixels under the window."""
        return self.height * self.width

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first pixel under the window to the last."""
        return reach(self.height, self.dilation[0]), reach(self.width, self.dilation[1])

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Number of window positions down and across; not positive if the image is too small."""
        pad = self.padding
        high, wide = self.reach
        rows = (height + pad.top + pad.bottom - high) // self.strides[0] + 1
        columns = (width + pad.left + pad.right - wide) // self.strides[1] + 1
        return rows, columns

    def divides(self, height: int, width: int) -> bool:
        """Whether the windows cut an image, pixel by pixel in rows, into equal parts.

        They are whole rows or parts of a row, without padding, overlap and rest.
        """
        if self.padding or self.reach != (self.height, self.width):
            return False
        sizes = (self.height, self.width)
        apart = [s == k for k, s in zip(sizes, self.strides, strict=True)]
        if self.width == width:
            return self.height == height or (apart[0] and height % self.height == 0)
        single = self.height == 1 and (apart[0] or height == 1)
        return single and apart[1] and width % self.width == 0

    def slide(self, images: Array, fill: float = 0) -> Array:
        """Images (B, H, W, C) to windows (B, OH, OW, height, width, C); a copy-free view
        unless the image is padded (with `fill`)."""
        pad = self.padding
        if pad:
            edges = ((0, 0), (pad.top, pad.bottom), (pad.left, pad.right), (0, 0))
            images = np.pad(images, edges, constant_values=fill)
        view = np.lib.stride_tricks.sliding_window_view(images, self.reach, (1, 2))
        down, across = self.dilation
        moved = view[:, :: self.strides[0], :: self.strides[1], :, ::down, ::across]
        return moved.transpose(0, 1, 2, 4, 5, 3)

    @staticmethod
    def same(
        height: int,
        width: int,
        size: tuple[int, int],
        strides: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ) -> Window:
        """The window of a Keras 'same' layer on an image: the surplus pad is below and right."""
        top, bottom = _same(height, reach(size[0], dilation[0]), strides[0])
        left, right = _same(width, reach(size[1], dilation[1]), strides[1])
        return Window(*size, strides, Padding(top, bottom, left, right), dilation)


def reach(taps: int, dilation: int) -> int:
    """Pixels from the first tap to the last along one axis."""
    return (taps - 1) * dilation + 1


def _same(length: int, size: int, stride: int) -> tuple[int, int]:
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def exact_matmul(x: NDArray[np.int64], w: NDArray[np.int64]) -> NDArray[np.int64]:
    """`x @ w` on integers, through BLAS where no partial sum in any order can be rounded.

    x has shape (..., N), w (N, M); the exact result must fit int64. Sums of integers below
    2^24 are exact in float32, below 2^53 in float64.
    """
    peak = max(abs(int(x.min())), abs(int(x.max()))) if x.size else 0
    bound = peak * int(np.abs(w).sum(axis=0).max(initial=0))
    for dtype, limit in ((np.float32, 1 << 24), (np.float64, 1 << 53)):
        if bound <= limit:
            return matmul(x.astype(dtype), w.astype(dtype)).astype(np.int64)
    return matmul(x, w)


def matmul(x: Array, w: Array) -> Array:
    """`x @ w` for x of shape (..., N) and w of shape (N, M), as one product of two matrices.

    Left to itself numpy multiplies the matrices of a stack one by one, which for images means a
    call of BLAS, and a start of its threads, per row of pixels.
    """
    rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])
    return (rows @ w).reshape(*x.shape[:-1], w.shape[-1])
