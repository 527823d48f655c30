"""How many cases, and seconds of a processor, brief and thorough fuzzing need to find faults.

Run from the root of the repository: `python -m benchmarks.detection`. Each fault is made in a copy
of the tree, in which cases are run from a seed until one fails because of it; the median over
`--seeds` is shown. `--only WORD` takes the faults with that word in their names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.mutate import (
    ARITHMETIC,
    HOIST,
    INTERVAL,
    MUTANTS,
    ROOT,
    THRESHOLDS,
    Mutant,
    copy_of,
)

OF_PASSES = tuple(
    m for m in MUTANTS
    if m.file in (ARITHMETIC, HOIST, INTERVAL, THRESHOLDS) or m.file.startswith("passes/")
)  # fmt: skip
"""Faults in the passes, and in what they compute with."""
SEARCH = """
import json, sys
from time import process_time
from calocc.runtime.fuzzing.cases import Options, case_of, run_trial
seed, thorough, most, seconds = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
options, started = Options(seed=seed, thorough=thorough, simulated=0), process_time()
for number in range(most):
    if run_trial(case_of(options, number)).result.failures:
        print(json.dumps([number + 1, process_time() - started]))
        break
    if process_time() - started > float(seconds):
        break
"""


@dataclass(frozen=True)
class Found:
    """Cases up to the first that fails, and the processor time that they took."""

    cases: float
    seconds: float


def search(tree: Path, seed: int, thorough: int, most: int, seconds: float) -> Found | None:
    """The first case that fails in a tree; None if none of so many does, or not in time."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    numbers = [str(n) for n in (seed, thorough, most, seconds)]
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, *numbers],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return Found(*json.loads(done.stdout)) if done.stdout else None


def middle(found: list[Found | None]) -> str:
    """The median of some searches, as text; those that found nothing took longest."""
    cases = median(f.cases if f else float("inf") for f in found)
    seconds = median(f.seconds if f else float("inf") for f in found)
    return "not found" if cases == float("inf") else f"{cases:,.0f} in {seconds:,.1f} s"


def row(tree: Path, mutant: Mutant, parsed: argparse.Namespace) -> tuple[str, str]:
    """How long brief and thorough cases take to find a mutant."""
    file = tree / mutant.file
    original = file.read_text()
    try:
        file.write_text(mutant.text(tree))
        limits = parsed.cases, parsed.seconds
        brief, thorough = (
            [search(tree, seed, kind, *limits) for seed in range(parsed.seeds)] for kind in (0, 1)
        )
    finally:
        file.write_text(original)
    return middle(brief), middle(thorough)


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser("benchmarks.detection", description=__doc__)
    parser.add_argument("--only", default="", help="faults with this word in their names")
    parser.add_argument("--seeds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--cases", type=int, default=20_000, help="most cases of a search")
    parser.add_argument("--seconds", type=float, default=60.0, help="most seconds of a search")
    parsed = parser.parse_args(arguments)
    table = Table("fault", "brief cases", "thorough cases", title="cases until a fault is found")
    with tempfile.TemporaryDirectory(prefix="calocc_detection_") as place:
        tree = copy_of(ROOT, Path(place))
        for mutant in (m for m in OF_PASSES if parsed.only in m.name):
            answers = row(tree, mutant, parsed)
            table.add_row(mutant.name, *answers)
            print(mutant.name, *answers, sep=": ", file=sys.stderr, flush=True)
    Console().print(table)


if __name__ == "__main__":
    main()
