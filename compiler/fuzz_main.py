"""`calocc-fuzz`: attack a model, or the compiler with models that are drawn at random."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import Progress

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.reader import read_model
from calocc.runtime.fuzzing import reproducer
from calocc.runtime.fuzzing.campaign import Campaign, executor_of
from calocc.runtime.fuzzing.cases import Case, Options, Tally
from calocc.runtime.fuzzing.configurations import read_sections
from calocc.runtime.fuzzing.models import Drawn
from calocc.runtime.fuzzing.shrink import Shrinker
from calocc.runtime.fuzzing.tables import print_tally
from calocc.runtime.fuzzing.target import attack_model
from calocc.runtime.fuzzing.trial import Failure

DESCRIPTION = """\
Search for disagreement: between the stages of the compiler, between them and the generated C++,
and with the certified bounds. What is found is made small and saved with a command that shows it
again. The exit code is 1 if anything was found."""
DEFAULT_EXAMPLES = 2000


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("calocc-fuzz", description=DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, nargs="?", help="Keras .h5 or .keras file to attack")
    add("--random", action="store_true", help="draw whole models instead")
    add("--replay", metavar="FILE", type=Path, help="run a saved failure again")
    add("--examples", metavar="N", type=_positive,
        help=f"models to draw, or events to try (default {DEFAULT_EXAMPLES})")  # fmt: skip
    add("--time", metavar="SECONDS", type=float, help="when to end: no case begins later")
    add("--seed", metavar="N", type=int, default=0, help="default %(default)s")
    add("--layers", metavar="K", type=_positive, default=6,
        help="most layers of a drawn model (default %(default)s)")  # fmt: skip
    add("--csim", metavar="N", type=int, default=Options.simulated,
        help=f"models of every {Options.chunk * Options.compiled} whose C++ is run "
             "(default %(default)s)")  # fmt: skip
    add("--thorough", metavar="N", type=int, default=Options.thorough,
        help="one model in N goes through every level pass by pass, 0 for none; the others are "
             "smaller, and take one of these ways (default %(default)s)")  # fmt: skip
    add("--jobs", metavar="N", type=_positive, default=1, help="processes (default %(default)s)")
    add("--scheduler", metavar="ADDRESS", help="Dask scheduler to run on instead")
    add("--state", metavar="FILE", type=Path, help="store how far the run is; go on from there")
    add("--input", metavar="NAME=FORMAT", action="append", default=[], help="as for calocc")
    add("--set", metavar="LAYER.KEY=VALUE", action="append", default=[], dest="settings",
        help="as for calocc")  # fmt: skip
    add("--hls4ml-config", metavar="FILE", type=Path, help="as for calocc")
    add("-o", dest="output", metavar="DIR", type=Path, default=Path("calocc-failures"),
        help="where failures are saved (default ./%(default)s)")  # fmt: skip
    return parser


def _positive(text: str) -> int:
    with suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a number of 1 or more")


def _examples(parsed: argparse.Namespace) -> int | None:
    if parsed.examples is None and parsed.time is None:
        return DEFAULT_EXAMPLES
    return parsed.examples


def fuzz(parsed: argparse.Namespace, console: Console) -> bool:
    """Run as the command line says; whether nothing was found. Raises CaloccError."""
    if parsed.replay is not None:
        return _replay(parsed.replay, console)
    started = monotonic()
    tally = _random(parsed, console) if parsed.random else _model(parsed, console)
    print_tally(console, tally, monotonic() - started)
    for number, case, failure in _distinct(tally):
        _report(console, parsed.output, number, case, failure)
    return not tally.failures


@contextmanager
def _shown(console: Console, what: str, total: int | None) -> Generator[Callable[[Tally], None]]:
    """A bar that counts cases and failures."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)

        def told(tally: Tally) -> None:
            text = f"{what}, {len(tally.failures)} failures"
            progress.update(task, completed=tally.cases, description=text)

        yield told


def _random(parsed: argparse.Namespace, console: Console) -> Tally:
    options = Options(parsed.seed, parsed.layers, simulated=parsed.csim, thorough=parsed.thorough)
    examples = _examples(parsed)
    campaign = Campaign(options, examples, parsed.time, parsed.state)
    with (
        executor_of(parsed.jobs, parsed.scheduler) as executor,
        _shown(console, "drawing models", examples) as told,
    ):
        ahead = parsed.jobs + 1 if parsed.scheduler is None else 64
        return campaign.run(executor, ahead, told)


def _model(parsed: argparse.Namespace, console: Console) -> Tally:
    inputs = {name: text for name, _, text in (given.partition("=") for given in parsed.input)}
    config = None if parsed.hls4ml_config is None else read_sections(parsed.hls4ml_config)
    drawn = Drawn(read_model(parsed.model), tuple(parsed.settings), inputs, config)
    examples = _examples(parsed)
    with _shown(console, f"attacking {parsed.model.name}", examples) as told:
        return attack_model(drawn, parsed.seed, examples, parsed.time, told)


def _distinct(tally: Tally) -> list[tuple[int, Case, Failure]]:
    """The first failure of each kind."""
    kinds: dict[str, tuple[int, Case, Failure]] = {}
    for number, case, failure in sorted(tally.failures, key=lambda found: found[0]):
        kinds.setdefault(failure.kind, (number, case, failure))
    return list(kinds.values())


def _report(console: Console, directory: Path, number: int, case: Case, failure: Failure) -> None:
    """Shrink a failure, save it and say where."""
    with console.status(f"shrinking case {number} ({failure.kind}) ..."):
        smallest, shown = Shrinker(case, failure).run()
    path = reproducer.save(directory, smallest, shown)
    layers = len(smallest.drawn.model.layers)
    console.print(f"\ncase {number}, now {layers} layers: {shown}", markup=False, soft_wrap=True)
    for command in reproducer.commands(path, smallest, shown):
        console.print(f"  {command}", markup=False, soft_wrap=True)


def _replay(path: Path, console: Console) -> bool:
    failures = reproducer.replay(path)
    for failure in failures:
        console.print(str(failure), markup=False, soft_wrap=True)
    if not failures:
        console.print(f"{path.name}: nothing fails")
    return not failures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `calocc-fuzz`; exit with 1 if anything was found or the input is refused."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    if sum((parsed.model is not None, parsed.random, parsed.replay is not None)) != 1:
        parser.error("name a MODEL, or give --random or --replay FILE")
    try:
        good = fuzz(parsed, Console())
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    if not good:
        sys.exit(1)


if __name__ == "__main__":
    main()
