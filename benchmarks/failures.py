"""Events through the host library on a simulated card that fails: what is lost, and what it costs.

Run from the root of the repository: `python -m benchmarks.failures`. The kernel is the generated
C++, the host library that of a card; for every run of the kernel it is drawn whether it fails, and
how. Each event is compared, bit for bit and in its place, with the exact emulator. Exits with 1 if
one differs.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import calocc
from benchmarks.models import ROOT
from calocc.runtime import host
from calocc.runtime.deployment import HostOptions

MODEL = ROOT / "examples/jets/jets.h5"
FAULTY = ROOT / "tests/end_to_end/faulty_device.cpp"
KINDS = {"kernel error": 4, "timeout": 5, "short read": 6}
"""Failures, by `calocc_status`."""
ORDER = 997
"""How many runs are drawn; then they begin again."""
Reals = NDArray[np.float64]


def drawn(kinds: Sequence[int], share: float, random: np.random.Generator) -> list[int]:
    """For each run of the kernel 0, or how it fails."""
    fails = random.random(ORDER) < share
    return [
        int(kind) if f else 0 for f, kind in zip(fails, random.choice(kinds, ORDER), strict=True)
    ]


def faulty(project: Path, design: calocc.Design, faults: Sequence[int], batch: int) -> host.Host:
    """The design on two compute units that fail as drawn."""
    name = design.name
    library = host.load_library(project / f"build/{name}-csim.so")
    options = HostOptions(units=2, batch=batch, retries=1000)
    given = host.given_options(project, name, "csim", options)
    library.calocc_open_faulty.restype = ctypes.c_void_p
    array = (ctypes.c_int * len(faults))(*faults)
    model = library.calocc_open_faulty(ctypes.byref(given), array, len(faults), 1)
    return host.Host(design, "csim", library, model)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="default %(default)s")
    parser.add_argument("--batch", type=int, default=50, help="events per run (default 50)")
    parser.add_argument("--share", type=float, default=0.3, help="of runs that fail (default 0.3)")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(0)
    design = calocc.compile(MODEL)
    events = random.normal(0, 3, (options.events, *design.inputs[0].shape))
    expected = np.asarray(design.predict(events))
    title = f"{options.events} events, {options.batch} per run, on two compute units"
    table = Table(*("failures", "runs", "failed", "events that differ", "seconds"), title=title)
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        project = design.write(Path(place) / "project")
        host.compile_host(project, project / f"build/{design.name}-csim.so", "csim", [FAULTY])
        cases = {"none": (0,), **{name: (kind,) for name, kind in KINDS.items()}}
        for name, kinds in {**cases, "all of these": tuple(KINDS.values())}.items():
            opened = faulty(project, design, drawn(kinds, options.share, random), options.batch)
            started = perf_counter()
            (found,) = opened.predict([events])
            seconds = perf_counter() - started
            runs = opened.library.calocc_count(opened.model).runs
            differ = int((found != expected).any(axis=1).sum())
            wrong += differ
            table.add_row(name, f"{runs}", f"{opened.retries()}", f"{differ}", f"{seconds:.2f}")
            opened.close()
    Console().print(table)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
