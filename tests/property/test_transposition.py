"""Where the beats of a transposed tensor come from, against numpy."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calocc.dialects.dataflow.transposition import Transposition

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def order_of(blocks: Transposition) -> list[int]:
    """The place in the operand of each word of the result."""
    within = [int(np.dot(index, blocks.strides)) for index in np.ndindex(*blocks.sizes)]
    return [block * blocks.words + word for block in range(blocks.outer) for word in within]


@given(SHAPES, st.data())
def test_words_leave_in_the_order_of_numpy(shape: list[int], data: st.DataObject) -> None:
    permutation = data.draw(st.permutations(range(len(shape))))
    lanes = 1
    if permutation[-1] == len(shape) - 1:
        lanes = data.draw(st.sampled_from([n for n in range(1, 5) if shape[-1] % n == 0]))
    moved = np.arange(prod(shape)).reshape(shape).transpose(permutation).reshape(-1, lanes)
    blocks = Transposition.of(shape, permutation, lanes)
    assert order_of(blocks) == (moved[:, 0] // lanes).tolist()
    assert blocks.outer * blocks.words == len(moved)


@pytest.mark.parametrize(
    ("shape", "permutation", "expected"),
    [
        ((5, 7, 2, 6), (0, 2, 1, 3), Transposition(5, (2, 7, 6), (6, 12, 1))),  # pixel shuffle
        ((5, 7, 2, 3, 2), (0, 2, 1, 3, 4), Transposition(5, (2, 7, 6), (6, 12, 1))),
        ((2, 3, 4, 5), (2, 3, 0, 1), Transposition(1, (20, 6), (1, 20))),
        ((4, 1, 5), (0, 2, 1), Transposition(20, (1,), (1,))),  # nothing moves
        ((3, 4), (1, 0), Transposition(1, (4, 3), (1, 4))),
        ((1, 1), (1, 0), Transposition(1, (1,), (1,))),
    ],
)
def test_blocks_are_as_small_as_can_be(
    shape: tuple[int, ...], permutation: tuple[int, ...], expected: Transposition
) -> None:
    assert Transposition.of(shape, permutation) == expected


@pytest.mark.parametrize(("outer", "stored"), [(1, 6), (2, 12), (7, 12)])
def test_two_blocks_are_stored_at_most(outer: int, stored: int) -> None:
    assert Transposition(outer, (3, 2), (1, 3)).stored == stored
