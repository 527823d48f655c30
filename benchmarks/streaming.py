"""What the streaming designs of both DeepCalo networks reach: latency, interval, resources.

Run from the root of the repository: `python -m benchmarks.streaming`, or with `--model` for one of
the networks. Designs are for batch 1 on an Alveo U50 at 250 MHz; latency and interval come from the
simulation of tokens, resources are calocc's estimates.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.models import DEEPCALO, PATHS
from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.design import Design
from calocc.compiler.devices import load_device

MODELS = {"image": DEEPCALO.path, "full": PATHS[-1]}
PUBLISHED_DSP = 2189
"""DSP slices of the published image-only design (0.898 ms on this card, with mixed layouts)."""


@dataclass(frozen=True)
class Case:
    """Options of a design, by the name that the table gives it."""

    name: str
    options: Options


def cases() -> list[Case]:
    """The designs that are compared."""
    base = Options(target="alveo-u50", clock_mhz=250.0, budget=0.8)
    published = PUBLISHED_DSP / load_device(base.target).dsp
    return [
        Case(f"{PUBLISHED_DSP} DSP, one product each",
             replace(base, budget=published, packing=False)),
        Case(f"{PUBLISHED_DSP} DSP, packed", replace(base, budget=published)),
        Case("80 %, one product per DSP", replace(base, packing=False)),
        Case("80 %, packed", base),
        Case("80 %, packed, for throughput", replace(base, optimize="throughput")),
        Case("80 %, packed, single values", replace(base, layout="single")),
    ]  # fmt: skip


def compiled(path: Path, options: Options) -> tuple[Design, float]:
    """The design, and the seconds that it took to make."""
    started = perf_counter()
    design = Compilation(path, options).design()
    return design, perf_counter() - started


def figures(table: Table, case: Case, report: Mapping[str, Any], seconds: float) -> None:
    """A row of the first table."""
    used = report["resources"]
    table.add_row(
        case.name,
        *(f"{report[f'{kind}_us']:.1f}" for kind in ("latency", "interval")),
        *(f"{used[name]['used']:,}" for name in ("dsp", "lut", "ff", "bram18")),
        f"{seconds:.1f}",
    )


def products(report: Mapping[str, Any]) -> Iterator[tuple[str, int, int, int]]:
    """Of each matrix product: layer, products per event, DSP slices, cycles."""
    for row in report["layers"]:
        if "macs" in row:
            yield row["layer"], row["macs"], row["resources"]["dsp"], row["cycles"]


def efficiency(report: Mapping[str, Any]) -> Table:
    """Products per DSP slice and cycle: while a layer is busy, and over an interval."""
    table = Table(
        *("layer", "PE x SIMD", "products", "DSP", "busy cycles", "per DSP, busy", "per DSP"),
        title="products per DSP slice and cycle: while the layer is busy, and in the running "
        "pipeline (more than one where products share slices or are made of LUTs)",
    )
    _right(table)
    foldings = [f"{r['pe']}x{r['simd']}" for r in report["layers"] if "macs" in r]
    total = [0, 0]
    interval = report["interval_cycles"]
    for folding, (layer, macs, dsp, cycles) in zip(foldings, products(report), strict=True):
        total = [total[0] + macs, total[1] + dsp]
        rates = (f"{macs / dsp / n:.2f}" if dsp else "in LUTs" for n in (cycles, interval))
        table.add_row(layer, folding, f"{macs:,}", f"{dsp:,}", f"{cycles:,}", *rates)
    macs, dsp = total
    table.add_row("all", "", f"{macs:,}", f"{dsp:,}", "", "", f"{macs / dsp / interval:.2f}")
    return table


def passes(seconds: Mapping[str, float]) -> Table:
    """Seconds of each pass."""
    table = Table("pass", "seconds", title="time of each pass")
    _right(table)
    for name, value in seconds.items():
        table.add_row(name, f"{value:.3f}")
    return table


def _right(table: Table) -> None:
    for column in table.columns[1:]:
        column.justify = "right"


def compare(console: Console, name: str, path: Path) -> None:
    """Print the tables of a model; details are those of the design that `calocc -O2` makes."""
    table = Table(
        *("design", "latency, µs", "interval, µs", "DSP", "LUT", "FF", "BRAM18", "compiled, s"),
        title=f"DeepCalo, {name}: Alveo U50 at 250 MHz, batch 1",
    )
    _right(table)
    details: list[Table] = []
    for case in cases():
        design, seconds = compiled(path, case.options)
        figures(table, case, design.report, seconds)
        if case.name == "80 %, packed":
            details = [efficiency(design.report), passes(design.report["seconds"])]
    for shown in (table, *details):
        console.print(shown)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(MODELS), action="append", help="default: all")
    options = parser.parse_args(arguments)
    console = Console()
    for name in options.model or MODELS:
        compare(console, name, MODELS[name])


if __name__ == "__main__":
    main()
