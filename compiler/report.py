"""What is known about a design, as plain data for `report.json` and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from calocc.compiler.devices import Device
from calocc.compiler.network import Fifo, depths_of, fifos_of, network_of, processes_of
from calocc.compiler.ports import Port, input_ports, main_function, output_ports
from calocc.compiler.relief import relief
from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.layout import ceil_div
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.qnn.op import QnnOp
from calocc.runtime.critical_path import Chain, critical_path
from calocc.runtime.cycles import Activity, Timing, simulate, verify_depths

RESOURCES = ("dsp", "bram18", "uram", "lut", "ff")
Json = dict[str, Any]
BOUNDS = ("least_latency", "least_interval", "least_part")
"""What no folding is below: cycles within the budget, and the part of some resource of the device
that a required time takes."""


def design_report(module: ModuleOp, device: Device, clock_mhz: float) -> Json:
    """Time, resources, ports and processes of a dataflow module."""
    function = main_function(module)
    network = network_of(function)
    timing = simulate(network)
    running = verify_depths(network, depths_of(function)).activities
    used, chain = total_resources(function), critical_path(network, timing)
    return {
        "latency_cycles": timing.latency_cycles,
        "latency_us": timing.latency_cycles / clock_mhz,
        "interval_cycles": timing.interval_cycles,
        "interval_us": timing.interval_cycles / clock_mhz,
        "resources": {
            name: {"used": getattr(used, name), "available": getattr(device, name)}
            for name in RESOURCES
        },
        "inputs": [_port(p) for p in input_ports(module)],
        "outputs": [{**_port(p), "certified_bound": p.bound} for p in output_ports(module)],
        "layers": _layers(function, timing, running, chain),
        "relief": relief(function, chain),
        "bounds": {name: n for name in BOUNDS if (n := _number(function, name)) is not None},
    }


def _number(function: FuncOp, name: str) -> float | None:
    """What `balance` has noted on a function."""
    value = function.attributes.get(name)
    return (
        cast("FloatAttr[Any]", value).value.data
        if isinstance(value, FloatAttr)
        else (_integer(value) if value is not None else None)
    )


def exactness(module: ModuleOp) -> list[Json]:
    """Where a fixed-point module stands to its float64 reference, layer by layer.

    `points`: the reachable operands that were all compared, `differing_points` of them differ, by
    `largest_lsb` at most; `constant_bits`: the significant bits that this takes;
    `rounded_to_bits`: constants that no quantizer follows keep this many significant bits;
    `argmax_frac`: operands of a softmax that differ at so many fraction bits are told apart.
    """
    rows: list[Json] = []
    for op in main_function(module).walk():
        facts = {k: n for k, v in op.attributes.items() if (n := _integer(v)) is not None}
        if isinstance(op, QnnOp) and facts:
            rows.append({"layer": op.layer_name, **facts})
    return rows


def _integer(value: Attribute) -> int | None:
    return cast(IntegerAttr, value).value.data if isinstance(value, IntegerAttr) else None


def total_resources(function: FuncOp) -> Resources:
    """What all processes occupy, and the FIFOs whose depths are known."""
    total = Resources()
    for process in processes_of(function):
        total = total + process.resources()
    for fifo in fifos_of(function):
        total = total + fifo_resources(fifo)
    return total


def fifo_resources(fifo: Fifo) -> Resources:
    """What a FIFO occupies; nothing before its depth is known."""
    depth = fifo.depth
    stream = stream_of(fifo.source)
    return resources.fifo(depth, stream.width * stream.format.width) if depth else Resources()


def _port(port: Port) -> Json:
    return {
        "name": port.name,
        "shape": list(port.shape),
        "format": str(port.format),
        "rounding": str(port.rounding),
        "overflow": str(port.overflow),
    }


def _layers(
    function: FuncOp, timing: Timing, running: Sequence[Activity], chain: Chain
) -> list[Json]:
    """Processes with the cycles of the first event; `running` are those of a later one."""
    rows = zip(processes_of(function), timing.activities, running, strict=True)
    waits = Counter[int]()
    for share in chain.shares:
        waits[share.process] += share.cycles
    return [
        {
            "layer": op.layer_name,
            "process": op.name.partition(".")[2],
            **_streams(op),
            **_folding(op, timing.interval_cycles),
            "latency_cycles": waits[k],
            "cycles": op.schedule().trips,
            "start_cycle": activity.start,
            "finish_cycle": activity.finish,
            "starved_cycles": activity.starved,
            "running": {key: getattr(later, key) for key in ("busy", "starved", "blocked")},
            "resources": {name: getattr(op.resources(), name) for name in RESOURCES},
        }
        for k, (op, activity, later) in enumerate(rows)
    ]


def _streams(op: ProcessOp) -> Json:
    first, last = op.inputs[0], op.outputs[0]
    return {
        "input": _stream(first),
        "output": _stream(last),
    }


def _stream(stream: StreamType) -> Json:
    return {
        "shape": list(stream.shape),
        "format": str(stream.format),
        "lanes": stream.layout.lanes,
        "pixels": stream.layout.pixels,
    }


def _folding(op: Operation, interval: int) -> Json:
    """The folding of a matrix product, and what it makes of its DSP slices from event to event."""
    if not isinstance(op, MatvecOp):
        return {}
    n, m = op.weights.shape
    macs, dsp = op.positions * n * m, op.resources().dsp
    return {
        "reuse_factor": ceil_div(n, op.simd) * ceil_div(m, op.pe),
        "macs_per_dsp_cycle": macs / (dsp * interval) if dsp else None,
        "pe": op.pe,
        "simd": op.simd,
        "pixels": op.pixels,
        "macs": macs,
        "weights": str(op.weight_type.format),
        "accumulator": str(op.accumulator),
    }


def bottleneck(report: Mapping[str, Any]) -> str:
    """The layer whose process takes the most cycles per event."""
    layers: Sequence[Json] = report["layers"]
    return str(max(layers, key=lambda row: row["cycles"])["layer"])
