"""The report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from calocc.compiler.observation import warnings
from calocc.compiler.report import bottleneck

Json = Mapping[str, Any]
LEAST_SHARE = 0.005
"""Of the latency, that is worth a line."""
NAMES = {"dsp": "DSP", "bram18": "BRAM18", "uram": "URAM", "lut": "LUT", "ff": "FF"}


def print_summary(console: Console, report: Json, directory: Path) -> None:
    """Print layers, time, resources and where the files are."""
    title = (
        f"{report['model']}  →  {report['target']} at {report['clock_mhz']:g} MHz"
        f"  (-O{report['opt_level']})"
    )
    parts: list[RenderableType] = [_ports(report), _layers(report), _limits(report)]
    parts += [_relief(report), _figures(report)]
    parts.append(_certified(report))
    if report["exactness"]:
        parts.append(_exactness(report))
    if report["calibration"]:
        parts.append(_calibration(report["calibration"]))
    if report["roundings"]:
        parts.append(_roundings(report))
    if report["ranges"]:
        parts.append(_ranges(report))
    console.print(Panel(Group(*parts), title=title, box=box.ROUNDED, expand=False))
    for warning in (*report["notes"], *crowded(report), *warnings(report["ranges"])):
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    console.print(f"written to [bold]{directory}[/]  ({report['seconds']['total']:.1f} s)")


def _table(*columns: str, text: int = 1) -> Table:
    """A table whose first `text` columns are left-aligned."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for k, column in enumerate(columns):
        table.add_column(column, justify="left" if k < text else "right", overflow="fold")
    return table


def _shape(stream: Json) -> str:
    return "x".join(map(str, stream["shape"]))


def _ports(report: Json) -> Table:
    table = _table("port", "name", "shape", "format", text=4)
    for kind in ("inputs", "outputs"):
        for port in report[kind]:
            table.add_row(kind[:-1], port["name"], _shape(port), port["format"])
    return table


def _layers(report: Json) -> Table:
    table = _table("layer", "process", "output", "format", "PE x SIMD", "cycles", "DSP", text=4)
    for row in report["layers"]:
        if row["process"] == "lanes":
            continue
        folding = f"{row['pe']}x{row['simd']}" if "pe" in row else str(row["output"]["lanes"])
        pixels = row["output"]["pixels"]
        table.add_row(
            row["layer"],
            row["process"],
            _shape(row["output"]),
            row["output"]["format"],
            f"{folding} x {pixels}" if pixels > 1 else folding,
            f"{row['cycles']:,}",
            f"{row['resources']['dsp']:,}" if row["resources"]["dsp"] else "",
        )
    return table


def _limits(report: Json) -> Table:
    """What latency and interval consist of, and what DSP slices do: of matrix products, and of
    other processes that something waits for."""
    table = _table(
        "limits", "process", "of latency", "of interval", "MAC per DSP and cycle", text=2
    )
    for row in report["layers"]:
        waits = row["latency_cycles"] / report["latency_cycles"]
        if waits < LEAST_SHARE and "macs" not in row:
            continue
        macs = row.get("macs_per_dsp_cycle")
        table.add_row(
            row["layer"],
            row["process"],
            f"{waits:.1%}" if waits >= LEAST_SHARE else "",
            f"{row['cycles'] / report['interval_cycles']:.1%}",
            f"{macs:.2f}" if macs else "",
        )
    return table


def _relief(report: Json) -> Table:
    """What takes most of latency and interval, and what the next faster folding is worth."""
    table = _table("most of", "layer", "cycles", "next PE x SIMD", "saves", "for", text=2)
    for row in report["relief"]:
        takes = row["of"], row["layer"], f"{row['cycles']:,}"
        if (faster := row["next"]) is None:
            table.add_row(*takes, "none", "", "")
            continue
        pixels = f" x {faster['pixels']}" if faster["pixels"] > 1 else ""
        folding = f"{faster['pe']}x{faster['simd']}{pixels}"
        more = (f"{n:,} {NAMES[name]}" for name, n in faster["resources"].items() if n > 0)
        table.add_row(*takes, folding, f"{faster['saved_cycles']:,}", ", ".join(more))
    return table


def _figures(report: Json) -> Table:
    table = _table("estimate", "", "", text=1)
    for name in ("latency", "interval"):
        cycles, micros = report[f"{name}_cycles"], report[f"{name}_us"]
        table.add_row(name, f"{cycles:,} cycles", f"{micros:,.1f} µs")
        if (least := report["bounds"].get(f"least_{name}")) is not None:
            away = f"{cycles / least - 1:.1%} away"
            table.add_row("  no folding is below", f"{least:,} cycles", away)
    for name, figure in report["resources"].items():
        share = figure["used"] / figure["available"] if figure["available"] else 0.0
        table.add_row(NAMES[name], f"{figure['used']:,} of {figure['available']:,}", f"{share:.1%}")
    if (part := report["bounds"].get("least_part")) is not None:
        table.add_row("no folding this fast takes less than", "", f"{part:.1%}")
    for row in _regions(report):
        table.add_row(*row)
    saved = sum(row["saved_bits"] for row in report["accumulators"])
    table.add_row("bits saved in accumulators", f"{saved:,}", "")
    table.add_row("slowest", bottleneck(report), "")
    return table


def _regions(report: Json) -> Iterator[tuple[str, str, str]]:
    """Each die with the resource that it gives most of, and what crosses to the next."""
    if (regions := report["regions"]) is None:
        return
    crossings = (*regions["crossing_bits"], 0)
    for k, (die, bits) in enumerate(zip(regions["dies"], crossings, strict=True)):
        part, name = fullest(die)
        across = f"{bits:,} bits per beat to SLR{k + 1}" if bits else ""
        yield f"SLR{k}", across, f"{part:.1%} of {NAMES[name]}"


def fullest(die: Json) -> tuple[float, str]:
    """The largest part of a resource of a die that is used, and which one it is."""
    figures = die["resources"].items()
    return max((f["used"] / max(f["available"], 1e-9), name) for name, f in figures)


def crowded(report: Json) -> list[str]:
    """What does not fit die by die, though the device as a whole has room."""
    if report["regions"] is None or report["regions"]["holds"]:
        return []
    parts = [(*fullest(die), k) for k, die in enumerate(report["regions"]["dies"])]
    part, name, k = max(parts)
    return [
        f"SLR{k} would need {part:.1%} of its {NAMES[name]}: the processes fit the device, but no "
        "division among its dies; take a lower --budget"
    ]


def _exactness(report: Json) -> Table:
    table = _table(
        *("quantized against float64", "operands", "differing", "by LSB", "constant bits"),
    )
    for row in report["exactness"]:
        if "argmax_frac" in row:
            table.add_row(row["layer"], f"argmax from 2^-{row['argmax_frac']} on", "", "", "")
        elif "points" in row:
            differing = row["differing_points"]
            largest = f"{row['largest_lsb']:,}" if differing else ""
            counts = f"{row['points']:,}", f"{differing:,}", largest
            table.add_row(row["layer"], *counts, str(row.get("constant_bits", "stored")))
        else:
            table.add_row(row["layer"], "not proved", "", "", str(row["rounded_to_bits"]))
    return table


def _certified(report: Json) -> Table:
    """How far outputs can be from those of the model in real arithmetic."""
    table = _table("output against the model in reals", "for any input, at most")
    for port in report["outputs"]:
        bound = port["certified_bound"]
        text = "not bounded" if bound is None else f"{bound:.3g}" if bound else "0: equal"
        table.add_row(port["name"], text)
    return table


def _calibration(calibration: Json) -> RenderableType:
    """The accuracy of the integer program on the calibration data."""
    table = _table("output against float", "relative error (rms)", "largest difference")
    for row in calibration["outputs"]:
        table.add_row(row["output"], f"{row['relative_rms']:.3%}", f"{row['largest']:.4g}")
    note = (
        f"{calibration['weights_bits']} bits for weights, {calibration['activations_bits']} for "
        f"activations, on {calibration['events']} events"
    )
    return Group(table, note)


def _roundings(report: Json) -> Table:
    """What each choice of rounding does on the calibration data, by its worst output."""
    columns = ("activations", "error (rms)", "largest", "cycles", "DSP", "LUT", "FF")
    table = _table(*columns)
    for row in report["roundings"]:
        worst = max(row["outputs"], key=lambda output: output["relative_rms"])
        figures = (f"{row[key]:,}" for key in ("latency_cycles", "dsp", "lut", "ff"))
        errors = f"{worst['relative_rms']:.3%}", f"{worst['largest']:.4g}"
        table.add_row(row["rounding"], *errors, *figures)
    return table


def _ranges(report: Json) -> RenderableType:
    """The quantizers that clip; the others are only counted."""
    table = _table("quantizer meets", "least", "greatest", "format", "clipped")
    clipping = [row for row in report["ranges"] if row["clipped"]]
    for row in clipping:
        ends = (f"{row[key]:.4g}" for key in ("least", "greatest"))
        table.add_row(row["layer"], *ends, row["format"], f"{row['clipped']:.3%}")
    fine = len(report["ranges"]) - len(clipping)
    note = f"{fine} of {len(report['ranges'])} quantizers clip none of the calibration data"
    return Group(table, note) if clipping else note
