"""How an axis of an image grows under linear interpolation. Free of xDSL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stretch:
    """An axis of `length` pixels, made `factor` times as long.

    Both have their pixels in the middles of equal parts, so that output pixel k lies at
    (k + 1/2) / factor - 1/2, counted in input pixels; beyond the first and the last one the image
    goes on as it ends. There are `factor` outputs above each pixel up to the next one, the latter
    included, and half as many in front of the first pixel and behind the last.
    """

    length: int
    factor: int

    @property
    def unit(self) -> int:
        """Shares of a pixel are multiples of 1 / unit."""
        return self.factor if self.factor % 2 else 2 * self.factor

    @property
    def head(self) -> int:
        """Outputs that are missing in front of the first pixel."""
        return self.factor // 2

    @property
    def step(self) -> int:
        """By how many units the share of the upper pixel grows from output to output."""
        return self.unit // self.factor

    def starts(self) -> Ints:
        """The first output that needs each pixel."""
        return np.maximum(np.arange(self.length, dtype=np.int64) * self.factor - self.head, 0)

    def apply(self, x: NDArray[Any], axis: int) -> NDArray[Any]:
        """`unit` times the interpolated values along an axis."""
        places = np.arange(self.length * self.factor, dtype=np.int64) + self.head
        gaps, steps = np.divmod(places, self.factor)
        lower = x.take(np.maximum(gaps - 1, 0), axis)
        upper = x.take(np.minimum(gaps, self.length - 1), axis)
        share = (1 + steps * self.step).reshape(-1, *(1,) * (x.ndim - axis - 1))
        return (self.unit - share) * lower + share * upper
