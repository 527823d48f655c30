"""`calocc-run`: run events through a written design."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.inputs import load_arrays, save_arrays
from calocc.runtime.deployment import PLACES, Deployment, deploy

OPTIONS = ("threads", "image", "device", "units", "batch", "timeout", "retries")
"""What is handed on to `calocc.runtime.open` where it is given."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("calocc-run", description=__doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", type=Path, help="a directory that calocc has written")
    add("--data", metavar="X.npz", type=Path, required=True,
        help="one array per input, by name; scaled as --scaler of calocc said")  # fmt: skip
    add("--out", metavar="Y.npz", type=Path, required=True, help="one array per output, by name")
    add("--on", choices=PLACES, default="emulator",
        help="exact emulator, the generated C++, or a card (default %(default)s)")  # fmt: skip
    add("--threads", metavar="N", type=_count, help="emulator: threads (default: all processors)")
    add("--image", metavar="FILE.xclbin", type=Path,
        help="xrt: by default what `calocc-build DIR xclbin` makes")  # fmt: skip
    add("--device", metavar="K", type=int, help="xrt: which card (default 0)")
    add("--units", metavar="N", type=int, help="csim: compute units (default 1)")
    add("--batch", metavar="N", type=int, help="csim, xrt: events per run (default 256)")
    add("--timeout", metavar="S", type=float, help="csim, xrt: seconds of a run (default 10)")
    add("--retries", metavar="N", type=int,
        help="csim, xrt: how often a failed run is repeated (default 2)")  # fmt: skip
    return parser


def _count(text: str) -> int:
    """A number of threads."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a number of threads, 1 or more")


def _bar() -> Progress:
    """A bar that goes away when it is full."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed} events"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show(bar: Progress, task: TaskID, done: int, count: int) -> None:
    bar.update(task, completed=done, total=count)


def opened(arguments: argparse.Namespace, bar: Progress) -> Deployment:
    """The design where it is to run; raise CaloccError."""
    given = {name: getattr(arguments, name) for name in OPTIONS}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if arguments.on == "emulator":
        options["progress"] = partial(_show, bar, bar.add_task("events", total=None))
    return deploy(arguments.directory, arguments.on, **options)


def run(arguments: argparse.Namespace) -> None:
    """Run as the command line says; raise CaloccError."""
    arrays = load_arrays(arguments.data)
    with _bar() as bar, opened(arguments, bar) as deployed:
        started = perf_counter()
        result = deployed.predict(arrays)
        seconds = perf_counter() - started
        retries = deployed.statistics().retries
    results = result if isinstance(result, list) else [result]
    names = (p.name for p in deployed.design.outputs)
    save_arrays(arguments.out, dict(zip(names, results, strict=True)))
    repeated = f", {retries} runs repeated" if retries else ""
    events = f"{len(results[0])} events on {arguments.on}"
    print(f"{events} in {seconds:.2f} s{repeated} -> {arguments.out}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `calocc-run`; exit with 1 and one message for an error in the design or the data."""
    parsed = build_parser().parse_args(arguments)
    try:
        run(parsed)
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
