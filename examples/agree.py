"""Run test events through the emulator and the generated C++ of a design; show that they agree.

python examples/agree.py DIR DATA.npz
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

import calocc
from calocc.compiler.inputs import load_arrays
from calocc.runtime.csim import open_csim


def main(directory: Path, data: Path) -> int:
    """Compare; return 1 if any value differs."""
    console = Console()
    design, arrays = calocc.load(directory), load_arrays(data)
    started = perf_counter()
    with console.status("building the C++ simulation with g++ ..."):
        csim = open_csim(directory, design)
    built = perf_counter()
    expected = design.predict(arrays)
    emulated = perf_counter()
    with console.status("running events through the C++ simulation ..."):
        found = csim.predict(arrays)
    ran = perf_counter()
    events = len(next(iter(arrays.values())))
    differing = int(np.sum(np.asarray(expected) != np.asarray(found)))
    table = Table("step", "seconds", "result", title=f"{design.name}: {events} events")
    table.add_row("build the C++ simulation", f"{built - started:.1f}", "")
    table.add_row("exact emulator", f"{emulated - built:.2f}", "")
    table.add_row("C++ simulation", f"{ran - emulated:.2f}", "")
    verdict = "all values are the same, bit for bit" if not differing else f"{differing} DIFFER"
    table.add_row("compare", "", verdict)
    console.print(table)
    return int(differing > 0)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
    except calocc.CaloccError as error:
        sys.exit(str(error))
