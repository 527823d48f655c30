"""How a tensor is cut into the beats of a stream. Free of xDSL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod


def ceil_div(a: int, b: int) -> int:
    """The quotient rounded up."""
    return -(-a // b)


def image_of(shape: Sequence[int]) -> tuple[int, int, int]:
    """A shape as rows, pixels of a row, channels of a pixel: all leading axes are rows."""
    padded = (1, 1, *shape)
    return prod(padded[:-2]), padded[-2], padded[-1]


@dataclass(frozen=True)
class Layout:
    """A beat of a tensor (..., W, C): `lanes` neighbours along C of each of `pixels` along W.

    Beats run along the leading axes, then groups of pixels, then folds of channels. Where the last
    group or fold is not full, its lanes beyond the axis are not there: they may hold anything.
    """

    lanes: int = 1
    pixels: int = 1

    @property
    def width(self) -> int:
        """Elements of a beat."""
        return self.lanes * self.pixels

    def groups(self, shape: Sequence[int]) -> int:
        """Groups of pixels per event, of all rows."""
        rows, pixels, _ = image_of(shape)
        return rows * ceil_div(pixels, self.pixels)

    def folds(self, shape: Sequence[int]) -> int:
        """Beats of a group of pixels."""
        return ceil_div(image_of(shape)[2], self.lanes)

    def beats(self, shape: Sequence[int]) -> int:
        """Beats per event."""
        return self.groups(shape) * self.folds(shape)

    def is_whole(self, shape: Sequence[int]) -> bool:
        """Whether a beat is part of one pixel, with all lanes there."""
        return self.pixels == 1 and image_of(shape)[2] % self.lanes == 0


SINGLE = Layout()
"""An element per beat."""


@cache
def least_parts(n: int) -> tuple[int, ...]:
    """For every number of folds that n elements can be cut into, the fewest lanes; ascending."""
    return tuple(sorted({ceil_div(n, folds) for folds in range(1, n + 1)}))
