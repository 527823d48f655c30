"""`calocc-explore`: compile a model for every combination of options, and find the best designs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.exploration.grid import Grid, Point, Setup, key
from calocc.compiler.exploration.pareto import best
from calocc.compiler.exploration.plot import expect_plot, write_plot
from calocc.compiler.exploration.results import Results
from calocc.compiler.exploration.tables import print_results, varying
from calocc.compiler.exploration.workers import run_local, run_on_cluster
from calocc.compiler.report import Json
from calocc.passes.balance import GOALS, LAYOUTS

DESCRIPTION = """\
Compile a model for every combination of the values given, and print the designs with the Pareto
front of latency, DSP slices and error. Results go to a file; what is in it already is not compiled
again, so the same command goes on where it was interrupted."""
INTERRUPTED = 130
"""Exit status after an interrupt from the keyboard, as shells have it."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("calocc-explore", description=DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="Keras .h5 or .keras file, or .json")
    add("--weights", metavar="FILE", type=Path, help="weights (.h5) of a .json architecture")
    _add_axes(parser)
    add("--input", metavar="NAME=FORMAT", action="append", default=[], help="as for calocc")
    add("--set", metavar="LAYER.KEY=VALUE", action="append", default=[], dest="settings",
        help="as for calocc")  # fmt: skip
    add("--calibrate", metavar="X.npz", type=Path,
        help="typical inputs: formats of a float model, and the error of every design")  # fmt: skip
    add("--accuracy", metavar="ERROR", type=float, help="as for calocc")
    add("-o", dest="output", metavar="FILE", type=Path,
        help="results, a line of JSON each (default: ./<model stem>_explore.jsonl)")  # fmt: skip
    add("--jobs", metavar="N", type=int, default=1, help="processes at work (default %(default)s)")
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster that does the work instead")
    add("--plot", metavar="FILE", type=Path, help="draw the designs: a .svg, .html or .png")
    add("--json", action="store_true", help="print the designs as JSON instead of tables")
    return parser


def _add_axes(parser: argparse.ArgumentParser) -> None:
    """The options that are swept."""
    group = parser.add_argument_group("values to combine, several each")

    def add(name: str, **options: Any) -> None:
        default = getattr(Grid(), name.strip("-").replace("-", "_"))
        group.add_argument(name, nargs="+", default=default, **options)

    add("--target", metavar="NAME", help="devices")
    add("--clock", metavar="MHZ", type=float, help="clocks")
    add("--budget", metavar="FRACTION", type=float, help="of the device")
    add("--optimize", choices=GOALS, help="goals")
    add("--layout", choices=LAYOUTS, help="layouts of streams")
    add("--packing", choices=("on", "off"), help="whether products share DSP slices")
    add("--rounding", metavar="MODE[,MODE]", type=_rounding,
        help="of activations; `model` for the model's own")  # fmt: skip
    add("--weights-bits", metavar="N", type=int, help="of a float model")
    add("--activations-bits", metavar="N", type=int, help="of a float model")


def _rounding(text: str) -> str | None:
    return None if text == "model" else text


def _assignments(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    pairs = (text.partition("=") for text in texts)
    return tuple((name, value) for name, _, value in pairs)


def run(arguments: argparse.Namespace) -> None:
    """Explore as the command line says; raise CaloccError."""
    grid = Grid(**{f.name: tuple(getattr(arguments, f.name)) for f in fields(Grid)})
    grid.check(arguments.calibrate)
    if arguments.plot is not None:
        expect_plot(arguments.plot)
    files = arguments.model, arguments.weights, arguments.calibrate
    setup = Setup(
        *files, _assignments(arguments.input), tuple(arguments.settings), arguments.accuracy
    )
    identity = setup.identity()
    points = {key(identity, point): point for point in grid.points()}
    results = Results(arguments.output or Path(f"{arguments.model.stem}_explore.jsonl"))
    _complete(arguments, results, points, setup)
    known = results.read()
    _show(arguments, [known[name] for name in points])


def _complete(
    arguments: argparse.Namespace, results: Results, points: dict[str, Point], setup: Setup
) -> None:
    """Evaluate what the results lack, each record on disk as soon as it is known."""
    known = results.read()
    results.prepare()
    missing = [p for p in points.items() if known.get(p[0], {"crashed": True}).get("crashed")]
    if not missing:
        return
    failed = 0
    with _bar() as bar:
        task = bar.add_task(arguments.model.name, total=len(points), failed="")
        bar.update(task, completed=len(points) - len(missing))
        for record in _records(arguments, missing, setup):
            results.add(record)
            failed += "message" in record
            bar.update(task, advance=1, failed=f"{failed} failed" if failed else "")


def _records(
    arguments: argparse.Namespace, points: Sequence[tuple[str, Point]], setup: Setup
) -> Iterator[Json]:
    if arguments.scheduler is not None:
        return run_on_cluster(points, setup, arguments.scheduler)
    return run_local(points, setup, arguments.jobs)


def _bar() -> Progress:
    columns = (
        TextColumn("exploring {task.description}"),
        *(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        TextColumn("[red]{task.fields[failed]}"),
    )
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show(arguments: argparse.Namespace, records: Sequence[Json]) -> None:
    """Print all points of the grid, and draw them."""
    made = [record for record in records if "message" not in record]
    front = best(made)
    if arguments.json:
        names = {record["key"] for record in front}
        rows = [{**record, "pareto": record["key"] in names} for record in records]
        print(json.dumps(rows, indent=2))
    else:
        print_results(Console(), records, front, arguments.calibrate is not None)
    if arguments.plot is not None and made:
        title = f"{arguments.model.name}: {len(made)} designs"
        write_plot(arguments.plot, title, made, front, varying(records))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `calocc-explore`; exit with 1 and one message for an error in the options."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    if parsed.jobs < 1:
        parser.error(f"--jobs {parsed.jobs}: at least one process has to work")
    try:
        run(parsed)
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
