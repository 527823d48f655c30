"""How far the outputs of an integer program are from those of the model of reals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """The error of one output: its root mean square relative to that of the output itself, and
    the largest difference."""

    output: str
    relative_rms: float
    largest: float

    @staticmethod
    def of(output: str, values: Reals, exact: Reals) -> Accuracy:
        """Compare arrays of the same shape."""
        error = np.abs(values - exact)
        size = float(np.sqrt(np.mean(exact**2))) or 1.0
        rms = float(np.sqrt(np.mean(error**2)))
        return Accuracy(output, rms / size, float(error.max(initial=0)))

    def row(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def compared(
    names: Sequence[str], values: Sequence[Reals], exact: Sequence[Reals]
) -> list[Accuracy]:
    """The errors of all outputs."""
    return [Accuracy.of(*triple) for triple in zip(names, values, exact, strict=True)]


def worst(accuracies: Sequence[Accuracy]) -> float:
    """The largest relative error."""
    return max(a.relative_rms for a in accuracies)
