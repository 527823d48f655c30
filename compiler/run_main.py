"""`calocc-run`: run events through a written design."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from calocc.compiler.design import Design, load
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.inputs import load_arrays, save_arrays


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("calocc-run", description=__doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", type=Path, help="a directory that calocc has written")
    add("--data", metavar="X.npz", type=Path, required=True, help="one array per input, by name")
    add("--out", metavar="Y.npz", type=Path, required=True, help="one array per output, by name")
    add("--on", choices=["emulator", "csim"], default="emulator",
        help="exact emulator, or the generated C++ (default %(default)s)")  # fmt: skip
    add(
        "--threads",
        metavar="N",
        type=_threads,
        help="threads of the emulator (default: all processors)",
    )
    return parser


def _threads(text: str) -> int:
    """A number of threads."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a number of threads, 1 or more")


def predict(
    design: Design, directory: Path, on: str, data: Path, threads: int | None = None
) -> dict[str, NDArray[np.float64]]:
    """The outputs by name, with a bar on standard error where a terminal watches; raise
    CaloccError."""
    arrays = load_arrays(data)
    if on == "csim":
        from calocc.runtime.csim import open_csim

        result = open_csim(directory, design).predict(arrays)
    else:
        with _bar() as bar:
            task = bar.add_task("events", total=None)
            result = design.predict(
                arrays, threads, lambda done, count: bar.update(task, completed=done, total=count)
            )
    results = result if isinstance(result, list) else [result]
    return dict(zip((p.name for p in design.outputs), results, strict=True))


def _bar() -> Progress:
    """A bar that goes away when it is full."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed} events"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def run(arguments: argparse.Namespace) -> None:
    """Run as the command line says; raise CaloccError."""
    design = load(arguments.directory)
    started = perf_counter()
    outputs = predict(design, arguments.directory, arguments.on, arguments.data, arguments.threads)
    seconds = perf_counter() - started
    save_arrays(arguments.out, outputs)
    events = len(next(iter(outputs.values())))
    print(f"{events} events on {arguments.on} in {seconds:.2f} s -> {arguments.out}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `calocc-run`; exit with 1 and one message for an error in the design or the data."""
    parsed = build_parser().parse_args(arguments)
    try:
        run(parsed)
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
