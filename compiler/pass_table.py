"""Tables about passes: what there are, with their options, and how long they took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import getdoc

from rich.console import Console
from rich.table import Table

from calocc.compiler.pass_options import options_of
from calocc.compiler.pipeline import universe
from calocc.compiler.stages import Stage


@dataclass(frozen=True)
class PassDoc:
    """A pass: its name, the stage it takes (None: any), its docstring, and its options as text."""

    name: str
    takes: Stage | None
    doc: str
    options: tuple[str, ...]


def pass_docs() -> Iterator[PassDoc]:
    """All passes that are not xDSL's own, by name."""
    for name, factory in sorted(universe().all_passes.items()):
        kind = factory()
        if not kind.__module__.startswith("xdsl."):
            takes: Stage | None = getattr(kind, "takes", None)
            yield PassDoc(name, takes, getdoc(kind) or "", options_of(kind))


def print_passes(console: Console) -> None:
    """What each pass does, on what, and its options."""
    table = Table("pass", "takes", "what it does", "options", title="passes of calocc")
    for row in pass_docs():
        table.add_row(row.name, row.takes or "any", row.doc, "\n".join(row.options))
        table.add_section()
    console.print(table)
    console.print("xDSL's own passes are known too: canonicalize, cse, dce and more (--help).")


def print_times(seconds: Mapping[str, float]) -> None:
    """The seconds that each pass took, on the error stream."""
    table = Table("pass", "seconds", title="time")
    for name, value in seconds.items():
        table.add_row(name, f"{value:.3f}")
    Console(stderr=True).print(table)
