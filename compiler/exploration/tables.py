"""What an exploration has found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calocc.compiler.exploration.grid import Point
from calocc.compiler.report import Json
from calocc.compiler.summary import NAMES

OPTIONS = tuple(field.name for field in fields(Point))


def varying(records: Sequence[Json]) -> list[str]:
    """The options of which there are several values."""
    return [name for name in OPTIONS if len({r[name] for r in records}) > 1]


def print_results(
    console: Console, records: Sequence[Json], front: Sequence[Json], measured: bool
) -> None:
    """The designs, fastest first, those of the Pareto front marked; then what failed."""
    names = varying(records)
    made = sorted((r for r in records if "message" not in r), key=lambda r: r["latency_us"])
    if made:
        console.print(_designs(made, front, names, measured))
        fixed = {name: made[0][name] for name in OPTIONS if name not in names}
        told = ", ".join(f"{_title(k)} {v:g}" if isinstance(v, float) else f"{_title(k)} {v}"
                         for k, v in fixed.items() if v is not None)  # fmt: skip
        console.print(f"all with {told}" if told else "")
        console.print(f"● {len(front)} of {len(made)} designs are on the Pareto front")
    for record in (r for r in records if "message" in r):
        options = ", ".join(f"{_title(name)} {_value(record[name])}" for name in names)
        console.print(f"[red]failed[/] {escape(options)}", soft_wrap=True)
        console.print(f"  {escape(record['message'])}", soft_wrap=True)


def _title(name: str) -> str:
    return name.replace("_", " ")


def _value(value: object) -> str:
    return "free" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _designs(
    made: Sequence[Json], front: Sequence[Json], names: Sequence[str], measured: bool
) -> Table:
    """A row for each design."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("", *map(_title, names)):
        table.add_column(name, no_wrap=True)
    error = "error\n(rms)" if measured else "error\nat most"
    for name in ("latency\nµs", "interval\nµs", "DSP", "BRAM18", "LUT", error):
        table.add_column(name, justify="right", no_wrap=True)
    best = {record["key"] for record in front}
    for record in made:
        table.add_row(
            "●" if record["key"] in best else "",
            *(_value(record[name]) for name in names),
            *(f"{record[name]:,.2f}" for name in ("latency_us", "interval_us")),
            *(f"{record[name]:,}" for name in NAMES if name in ("dsp", "bram18", "lut")),
            _error(record["error"], measured),
        )
    return table


def _error(error: float | None, measured: bool) -> str:
    if error is None:
        return "not bounded"
    return f"{error:.3%}" if measured else f"{error:.3g}"
