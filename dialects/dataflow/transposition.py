"""What a transposition has to hold of a tensor, and the order in which it leaves. Free of xDSL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Run = tuple[int, int]
"""Axes of the operand from the first to the last, both included."""


@dataclass(frozen=True)
class Transposition:
    """`outer` blocks, one after the other, of words that leave in another order.

    The axes of a block have `sizes` in the order of the result, the last one fastest, and lie
    `strides` words apart in the operand.
    """

    outer: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @staticmethod
    def of(shape: Sequence[int], permutation: Sequence[int], lanes: int = 1) -> Transposition:
        """Axis k of the result is axis permutation[k] of the operand; words of `lanes` elements.

        Leading axes that stay where they are number the blocks. Axes that stay side by side count
        as one. More than one lane need the last axis to stay the last.
        """
        first, *others = _runs([k for k in permutation if shape[k] > 1]) or [(0, len(shape) - 1)]
        if not others:  # nothing moves
            return Transposition(prod(shape) // lanes, (1,), (1,))
        stays = first == min(first, *others)
        runs = others if stays else [first, *others]
        sizes = [_size(shape, run) for run in runs]
        strides = [prod(shape[last + 1 :]) // lanes for _, last in runs]
        if lanes > 1:
            sizes[-1], strides[-1] = sizes[-1] // lanes, 1
        return Transposition(_size(shape, first) if stays else 1, tuple(sizes), tuple(strides))

    @property
    def words(self) -> int:
        """Of a block."""
        return prod(self.sizes)

    @property
    def stored(self) -> int:
        """Words in memory: of several blocks one is filled while another one leaves."""
        return self.words * min(self.outer, 2)


def _runs(axes: Sequence[int]) -> list[Run]:
    """Axes in order, cut where the next one is not the one behind in the operand.

    Axes of size 1, which are left out, break no run.
    """
    runs: list[Run] = []
    known = sorted(axes)
    for axis in axes:
        if runs and known.index(axis) == known.index(runs[-1][1]) + 1:
            runs[-1] = runs[-1][0], axis
        else:
            runs.append((axis, axis))
    return runs


def _size(shape: Sequence[int], run: Run) -> int:
    first, last = run
    return prod(shape[first : last + 1])
