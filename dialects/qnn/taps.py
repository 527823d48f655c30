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

    def newest(self, at_once: int = 1) -> Ints:
        """The last pixel that must have come before each group of outputs can leave, -1 for none.

        That of the last tap of a full group, or the last pixel of all. It never falls.
        """
        last = np.arange(at_once - 1, self.outputs + at_once - 1, at_once, dtype=np.int64)
        places = last * self.stride + (self.count - 1) * self.dilation + self.start
        return np.clip(places // self.factor, -1, self.length - 1)

    def span(self, at_once: int = 1) -> int:
        """Pixels from the oldest one that a group needs to the newest one that has come."""
        come = self.newest(at_once).repeat(at_once)[: self.outputs]
        return int(np.where(self.inside, come[:, None] - self.pixels, 0).max()) + 1

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

    def steps(self, at_once: int = 1) -> tuple[Ints, Ints, int]:
        """In which step each pixel comes, in which each group of outputs leaves, and how many steps
        there are.

        A step takes at most one pixel and gives at most one group, which leaves with the last
        pixel that it needs. Pixels that nobody reads come at the end.
        """
        newest = self.newest(at_once)
        missing = np.diff(newest, prepend=-1)
        leaves = np.cumsum(np.maximum(missing, 1)) - 1
        pixels = np.arange(newest[-1] + 1, dtype=np.int64)
        first = np.searchsorted(newest, pixels)
        comes = leaves[first] - (newest[first] - pixels)
        unread = self.length - len(comes)
        end = int(leaves[-1]) + 1
        comes = np.append(comes, end + np.arange(unread, dtype=np.int64))
        return comes, leaves, end + unread
