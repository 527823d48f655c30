"""How the taps of a window find repeated pixels along an axis. Free of xDSL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Taps:
    """A window of `count` taps over an axis of `length` pixels, each repeated `factor` times.

    Tap k of output o lies over place o * stride + k * dilation + start of the repeated pixels.
    Places before the first and behind the last of them hold nothing. Raises ValueError for sizes
    below 1; `start` may be negative (padding) or not (outputs that nobody reads).
    """

    length: int
    outputs: int
    count: int
    factor: int
    stride: int
    dilation: int
    start: int

    def __post_init__(self) -> None:
        sizes = (self.length, self.outputs, self.count, self.factor, self.stride, self.dilation)
        if min(sizes) < 1:
            raise ValueError(f"sizes along an axis are 1 at least, not {sizes}")

    @cached_property
    def pixels(self) -> Ints:
        """The pixel under each tap, (outputs, count); not one of the image if it is outside."""
        outputs, taps = (np.arange(n, dtype=np.int64) for n in (self.outputs, self.count))
        places = np.add.outer(outputs * self.stride, taps * self.dilation) + self.start
        return places // self.factor

    @cached_property
    def inside(self) -> Mask:
        """Whether there is a pixel under each tap, (outputs, count)."""
        return (self.pixels >= 0) & (self.pixels < self.length)

    @cached_property
    def newest(self) -> Ints:
        """The last pixel that must have come before each output can leave, -1 for none.

        That of its last tap, or the last pixel of all. It never falls.
        """
        return np.clip(self.pixels[:, -1], -1, self.length - 1)

    @cached_property
    def span(self) -> int:
        """Pixels from the oldest one that an output needs to the newest one that has come."""
        ages = np.where(self.inside, self.newest[:, None] - self.pixels, 0)
        return int(ages.max()) + 1

    def gather(self, x: NDArray[Any], axis: int) -> NDArray[Any]:
        """The sums over taps of x (..., length, ..., channels * count), tap k from channel
        m * count + k: (..., outputs, ..., channels)."""
        split = x.reshape(*x.shape[:-1], x.shape[-1] // self.count, self.count)
        total = np.zeros((1,), x.dtype)
        for k in range(self.count):
            part = split[..., k].take(np.clip(self.pixels[:, k], 0, self.length - 1), axis)
            inside = self.inside[:, k].reshape(-1, *(1,) * (part.ndim - axis - 1))
            total = total + part * inside
        return total

    @cached_property
    def steps(self) -> tuple[Ints, Ints, int]:
        """In which step each pixel comes, in which each output leaves, and how many there are.

        A step takes at most one pixel and gives at most one output, which leaves with the last
        pixel that it needs. Pixels that nobody reads come at the end.
        """
        missing = np.diff(self.newest, prepend=-1)
        leaves = np.cumsum(np.maximum(missing, 1)) - 1
        pixels = np.arange(self.newest[-1] + 1, dtype=np.int64)
        first = np.searchsorted(self.newest, pixels)
        comes = leaves[first] - (self.newest[first] - pixels)
        unread = self.length - len(comes)
        end = int(leaves[-1]) + 1
        comes = np.append(comes, end + np.arange(unread, dtype=np.int64))
        return comes, leaves, end + unread
