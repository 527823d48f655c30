"""What is known about a design, as plain data for `report.json` and the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from calocc.compiler.devices import Device
from calocc.compiler.network import Fifo, depths_of, fifos_of, network_of, processes_of
from calocc.compiler.ports import Port, input_ports, main_function, output_ports
from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.qnn.op import QnnOp
from calocc.runtime.cycles import Activity, Timing, simulate, verify_depths

RESOURCES = ("dsp", "bram18", "uram", "lut", "ff")
Json = dict[str, Any]


def design_report(module: ModuleOp, device: Device, clock_mhz: float) -> Json:
    """Time, resources, ports and processes of a dataflow module."""
    function = main_function(module)
    network = network_of(function)
    timing = simulate(network)
    running = verify_depths(network, depths_of(function)).activities
    used = total_resources(function)
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
        "layers": _layers(function, timing, running),
    }


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
        total = total + _fifo_resources(fifo)
    return total


def _fifo_resources(fifo: Fifo) -> Resources:
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


def _layers(function: FuncOp, timing: Timing, running: Sequence[Activity]) -> list[Json]:
    """Processes with the cycles of the first event; `running` are those of a later one."""
    rows = zip(processes_of(function), timing.activities, running, strict=True)
    return [
        {
            "layer": op.layer_name,
            "process": op.name.partition(".")[2],
            **_streams(op),
            **_folding(op),
            "cycles": op.schedule().trips,
            "start_cycle": activity.start,
            "finish_cycle": activity.finish,
            "starved_cycles": activity.starved,
            "running": {key: getattr(later, key) for key in ("busy", "starved", "blocked")},
            "resources": {name: getattr(op.resources(), name) for name in RESOURCES},
        }
        for op, activity, later in rows
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


def _folding(op: Operation) -> Json:
    if not isinstance(op, MatvecOp):
        return {}
    macs = op.positions * op.weights.shape[0] * op.weights.shape[1]
    return {
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
