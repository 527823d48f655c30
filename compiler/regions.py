"""Where processes go on a device of several dies (super logic regions).

Processes keep the order in which data flow through them, and each die takes the next ones, upwards
or downwards: streams then cross to the die beside only. Among such assignments the one whose dies
all hold and whose streams have the fewest bits per beat at the boundaries is found by dynamic
programming over the order, which is exact for it. Where none holds, an integer program looks for
one in any order (`scattering.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, OpResult

from calocc.compiler.devices import Device
from calocc.compiler.network import fifos_of, processes_of
from calocc.compiler.report import RESOURCES, Json, fifo_resources
from calocc.compiler.scattering import Edge, scattered
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.stream import stream_of

CROSSING_CYCLES = 2
"""Cycles that a stream takes longer from die to die (ESTIMATE: a register on either side of the
boundary, as the Laguna sites of UltraScale+ have them)."""
SLACK = 0.05
"""How much fuller than need be a die may get if fewer bits cross for it."""
TINY = 1e-12
"""What rounding may cost."""
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Assignment:
    """The die of each process, from the bottom up; the largest part of a resource that each die
    gives; the bits per beat across each boundary between two dies."""

    dies: tuple[int, ...]
    parts: tuple[float, ...]
    crossings: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether every die has room for its processes."""
        return max(self.parts) <= 1


def assign(used: Reals, edges: Sequence[Edge], dies: Reals, full: float) -> Assignment:
    """Assign processes, which take what is `used` (processes, resources), to `dies` (dies,
    resources).

    Producers come before consumers. No die is fuller than `full` if that is possible; else no
    fuller than need be, give or take `SLACK`.
    """
    ways = [_filled(used, dies), _filled(used, dies[::-1])]
    need = min(_fullest(filled) for filled in ways)
    if need > 1 and (anywhere := _in_any_order(used, edges, dies, full)) is not None:
        return anywhere
    limit = full if need <= full else max(need, min(need + SLACK, 1.0))
    crossing = _crossing(edges, len(used))
    found = [_fewest_bits(filled, crossing, limit + TINY) for filled in ways]
    if found[0][0] <= found[1][0]:
        return found[0][1]
    last, down = len(dies) - 1, found[1][1]
    return Assignment(tuple(last - d for d in down.dies), down.parts[::-1], down.crossings[::-1])


def _in_any_order(
    used: Reals, edges: Sequence[Edge], dies: Reals, full: float
) -> Assignment | None:
    """An assignment of which all dies hold: no fuller than `full`, or no fuller than need be, give
    or take a third of what is left."""
    if (used.sum(axis=0) > dies.sum(axis=0)).any():
        return None
    for limit in (full, *np.linspace(min(full, 1.0), 1.0, 4)[1:].tolist()):
        if (found := scattered(used, edges, dies, limit)) is not None:
            own = np.array(found)
            sums = np.array([used[own == die].sum(axis=0) for die in range(len(dies))])
            parts = (sums / np.maximum(dies, 1e-9)).max(axis=1)
            bits = (_across(edges, found, die) for die in range(len(dies) - 1))
            return Assignment(found, tuple(parts.tolist()), tuple(bits))
    return None


def _across(edges: Sequence[Edge], dies: Sequence[int], below: int) -> int:
    """The bits per beat across the boundary above a die, either way."""
    return sum(bits for a, b, bits in edges if (dies[a] <= below) != (dies[b] <= below))


def _fullest(filled: Reals) -> float:
    """How full the fullest die is at least."""
    least = np.append(0.0, np.full(filled.shape[1] - 1, np.inf))
    for part in filled:
        least = np.maximum(least[:, None], part).min(axis=0)
    return float(least[-1])


def _fewest_bits(filled: Reals, crossing: Reals, limit: float) -> tuple[float, Assignment]:
    """The assignment with the fewest bits across boundaries of which no die is above a limit, and
    these bits; endless if there is none."""
    cost = np.append(0.0, np.full(filled.shape[1] - 1, np.inf))
    steps: list[NDArray[np.intp]] = []
    for die, part in enumerate(filled):
        entry = cost + (crossing if die else 0)
        total = np.where(part <= limit, entry[:, None], np.inf)
        steps.append(total.argmin(axis=0))
        cost = total.min(axis=0)
    return float(cost[-1]), _traced(steps, filled, crossing)


def _filled(used: Reals, dies: Reals) -> Reals:
    """The part of each die (dies, first, last) that processes from first to last would take."""
    sums = np.concatenate([np.zeros((1, used.shape[1])), np.cumsum(used, axis=0)])
    between = sums[None, :, :] - sums[:, None, :]
    room = np.maximum(dies, 1e-9)[:, None, None, :]
    parts = (between[None] / room).max(axis=-1)
    return np.where(np.tri(len(sums), k=-1, dtype=bool)[None], np.inf, parts)


def _crossing(edges: Sequence[Edge], count: int) -> Reals:
    """Bits per beat across a boundary in front of each process, and behind the last."""
    bits = np.zeros(count + 1)
    for producer, consumer, width in edges:
        bits[producer + 1 : consumer + 1] += width
    return bits


def _traced(steps: Sequence[NDArray[np.intp]], filled: Reals, crossing: Reals) -> Assignment:
    starts = [filled.shape[1] - 1]
    for step in reversed(steps):
        starts.insert(0, int(step[starts[0]]))
    spans = list(pairwise(starts))
    dies = tuple(d for d, span in enumerate(spans) for _ in range(*span))
    parts = tuple(float(filled[d, a, b]) for d, (a, b) in enumerate(spans))
    return Assignment(dies, parts, tuple(int(crossing[a]) for a in starts[1:-1]))


def division(function: FuncOp, device: Device, budget: float) -> Assignment | None:
    """The dies of a design's processes; None for a single die."""
    if len(device.slr) == 1:
        return None
    return assign(*_facts(function, processes_of(function)), _rooms(device), budget)


def _rooms(device: Device) -> Reals:
    """What each die offers (dies, resources)."""
    return np.array([[getattr(die, name) for name in RESOURCES] for die in device.slr], float)


def regions_report(function: FuncOp, device: Device, found: Assignment | None) -> Json | None:
    """The dies of a design's processes, each with the FIFOs that it fills, as plain data; None for
    a single die."""
    if found is None:
        return None
    ops = processes_of(function)
    used, edges = _facts(function, ops)
    rows: list[Json] = []
    for k, room in enumerate(_rooms(device).astype(int).tolist()):
        own = np.array(found.dies) == k
        sums = used[own].sum(axis=0).astype(int).tolist()
        figures = zip(RESOURCES, sums, room, strict=True)
        layers = [op.layer_name for op, here in zip(ops, own, strict=True) if here]
        resources = {name: {"used": u, "available": a} for name, u, a in figures}
        rows.append({"layers": list(dict.fromkeys(layers)), "resources": resources})
    return {
        "holds": found.holds,
        "process_dies": list(found.dies),
        "dies": rows,
        "crossing_bits": list(found.crossings),
        "crossing_cycles": CROSSING_CYCLES * _most_crossings(edges, found.dies),
    }


def _most_crossings(edges: Sequence[Edge], dies: Sequence[int]) -> int:
    """The most boundaries between dies on the way from an input to an output."""
    crossed = [0] * len(dies)
    for a, b, _ in sorted(edges, key=lambda edge: edge[1]):
        crossed[b] = max(crossed[b], crossed[a] + abs(dies[b] - dies[a]))
    return max(crossed, default=0)


def _facts(function: FuncOp, ops: Sequence[ProcessOp]) -> tuple[Reals, list[Edge]]:
    """What processes take with the FIFOs behind them, and the streams between them."""
    place: dict[Operation, int] = {op: k for k, op in enumerate(ops)}
    used, edges = [op.resources() for op in ops], list[Edge]()
    for fifo in fifos_of(function):
        if isinstance(fifo.source, OpResult):
            producer = place[fifo.source.op]
            used[producer] = used[producer] + fifo_resources(fifo)
            if (consumer := place.get(fifo.consumer)) is not None:
                edges.append((producer, consumer, stream_of(fifo.source).bits))
    table = [[float(getattr(own, name)) for name in RESOURCES] for own in used]
    return np.array(table), edges
