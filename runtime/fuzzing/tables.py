"""What a run of the fuzzer shows on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from calocc.runtime.fuzzing.cases import Tally
from calocc.runtime.fuzzing.coverage import Coverage, never_reached, universe

SHOWN = 12
"""Names of what was never reached in a row of the table."""


def print_tally(console: Console, tally: Tally, seconds: float) -> None:
    """Cases, executions and what they cost."""
    console.print(stages_table(tally, seconds))
    console.print(coverage_table(tally.coverage))
    for category in ("refused models", "refused by passes"):
        if counts := tally.coverage.counts.get(category):
            shown = ", ".join(f"{name} {n}" for name, n in counts.most_common(8))
            console.print(f"{category}: {shown}", markup=False)


def stages_table(tally: Tally, seconds: float) -> Table:
    """How many a stage has run, per minute of the clock and per minute of a processor.

    A model is through all stages if its IR was executed as layers on reals, as layers on integers
    and as processes: the first within the certified bounds, all else bit for bit, on every event.
    """
    table = Table("stage", "count", "per minute", "per processor minute", title="cases")
    spent = tally.seconds | {"all": sum(tally.seconds.values())}
    rows = {
        "models drawn": (tally.cases, "draw"),
        "models through all stages of the IR": (tally.through, "stages"),
        "executions compared": (tally.runs, "stages"),
        "compiled emulator": (tally.emulated, "stages"),
        "generated C++ (g++)": (tally.simulated, "g++"),
        "cases, with all that is done": (tally.cases, "all"),
    }
    for name, (count, stage) in rows.items():
        own = spent.get(stage, 0.0)
        each = f"{60 * count / own:,.0f}" if own else "-"
        table.add_row(name, f"{count:,}", f"{60 * count / max(seconds, 1e-9):,.0f}", each)
    table.add_row("at every level, pass by pass", f"{tally.thorough:,}", "", "")
    table.add_row("refused by calocc", f"{tally.refused:,}", "", "")
    table.add_row("failures", f"{len(tally.failures):,}", "", "")
    return table


def coverage_table(coverage: Coverage) -> Table:
    """What was reached of what there is, by category."""
    table = Table("category", "reached", "never reached", title="coverage")
    missing = never_reached(coverage)
    for category, names in universe().items():
        absent = missing[category]
        shown = ", ".join(absent[:SHOWN]) + (", ..." if len(absent) > SHOWN else "")
        table.add_row(category, f"{len(names) - len(absent)} of {len(names)}", shown)
    for category in ("epilogues of", "wrapped layers"):
        table.add_row(category, str(len(coverage.counts.get(category, {}))), "")
    return table
