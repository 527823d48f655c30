"""Draws layers of all families as the tests do and compares them: many cases from one seed.

Run from the root of the repository: `python -m benchmarks.fuzz_layers --cases 5000 --seed 7`. A
case is one layer. It is imported and compared with Keras within the error of float32, and compiled
between quantizers and compared with its float64 meaning bit for bit, at -O0 and -O2. The classes
of a family stand side by side in one model, a layer of each; where that fails, each layer is tried
alone. Every failure is printed with the command that draws its case again.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "property"))

from keras_layers import DRAWS, GROUPS, Branches, shapes
from test_import_layers import BEHIND, VAGUE, check_compiled, vague_shares

Case = tuple[Branches, Mapping[str, str]]
ONE = settings(
    max_examples=6,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


@dataclass(frozen=True)
class Failure:
    """A case that an exception ended."""

    family: str
    case: int
    layers: str
    error: str


@dataclass
class Tally:
    """What came of the cases of one family."""

    cases: int = 0
    against_keras: int = 0
    vague: int = 0
    """Layers of which float32 says little about more than the tests allow."""
    exact: int = 0
    unproved: int = 0
    """Compiled layers whose report claims no equality with float64, or that hold a recipe."""
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list[Failure])


def classes_of(family: str) -> list[str]:
    """The classes of a family, which is a group of the tests or a part of the names of classes."""
    if family in GROUPS:
        return GROUPS[family]
    names = [name for group in GROUPS.values() for name in group]
    return [name for name in names if family.lower() in name.lower()]


@st.composite
def side_by_side(draw: st.DrawFn, class_names: Sequence[str]) -> Case:
    """A layer of each class on common inputs, and the quantizers behind them."""
    specs = {name.lower(): DRAWS[name](draw) for name in class_names}
    drawn = Branches(draw(shapes()), specs, draw(st.integers(0, 2**32 - 2)))
    return of_layers(drawn, specs), {name: draw(st.sampled_from(BEHIND)) for name in specs}


def of_layers(drawn: Branches, names: Collection[str]) -> Branches:
    """Some of the layers, on the inputs that they need."""
    specs = {name: drawn.specs[name] for name in drawn.specs if name in names}
    ranks = {spec.rank for spec in specs.values()}
    inputs = {name: shape for name, shape in drawn.shapes.items() if len(shape) in ranks}
    return replace(drawn, shapes=inputs, specs=specs)


def draw_case(strategy: st.SearchStrategy[Case], number: int) -> Case:
    """What this number stands for: the last of some, as hypothesis draws extreme ones first."""
    found: list[Case] = []

    @seed(number)
    @ONE
    @given(strategy)
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found[-1]


def drawn_model(start: int, family: str, index: int) -> Case:
    """Model `index` of a family, with a case for each class."""
    digest = sha256(f"{start}/{family}/{index}".encode()).digest()
    return draw_case(side_by_side(classes_of(family)), int.from_bytes(digest[:8]))


def run_model(tally: Tally, start: int, family: str, index: int) -> None:
    """Both comparisons of all layers of a model; where one fails, of each layer."""
    (drawn, behind), started = drawn_model(start, family, index), perf_counter()
    tally.cases += len(drawn.specs)
    first = index * len(drawn.specs)
    error = failure_of(tally, drawn, behind)
    if error is not None:
        for k, name in enumerate(drawn.specs):
            if alone := failure_of(tally, of_layers(drawn, [name]), behind):
                layer = f"{drawn.specs[name]}, {behind[name]}"
                tally.failures.append(Failure(family, first + k, layer, alone))
        if not any(failure.case >= first for failure in tally.failures):
            layers = ", ".join(map(str, drawn.specs.values()))
            tally.failures.append(Failure(family, first, f"side by side: {layers}", error))
    tally.seconds += perf_counter() - started


def failure_of(tally: Tally, drawn: Branches, behind: Mapping[str, str]) -> str | None:
    """Compare; the first lines of an exception, whatever it is, so that other cases still run."""
    try:
        compare(tally, drawn, behind)
    except Exception as error:
        lines = str(error).splitlines() or [""]
        return f"{type(error).__name__}: {' '.join(lines[:2])}"
    return None


def compare(tally: Tally, drawn: Branches, behind: Mapping[str, str]) -> None:
    """Raise AssertionError or CaloccError where a comparison fails."""
    shares = vague_shares(drawn)
    proved, _ = check_compiled(drawn, behind)
    tally.against_keras += len(shares)
    tally.vague += sum(share > VAGUE for share in shares.values())
    tally.exact += len(proved)
    tally.unproved += len(drawn.specs) - len(proved)


def models_of(cases: int, families: Sequence[str]) -> dict[str, range]:
    """Which models of each family make up so many cases: as many of each, at least one."""
    each = max(1, -(-cases // sum(len(classes_of(family)) for family in families)))
    return dict.fromkeys(families, range(each))


def report(console: Console, tallies: Mapping[str, Tally], start: int) -> None:
    """A table, and each failure with its command."""
    columns = ("family", "cases", "against Keras", "says little", "bit for bit", "unproved")
    table = Table(*columns, "failures", "seconds", title=f"seed {start}")
    for family, t in tallies.items():
        counts = (t.cases, t.against_keras, t.vague, t.exact, t.unproved, len(t.failures))
        table.add_row(family, *map(str, counts), f"{t.seconds:.0f}")
    console.print(table)
    for failure in (f for t in tallies.values() for f in t.failures):
        console.print(f"\n{failure.layers}\n  {failure.error}", markup=False, soft_wrap=True)
        command = f"--seed {start} --family {failure.family!r} --case {failure.case}"
        console.print(f"  python -m benchmarks.fuzz_layers {command}", markup=False, soft_wrap=True)


def run(console: Console, start: int, indices: Mapping[str, Sequence[int]]) -> dict[str, Tally]:
    """Run these models of each family."""
    tallies = {family: Tally() for family in indices}
    with Progress(console=console, transient=True) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for family, chosen in indices.items():
            for index in progress.track(chosen, description=family):
                run_model(tallies[family], start, family, index)
    return tallies


def parse(arguments: Sequence[str] | None) -> Any:
    """The command line."""
    parser = argparse.ArgumentParser("benchmarks.fuzz_layers", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="in all (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    families = f"one of {', '.join(GROUPS)}, or a part of the names of classes"
    parser.add_argument("--family", action="append", help=families)
    parser.add_argument(
        "--case", type=int, help="only the model with this one, as a failure names it"
    )
    parsed = parser.parse_args(arguments)
    unknown = [family for family in parsed.family or () if not classes_of(family)]
    if unknown:
        parser.error(f"there is no family {unknown[0]!r}; choose {families}")
    if parsed.cases < 1 or (parsed.case is not None and parsed.case < 0):
        parser.error("a number of cases is 1 or more, that of a case 0 or more")
    return parsed


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what came of the cases; exit with 1 if one failed."""
    parsed, console = parse(arguments), Console()
    families = list(dict.fromkeys(parsed.family or GROUPS))
    indices: Mapping[str, Sequence[int]] = models_of(parsed.cases, families)
    if parsed.case is not None:
        indices = {family: [parsed.case // len(classes_of(family))] for family in families}
    tallies = run(console, parsed.seed, indices)
    report(console, tallies, parsed.seed)
    if any(tally.failures for tally in tallies.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
