"""When the greatest operand of a softmax alone has the greatest result."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.softmax import integer_softmax
from calocc.passes.lowering.errors import NoArgmax
from calocc.passes.lowering.softmax import SOFTMAX_OUT, exponentials, require_argmax

FEW, MANY = 300, 1 << 14


def kept(frac: int, classes: int) -> bool:
    """Whether the proof holds for so many classes at so many fraction bits."""
    try:
        require_argmax("softmax", frac, classes)
    except NoArgmax:
        return False
    return True


def softmax(x: NDArray[np.int64], frac: int) -> NDArray[np.int64]:
    bounds = Interval(np.zeros(1, np.int64), np.full(1, MANY), frac)
    return integer_softmax(x, exponentials(frac, bounds), SOFTMAX_OUT)


@given(st.data(), st.integers(0, 12), st.integers(2, 40))
def test_the_greatest_wins_alone(data: st.DataObject, frac: int, classes: int) -> None:
    near = hnp.arrays(np.int64, classes, elements=st.integers(0, 3))
    far = hnp.arrays(np.int64, classes, elements=st.integers(0, MANY))
    x = data.draw(near | far)
    if kept(frac, classes):
        result = softmax(x, frac)
        np.testing.assert_array_equal(result == result.max(), x == x.max())


def test_the_proof_is_no_more_careful_than_need_be() -> None:
    """One operand is an LSB above all others: refused cases tie, or are a step from it."""
    for frac in range(0, 13):
        for classes in (2, 5, 10, 40, 100, 300, 1000):
            x = np.full(classes, MANY - 1)
            x[0] = MANY
            best, second = softmax(x, frac)[:2]
            if kept(frac, classes):
                assert best > second
            else:
                assert best - second <= 1
