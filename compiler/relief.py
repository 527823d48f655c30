"""What would make a design faster: the next folding of the layer that is waited for most."""

from __future__ import annotations

from collections import Counter
from typing import Any

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, OpResult

from calocc.compiler.network import processes_of
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.foldings import Pin
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.routing import LanesOp, WindowOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.runtime.critical_path import Chain

Json = dict[str, Any]
SHOWN = ("dsp", "bram18", "lut", "ff")


def relief(function: FuncOp, chain: Chain) -> list[Json]:
    """For the interval and for the latency: the process or layer that takes most of it, and what
    the next faster folding would save and cost.

    `chain` is the longest one of the first event. `cycles` are the iterations per event of the
    slowest process, or those waited for; `next` is None where no folding is faster or no matrix
    product sets the pace.
    """
    ops = processes_of(function)
    slowest = max(ops, key=lambda op: op.schedule().trips)
    waits = Counter[ProcessOp]()
    for share in chain.shares:
        waits[_pacemaker(ops[share.process])] += share.cycles
    rows = [_row("interval", _pacemaker(slowest), slowest.schedule().trips)]
    return rows + [_row("latency", op, cycles) for op, cycles in waits.most_common(1)]


def _pacemaker(op: ProcessOp) -> ProcessOp:
    """The process whose folding makes this one as slow as it is: of a window the matrix product
    behind, of a converter the end with more beats."""
    if isinstance(op, WindowOp) and isinstance(op.consumer, MatvecOp):
        return op.consumer
    if isinstance(op, LanesOp) and (end := _slower_end(op)) is not None:
        return _pacemaker(end)
    return op


def _slower_end(op: LanesOp) -> ProcessOp | None:
    before = op.x.op if isinstance(op.x, OpResult) else None
    behind: Operation | None = op.result.get_user_of_unique_use()
    end = before if stream_of(op.x).beats >= op.result.type.beats else behind
    return end if isinstance(end, MatvecOp | WindowOp) else None


def _row(kind: str, op: ProcessOp, cycles: int) -> Json:
    return {
        "of": kind,
        "layer": op.layer_name,
        "process": op.name.partition(".")[2],
        "cycles": cycles,
        "next": _next(op) if isinstance(op, MatvecOp) else None,
    }


def _next(op: MatvecOp) -> Json | None:
    """The slowest folding that is faster, and what it takes beside what there is."""
    found = op.foldings(Pin(), op.in_logic is not None)
    if not len(found.cycles) or found.cycles[0] >= op.schedule().trips:
        return None
    faster = found.cheapest(op.schedule().trips - 1)
    simd, pe, pixels = min(found.triples(faster), key=lambda t: (t[2], t[1]))
    cost = op.costs()(simd, pe, pixels, op.in_logic is not None)
    more = {name: getattr(cost, name) - getattr(op.resources(), name) for name in SHOWN}
    saved = op.schedule().trips - op.cycles(simd, pe, pixels)
    return {"pe": pe, "simd": simd, "pixels": pixels, "saved_cycles": saved, "resources": more}
