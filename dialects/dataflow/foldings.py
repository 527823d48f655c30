"""The foldings of a matrix product that are worth choosing. Free of xDSL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.dataflow.layout import least_parts

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Product:
    """Rows of `width` vectors of `inputs` elements times a matrix, each giving `outputs`.

    `widest` are the elements that a beat of inputs and of outputs may have at most. `packed`
    neighbouring outputs share a multiplier. What comes before takes `floors[k]` cycles at least to
    bring the k-th of `least_parts(width)` pixels at once, a beat for each group of them, and one
    more for each beat more (no floors: it is never the slower one).
    """

    rows: int
    width: int
    inputs: int
    outputs: int
    widest: tuple[int, int]
    packed: int = 1
    floors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pin:
    """What a user asks for; None leaves the choice."""

    simd: int | None = None
    pe: int | None = None
    pixels: int | None = None


@dataclass(frozen=True, eq=False)
class Foldings:
    """Foldings in the order of their cycles, ascending; multipliers fall."""

    simd: Ints
    pe: Ints
    pixels: Ints
    cycles: Ints
    """Iterations, or the floor where that is higher."""
    multipliers: Ints

    def triples(self, which: slice) -> list[tuple[int, int, int]]:
        """(simd, pe, pixels) of some of them."""
        places = range(*which.indices(len(self.cycles)))
        return [(int(self.simd[k]), int(self.pe[k]), int(self.pixels[k])) for k in places]

    def cheapest(self, target: int) -> slice:
        """Those with the fewest multipliers within `target` cycles; the fastest if none is."""
        last = max(int(np.searchsorted(self.cycles, target, side="right")), 1) - 1
        cycles = int(self.cycles[last])
        first = int(np.searchsorted(self.cycles, cycles, side="left"))
        return slice(first, last + 1)


@cache
def foldings(product: Product, pin: Pin = Pin()) -> Foldings:
    """The foldings that no other beats in both cycles and multipliers; equally good ones are kept.

    For each number of folds of an axis only the fewest lanes that it takes are considered, and
    several pixels at once only where fewer could not be as fast, unless a pin says otherwise.
    """
    simds, pes = _lanes(product.inputs, pin.simd), _lanes(product.outputs, pin.pe)
    together = _lanes(product.width, pin.pixels)
    simd, pe, pixels = _combinations(simds, pes, together)
    widest_in, widest_out = product.widest
    fits = (simd * pixels <= widest_in) & (pe * pixels <= widest_out)
    if fits.any():
        simd, pe, pixels = simd[fits], pe[fits], pixels[fits]
    groups = product.rows * parts(product.width, pixels)
    beats = groups * parts(product.inputs, simd)
    coming = _floors(product, pixels) + beats - groups
    cycles = np.maximum(beats * parts(product.outputs, pe), coming)
    needed = cycles < _fastest_below(product, pixels) if pin.pixels is None else slice(None)
    simd, pe, pixels, cycles = simd[needed], pe[needed], pixels[needed], cycles[needed]
    multipliers = simd * pixels * -(-pe // product.packed)
    best = _front(cycles, multipliers)
    return Foldings(simd[best], pe[best], pixels[best], cycles[best], multipliers[best])


def _combinations(*choices: Sequence[int]) -> list[Ints]:
    """Every combination, the last choice changing fastest."""
    places: Ints = np.indices([len(c) for c in choices]).reshape(len(choices), -1)
    return [np.take(np.array(c, np.int64), k) for c, k in zip(choices, places, strict=True)]


def _lanes(size: int, pinned: int | None) -> Sequence[int]:
    return least_parts(size) if pinned is None else [pinned]


def parts(size: int, lanes: Ints) -> Ints:
    """`ceil_div` of a size by each number of lanes."""
    return -(-size // lanes)


def _floors(product: Product, pixels: Ints) -> Ints:
    """The floor of each number of pixels, that of the next fewer where it is not listed."""
    place = np.searchsorted(least_parts(product.width), pixels, side="right") - 1
    return np.take(_floor_of_each(product), place)


def _floor_of_each(product: Product) -> Ints:
    listed = least_parts(product.width)
    return np.array(product.floors or np.zeros(len(listed)), np.int64)


def _fastest_below(product: Product, pixels: Ints) -> Ints:
    """The least cycles with fewer pixels at once, whatever that takes; endless for one pixel."""
    listed = np.array(least_parts(product.width))
    fastest = np.maximum(product.rows * parts(product.width, listed), _floor_of_each(product))
    before = np.concatenate([[np.iinfo(np.int64).max], np.minimum.accumulate(fastest)[:-1]])
    return np.take(before, np.searchsorted(listed, pixels))


def _front(cycles: Ints, multipliers: Ints) -> Ints:
    """Indices of the points with none below and to the left, in the order of their cycles."""
    order = np.lexsort((multipliers, cycles))
    cycles, multipliers = cycles[order], multipliers[order]
    lowest = multipliers == np.minimum.accumulate(multipliers)
    order, cycles, multipliers = order[lowest], cycles[lowest], multipliers[lowest]
    _, first, group = np.unique(-multipliers, return_index=True, return_inverse=True)
    return order[cycles == cycles[first][group]]
