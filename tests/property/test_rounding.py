"""Rounding a mixture of foldings ends where no change of one or two layers helps."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calocc.passes.balancing.program import Limits
from calocc.passes.balancing.rounding import LATE, SAME, SUM, Descent

Picks = NDArray[np.intp]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Limits, NDArray[np.float64]]:
    """Rows of both kinds for some layers and options, some of which do not exist."""
    layers, options = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    hard, soft = draw(st.integers(0, 6)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    amounts = random.integers(0, 9, (hard + soft, layers, options)).astype(np.float64)
    scale = random.permutation(np.repeat([0.0, 1.0], [hard, soft]))
    fixed = random.integers(0, 6 * layers, hard + soft).astype(np.float64)
    cycles = random.integers(1, 99, (layers, options)).astype(np.float64)
    cycles[:, 1:][random.random((layers, options - 1)) < 0.2] = np.inf
    return Limits(amounts, fixed, scale), cycles


def worth(rows: Limits, picks: Picks) -> float:
    """What is above limits, then the largest of what should be small, then the sum."""
    above = rows.amounts[:, np.arange(len(picks)), picks].sum(axis=1) - rows.fixed
    soft = rows.scale > 0
    late = np.maximum(above[~soft], 0).sum()
    return float(LATE * late + above[soft].max() + SUM * above[soft].sum())


@settings(max_examples=150)
@given(problems())
def test_no_change_of_one_or_two_layers_helps(problem: tuple[Limits, NDArray[np.float64]]) -> None:
    rows, cycles = problem
    found = Descent(rows, cycles).from_(np.zeros(len(cycles), np.intp))
    least = worth(rows, found)
    assert least <= worth(rows, np.zeros(len(cycles), np.intp))
    everything = [np.flatnonzero(np.isfinite(own)) for own in cycles]
    assert all(k in own for k, own in zip(found.tolist(), everything, strict=True))
    for changed in (*combinations(range(len(found)), 1), *combinations(range(len(found)), 2)):
        for options in product(*(everything[layer] for layer in changed)):
            other = found.copy()
            other[list(changed)] = options
            assert worth(rows, other) >= least - 2 * SAME * max(least, 1)
