"""How long `calocc` takes on DeepCalo, how much memory, and what the generated C++ costs.

Run from the root of the repository: `python -m benchmarks.compile_time`. Each figure is the
median of `--repeat` runs. Compilation runs in a process of its own, so that its time and its
peak of memory include starting Python and importing; the C++ is what `Design.csim` builds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.models import DEEPCALO
from calocc.compiler.design import Design, load
from calocc.runtime.csim import open_csim

EVENTS = 8
MAIN = "from calocc.compiler.main import main; main()"


@dataclass(frozen=True)
class Run:
    """One run of the compiler: wall and CPU seconds, peak memory in MB, seconds by pass."""

    wall: float
    cpu: float
    megabytes: float
    passes: dict[str, float]


def measure(level: int, directory: Path) -> Run:
    """Compile DeepCalo to a directory in a child process.

    Raises RuntimeError if the compiler fails.
    """
    command = [sys.executable, "-c", MAIN, str(DEEPCALO.path), f"-O{level}", "--json"]
    report = directory.parent / "report.json"
    started = perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [*command, "-o", str(directory)],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, str(report), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        ],
    )
    _, status, usage = os.wait4(pid, 0)
    wall = perf_counter() - started
    if status != 0:
        raise RuntimeError(f"calocc ended with status {status}")
    facts: dict[str, Any] = json.loads(report.read_text())
    # Linux counts ru_maxrss in kB.
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, facts["seconds"])


def compilation(table: Table, runs: Sequence[Run]) -> None:
    """Rows on the compiler."""
    table.add_row("calocc, wall", f"{median(r.wall for r in runs):.2f} s")
    table.add_row("calocc, CPU", f"{median(r.cpu for r in runs):.2f} s")
    table.add_row("calocc, peak memory", f"{median(r.megabytes for r in runs):.0f} MB")
    for name in runs[0].passes:
        table.add_row(f"  {name}", f"{median(r.passes[name] for r in runs):.3f} s")


def simulation(table: Table, directory: Path, repeat: int) -> None:
    """Rows on the generated C++ of a written project."""
    design = load(directory)
    builds = [_build(directory, design) for _ in range(repeat)]
    table.add_row("C++, build", f"{median(builds):.2f} s")
    simulator = open_csim(directory, design)
    events = DEEPCALO.events()[: EVENTS + 1]
    simulator.predict(events[:1])  # reads the weights
    started = perf_counter()
    simulator.predict(events[1:])
    table.add_row("C++, per event", f"{(perf_counter() - started) / EVENTS:.4f} s")


def _build(directory: Path, design: Design) -> float:
    """Seconds to build the library of a project anew."""
    for library in (directory / "firmware").glob("*.so"):
        library.unlink()
    started = perf_counter()
    open_csim(directory, design)
    return perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", type=int, default=2, choices=range(4), help="-O level (2)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each kind (3)")
    options = parser.parse_args(arguments)
    table = Table("DeepCalo", f"-O{options.level}", title="time and memory of compilation")
    table.columns[1].justify = "right"
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "design"
        compilation(table, [measure(options.level, directory) for _ in range(options.repeat)])
        simulation(table, directory, options.repeat)
    Console().print(table)


if __name__ == "__main__":
    main()
