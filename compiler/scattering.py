"""Processes on dies in any order: an integer program, where no order of data flow fits.

A generalised assignment problem with several resources (Kellerer, Pferschy, Pisinger, "Knapsack
Problems", 2004, chapter 6.4): each process goes to one die, no die gives more than a part of any
resource, and as few bits per beat as can be found cross boundaries. HiGHS branches and bounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.highs import add_rows, highs, silent_solver

Reals = NDArray[np.float64]
Edge = tuple[int, int, int]
"""Producer, consumer, bits per beat."""
NODES = 2000
"""Nodes of the search tree at most: a bound on time that does not depend on the machine."""
GAP = 0.1
"""How many more bits than need be may cross, as a fraction."""


def scattered(
    used: Reals, edges: Sequence[Edge], dies: Reals, full: float
) -> tuple[int, ...] | None:
    """The die of each process, which take what is `used` (processes, resources) of `dies` (dies,
    resources), none of them fuller than `full`; None if no such division is found."""
    count, places = len(used), len(dies)
    rows, (lower, upper) = _rows(used, edges, dies, full)
    solver, choices = silent_solver(), np.arange(count * places, dtype=np.int32)
    most = np.append(np.ones(len(choices)), np.full(len(edges), float(places)))
    solver.addVars(len(most), np.zeros(len(most)), most)
    solver.changeColsIntegrality(
        len(choices), choices, np.array([highs().HighsVarType.kInteger] * len(choices))
    )
    for k, (_, _, bits) in enumerate(edges):
        solver.changeColCost(len(choices) + k, float(bits))
    add_rows(solver, rows, lower, upper)
    solver.setOptionValue("mip_max_nodes", NODES)
    solver.setOptionValue("mip_rel_gap", GAP)
    solver.run()
    found = solver.getSolution()
    if not found.value_valid:
        return None
    chosen = np.array(found.col_value)[: len(choices)].reshape(count, places)
    return tuple(int(die) for die in chosen.argmax(axis=1))


def _rows(
    used: Reals, edges: Sequence[Edge], dies: Reals, full: float
) -> tuple[Reals, tuple[Reals, Reals]]:
    """The constraints: each process on one die, dies no fuller than `full`, and for each edge a
    number that is no less than the boundaries that it crosses either way."""
    (count, kinds), places = used.shape, len(dies)
    alone = np.kron(np.eye(count), np.ones(places))
    taken = np.kron(used.T, np.eye(places)) / np.maximum(dies.T.reshape(-1, 1), 1e-9)
    ends = np.zeros((len(edges), count))
    for k, (producer, consumer, _) in enumerate(edges):
        ends[k, producer], ends[k, consumer] = 1, -1
    apart = np.kron(ends, np.arange(places, dtype=np.float64))
    own = np.eye(len(edges))
    rows = np.block(
        [
            [alone, np.zeros((count, len(edges)))],
            [taken, np.zeros((kinds * places, len(edges)))],
            [apart, -own],
            [-apart, -own],
        ]
    )
    lowest = np.ones(len(rows))
    highest = lowest.copy()
    lowest[count:], highest[count:] = -np.inf, 0
    highest[count : count + kinds * places] = full
    return np.asarray(rows, np.float64), (lowest, highest)
