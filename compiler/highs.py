"""HiGHS, for linear and integer programs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def highs() -> Any:
    """The package, which takes a tenth of a second to load."""
    return import_module("highspy")


def silent_solver() -> Any:
    """A solver that prints nothing."""
    solver = highs().Highs()
    solver.setOptionValue("output_flag", False)
    return solver


def add_rows(solver: Any, rows: Reals, lower: Reals, upper: Reals) -> None:
    """Add `lower <= rows @ x <= upper`; most of `rows` (rows, columns) may be 0."""
    place, column = np.nonzero(rows)
    starts = np.searchsorted(place, np.arange(len(rows)))
    solver.addRows(
        len(rows),
        lower,
        upper,
        len(column),
        starts.astype(np.int32),
        column.astype(np.int32),
        rows[place, column],
    )
