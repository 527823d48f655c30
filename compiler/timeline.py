"""`--timeline`: a picture of what every process of a design does while events pass through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from calocc.compiler.charts import drawn, expect_chart, ticks, write_chart
from calocc.compiler.network import depths_of, network_of, processes_of
from calocc.compiler.ports import main_function
from calocc.compiler.report import Json, bottleneck
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.process import ProcessOp
from calocc.runtime.cycles import Activity, Course
from calocc.runtime.timeline import Timeline, shares, timeline_of

Reals = NDArray[np.float64]
SUFFIXES = (".svg", ".html")
WIDTH = 900
"""Pixels of all cycles."""
BAR, PITCH, GAP = 14, 17, 6
"""Pixels of a bar, from one process to the next, and between layers."""
BIN = 1.5
"""Pixels over which activity is averaged."""
FRAME = {"left": 236, "top": 96, "side": 190, "bottom": 44}
"""Pixels around the plot."""
MARGIN = 1.015
"""Cycles shown, over those of the latency."""


@dataclass(frozen=True)
class Outlines:
    """SVG paths of a process in an event: its extent, and its stacked activities."""

    extent: str
    blocked: str
    starved: str
    busy: str


def expect_timeline(path: Path) -> None:
    """Raise BadChart where it is plain that no timeline can be written."""
    expect_chart("timeline", path, SUFFIXES)


def write_timeline(module: ModuleOp, report: Json, path: Path) -> None:
    """Draw a dataflow module with sized FIFOs; raise BadChart if it cannot be written."""
    function = main_function(module)
    timeline = timeline_of(network_of(function), depths_of(function))
    picture = _picture(function, timeline, report)
    write_chart("timeline", path, drawn(f"timeline{path.suffix}.j2", **picture))


def _picture(function: FuncOp, timeline: Timeline, report: Json) -> dict[str, Any]:
    """All that the templates print."""
    ops = processes_of(function)
    cycles = timeline.latency * MARGIN
    tops = _tops(ops)
    edges = np.linspace(0, cycles, round(WIDTH / BIN) + 1)
    rows = [
        _row(op, top, [event[k] for event in timeline.events], edges, timeline, k)
        for k, (op, top) in enumerate(zip(ops, tops, strict=True))
    ]
    clock = report["clock_mhz"]
    return {
        "report": report,
        "slowest": bottleneck(report),
        "details": [{"title": row["title"], "facts": row["facts"]} for row in rows],
        "layers": [list(own) for _, own in groupby(rows, lambda row: row["layer"])],
        "frame": FRAME,
        "width": WIDTH,
        "bar": BAR,
        "height": tops[-1] + PITCH,
        "path": _route(timeline, tops, cycles),
        "cycle_ticks": [(t, WIDTH * t / cycles) for t in ticks(cycles)],
        "micro_ticks": [(t, WIDTH * t * clock / cycles) for t in ticks(cycles / clock)],
        "cycles": cycles,
    }


def _tops(ops: list[ProcessOp]) -> list[int]:
    """Where the bar of each process is, with a gap between layers."""
    tops = [GAP]
    for before, op in pairwise(ops):
        tops.append(tops[-1] + PITCH + GAP * (before.layer_name != op.layer_name))
    return tops


def _row(
    op: ProcessOp, top: int, events: list[Course], edges: Reals, timeline: Timeline, k: int
) -> dict[str, Any]:
    """A process in all events."""
    running = timeline.running[k]
    interval = max(timeline.interval, running.busy + running.starved + running.blocked)
    kind = op.name.partition(".")[2]
    return {
        "layer": op.layer_name,
        "kind": kind,
        "title": f"{op.layer_name}: {kind}",
        "facts": _facts(op, events[0].activity(), running, timeline.share(k)),
        "top": top,
        "parts": [n / interval for n in (running.busy, running.starved, running.blocked)],
        "outlines": [_outlines(course, top + BAR, edges) for course in events],
    }


def _facts(
    op: ProcessOp, first: Activity, running: Activity, on_path: int
) -> list[tuple[str, str]]:
    """What to know of a process, as names and values."""
    out = op.outputs[0]
    facts = [
        ("output", f"{'x'.join(map(str, out.shape))} {out.format}, {out.width} per beat"),
        ("first event", f"cycles {first.start:,} to {first.finish:,}"),
        ("busy", f"{running.busy:,} cycles"),
        ("starved, in the running pipeline", f"{running.starved:,} cycles"),
        ("blocked, in the running pipeline", f"{running.blocked:,} cycles"),
    ]
    if isinstance(op, MatvecOp):
        facts.insert(0, ("PE x SIMD", f"{op.pe}x{op.simd}"))
    if op.fifo_depths is not None:
        facts.insert(1, ("FIFO behind it", f"{', '.join(f'{d:,}' for d in op.fifo_depths)} beats"))
    if on_path:
        facts.append(("on the critical path", f"{on_path:,} cycles"))
    return facts


def _outlines(course: Course, base: int, edges: Reals) -> Outlines:
    """A course as filled outlines that stand on `base`."""
    busy, starved, blocked = shares(course, edges)
    scale = WIDTH / edges[-1]
    activity = course.activity()
    start, stop = (min(c * scale, WIDTH) for c in (activity.start, activity.finish + 1))
    return Outlines(
        f"M{start:.1f} {base - 1}H{stop:.1f}V{base}H{start:.1f}z",
        _steps(busy + starved + blocked, base),
        _steps(busy + starved, base),
        _steps(busy, base),
    )


def _steps(heights: Reals, base: int) -> str:
    """A filled step curve over the bins, as an SVG path."""
    return "".join(
        f"M{left:g} {base}V{base - height:g}H{right:g}V{base}z"
        for left, right, height in _runs(np.round(heights * BAR, 1))
        if height > 0
    )


def _runs(heights: Reals) -> Iterator[tuple[float, float, float]]:
    """Bins of equal height together: left and right in pixels, height."""
    ends = [0, *(np.flatnonzero(np.diff(heights)) + 1).tolist(), len(heights)]
    for start, stop in pairwise(ends):
        yield start * BIN, stop * BIN, float(heights[start])


def _route(timeline: Timeline, tops: list[int], cycles: float) -> str:
    """The critical path along the feet of the bars."""
    points = [
        (WIDTH * cycle / cycles, tops[leg.process] + BAR)
        for leg in timeline.path
        for cycle in (leg.start, leg.stop)
    ]
    return "M" + "L".join(f"{x:.1f} {y}" for x, y in points)
