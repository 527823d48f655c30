"""Events per second of the exact emulator on DeepCalo.

Run from the root of the repository: `python -m benchmarks.emulator`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import calocc
from benchmarks.models import DEEPCALO

BATCHES = (1, 64, 1024)


def seconds(design: calocc.Design, events: NDArray[np.float32], repeat: int) -> float:
    """The median time of one `predict`."""
    times: list[float] = []
    for _ in range(repeat):
        started = perf_counter()
        design.predict(events)
        times.append(perf_counter() - started)
    return median(times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each batch (%(default)s)")
    options = parser.parse_args(arguments)
    table = Table("-O", *(f"batch {b}" for b in BATCHES), title="DeepCalo events per second")
    for level in range(4):
        design = calocc.compile(DEEPCALO.path, level)
        design.predict(DEEPCALO.events()[:1])
        rates = [
            batch / seconds(design, np.resize(DEEPCALO.events(), (batch, 56, 11, 4)), repeat)
            for batch, repeat in zip(BATCHES, (10, options.repeat, 1), strict=True)
        ]
        table.add_row(str(level), *(f"{rate:.0f}" for rate in rates))
    Console().print(table)


if __name__ == "__main__":
    main()
