"""The Pareto front as a picture, by matplotlib."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

from calocc.compiler.charts import BadChart, drawn, expect_chart, write_chart
from calocc.compiler.report import Json

SUFFIXES = (".svg", ".html", ".png")


def expect_plot(path: Path) -> None:
    """Raise BadChart where it is plain that no plot can be made."""
    expect_chart("plot", path, SUFFIXES)
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        problem = "matplotlib is not installed: pip install 'calocc[explore]'"
        raise BadChart("plot", str(path), problem, SUFFIXES) from None


def write_plot(
    path: Path, title: str, records: Sequence[Json], front: Sequence[Json], varying: Sequence[str]
) -> None:
    """Draw latency against DSP slices, the error as colour; a page also names the options of each
    point. Raises BadChart."""
    figure = _figure(title, records, front)
    if path.suffix == ".png":
        try:
            figure.savefig(path, dpi=160)
        except OSError as error:
            raise BadChart("plot", str(path), str(error), SUFFIXES) from None
        return
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    if path.suffix == ".html":
        tips = [_tip(record, varying) for record in records]
        page = {"title": title, "svg": svg[svg.index("<svg") :], "tips": tips}
        svg = drawn("exploration.html.j2", **page)
    write_chart("plot", path, svg)


def _tip(record: Json, varying: Sequence[str]) -> str:
    """What a page says of a point."""
    options = [f"{name.replace('_', '-')} {record[name]}" for name in varying]
    error = "not bounded" if record["error"] is None else f"{record['error']:.3g}"
    figures = (
        f"{record['latency_us']:.2f} µs, interval {record['interval_us']:.2f} µs, "
        f"{record['dsp']:,} DSP, {record['lut']:,} LUT, error {error}"
    )
    return "\n".join([figures, *options])


def _figure(title: str, records: Sequence[Json], front: Sequence[Json]) -> Any:
    """The picture as a matplotlib figure."""
    figure: Any = importlib.import_module("matplotlib.figure").Figure((8, 5), layout="constrained")
    axes = figure.subplots()
    errors = [nan if r["error"] is None else 100 * r["error"] for r in records]
    known = {e for e in errors if e == e}
    place = [r["latency_us"] for r in records], [r["dsp"] for r in records]
    colours = {"c": errors, "cmap": "viridis"} if len(known) > 1 else {"color": "#2f6db5"}
    points = axes.scatter(*place, **colours, zorder=3, gid="points")
    if len(known) > 1:
        figure.colorbar(points, label="error (%)")
    edge = {"edgecolors": "#14213d", "facecolors": "none", "linewidths": 1.4}
    ends = [r["latency_us"] for r in front], [r["dsp"] for r in front]
    axes.scatter(*ends, s=90, zorder=4, label="Pareto front (latency, DSP, error)", **edge)
    axes.set(title=title, xlabel="latency (µs)", ylabel="DSP slices")
    axes.grid(color="#e4e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
