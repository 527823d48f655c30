"""`check-dataflow`: refuse what Vitis HLS cannot build or its simulation cannot run.

Limits of synthesis: a beat of a FIFO or port has at most 4096 bits (AMD UG1399, AXI4-Stream
interfaces; Xilinx/Vitis-Tutorials issue 426 for FIFOs inside a design), and an array is split into
at most 4096 registers along an axis (`config_array_partition -maximum_size` of the projects that
hls4ml writes). Limits of the generated code: counters are `unsigned`, constants are literals of
`double`, and simulation adds in 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from calocc.compiler.diagnostics import CaloccError, Reasoned
from calocc.compiler.network import depths_of, fifos_of, network_of, processes_of
from calocc.compiler.ports import main_function, return_op
from calocc.compiler.stages import Stage
from calocc.dialects.dataflow.compute import extremes
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.stream import WIDEST_BEAT, StreamType, stream_of
from calocc.dialects.fixed.blob import BlobAttr
from calocc.runtime.cycles import verify_depths

MOST_REGISTERS = 4096
"""Elements along one axis of an array that is split into registers."""
MOST_TRIPS = 1 << 31
"""Iterations of a loop per event."""
WIDEST_PRODUCT = 63
"""Bits of a product and of an accumulator."""
LARGEST_LITERAL = 1 << 53
"""Greatest mantissa of a constant: a `double` holds it exactly."""


@dataclass(eq=False)
class NotBuildable(Reasoned, CaloccError):
    """A process that Vitis HLS cannot build."""

    layer: str
    reason: str
    advice: str


def find_obstacle(function: FuncOp) -> NotBuildable | None:
    """The first reason why a dataflow function cannot be built, or None."""
    return next(_obstacles(function), None)


def _obstacles(function: FuncOp) -> Iterator[NotBuildable]:
    for value in (*function.args, *return_op(function).operands):
        yield from _wide("a port", stream_of(value), stream_of(value).port_bits)
        yield from _ragged(stream_of(value))
    for op in processes_of(function):
        for stream in (*op.inputs, *op.outputs):
            yield from _wide(op.layer_name, stream, stream.bits)
        yield from _large(op)
        yield from _unrepresentable(op)


def _wide(layer: str, stream: StreamType, bits: int) -> Iterator[NotBuildable]:
    if bits > WIDEST_BEAT:
        yield NotBuildable(
            layer,
            f"a beat of {stream.width} elements of {stream.format} has {bits} bits, "
            f"Vitis HLS takes {WIDEST_BEAT}",
            "set pe and simd of the layers on both sides to fewer lanes, or compile with -O2",
        )


def _ragged(port: StreamType) -> Iterator[NotBuildable]:
    if not port.is_whole:
        yield NotBuildable(
            "a port",
            f"{port} has several pixels in a beat, or lanes that are not there",
            "let dataflow.lanes convert to lanes of one pixel that divide the channels",
        )


def _large(op: ProcessOp) -> Iterator[NotBuildable]:
    if (registers := op.registers()) > MOST_REGISTERS:
        yield NotBuildable(
            op.layer_name,
            f"{op.name} keeps {registers} elements in registers, "
            f"Vitis HLS splits arrays into {MOST_REGISTERS} at most",
            "compile with -O2, which moves more elements per beat, or use fewer channels",
        )
    if (trips := op.schedule().trips) >= MOST_TRIPS:
        yield NotBuildable(
            op.layer_name,
            f"{op.name} runs {trips} iterations per event, its counter holds {MOST_TRIPS}",
            "compile with -O2, which moves more elements per beat",
        )


def _unrepresentable(op: ProcessOp) -> Iterator[NotBuildable]:
    for product, accumulator in op.products():
        if (width := max(product, accumulator)) > WIDEST_PRODUCT:
            yield NotBuildable(
                op.layer_name,
                f"its sums of products need {width} bits, simulation adds {WIDEST_PRODUCT}",
                "quantize its weights or its input to fewer bits",
            )
    if _largest_mantissa(op) > LARGEST_LITERAL:
        yield NotBuildable(
            op.layer_name,
            "one of its constants has more than 53 significant bits",
            "quantize the parameters of the layer to fewer bits",
        )


def _largest_mantissa(process: ProcessOp) -> int:
    """The greatest absolute mantissa of the constants and tables of a process."""
    bounds = [
        extremes(blob)
        for op in process.walk()
        for blob in op.properties.values()
        if isinstance(blob, BlobAttr) and blob.type.element_count()
    ]
    return max((max(-lo, hi) for lo, hi in bounds), default=0)


@dataclass(frozen=True)
class CheckDataflow(ModulePass):
    """Raise NotBuildable for a design beyond the limits of Vitis HLS, and Deadlock for one that
    gets stuck with the FIFO depths that it has."""

    name = "check-dataflow"
    takes = Stage.DATAFLOW

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Change nothing."""
        function = main_function(op)
        if obstacle := find_obstacle(function):
            raise obstacle
        if any(fifo.depth for fifo in fifos_of(function)):
            verify_depths(network_of(function), depths_of(function), frames=1)
