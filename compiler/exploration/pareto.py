"""Designs that no other beats in everything."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from calocc.compiler.report import Json

FIGURES = ("latency_us", "dsp", "error")
"""What a design is judged by, all the less the better; an unknown error counts as infinite."""


def front(rows: Sequence[Sequence[float]]) -> list[int]:
    """The indices of rows that no other dominates: as small everywhere, smaller somewhere.

    Of equal rows all are kept. By comparison of all pairs.
    """
    values = np.array(rows, dtype=np.float64)
    dominated = [
        bool(np.any(np.all(values <= own, axis=1) & np.any(values < own, axis=1))) for own in values
    ]
    return [k for k, beaten in enumerate(dominated) if not beaten]


def best(records: Sequence[Json]) -> list[Json]:
    """The records of the Pareto front, fastest first."""
    rows = [[inf if r[name] is None else float(r[name]) for name in FIGURES] for r in records]
    return sorted((records[k] for k in front(rows)), key=lambda r: (r["latency_us"], r["dsp"]))
