"""Conversion of a tensor from one layout to another. Free of xDSL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import lcm

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.dataflow import depths, resources
from calocc.dialects.dataflow.layout import Layout, ceil_div
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Gearbox:
    """Conversion of `image`, (rows, pixels, channels), from one layout to another.

    A beat is written as soon as all of it has been read, at most one per iteration, and one is read
    only if the next to be written lacks elements. Rows do not overlap, nor do groups of pixels that
    both layouts have in common; so only what lies between the two ends has to be held.
    """

    image: tuple[int, int, int]
    taken: Layout
    given: Layout

    @cached_property
    def _arrived(self) -> Ints:
        """Input beats of a row that have been read when each of its output beats is written."""
        _, pixels, channels = self.image
        groups = np.arange(1, ceil_div(pixels, self.given.pixels) + 1)
        folds = np.arange(1, ceil_div(channels, self.given.lanes) + 1)
        last_pixel = np.minimum(groups * self.given.pixels, pixels) - 1
        last_channel = np.minimum(folds * self.given.lanes, channels) - 1
        before = last_pixel // self.taken.pixels * ceil_div(channels, self.taken.lanes)
        needed = np.add.outer(before, last_channel // self.taken.lanes + 1)
        return np.maximum.accumulate(needed.ravel()).astype(np.int64)

    @cached_property
    def _read(self) -> Ints:
        """Input beats that are read for each output beat of a row."""
        return np.diff(self._arrived, prepend=0)

    @property
    def trips(self) -> int:
        """Iterations per event."""
        return self.image[0] * int(np.maximum(self._read, 1).sum())

    def schedule(self, depth: int | None = None) -> Schedule:
        """When beats are read and written."""
        arrived, read = self._arrived, self._read
        ends = np.cumsum(np.maximum(read, 1))
        starts = ends - np.maximum(read, 1)
        reads = np.repeat(starts - (arrived - read), read) + np.arange(int(arrived[-1]))
        rows = np.arange(self.image[0], dtype=np.int64) * int(ends[-1])
        return Schedule(
            (np.add.outer(rows, reads).ravel(),),
            (np.add.outer(rows, ends - 1).ravel(),),
            self.trips,
            depths.moving() if depth is None else depth,
        )

    @property
    def held(self) -> tuple[int, int]:
        """Pixels and channels that are kept: as many as both layouts divide, or all of a row."""
        _, pixels, channels = self.image
        along = _kept(pixels, self.taken.pixels, self.given.pixels)
        if self.taken.pixels == self.given.pixels:
            return along, _kept(channels, self.taken.lanes, self.given.lanes)
        return along, max(_full(channels, y.lanes) for y in (self.taken, self.given))

    def resources(self, width: int) -> Resources:
        """Registers for elements of `width` bits, and a multiplexer to the output."""
        (pixels, channels), given = self.held, self.given
        places = pixels // given.pixels * ceil_div(channels, given.lanes)
        return resources.lanes(pixels * channels * width, places, given.width * width)


def _full(size: int, part: int) -> int:
    return ceil_div(size, part) * part


def _kept(size: int, a: int, b: int) -> int:
    return min(lcm(a, b), max(_full(size, a), _full(size, b)))
