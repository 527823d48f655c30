"""The processes and FIFOs of a dataflow function, as the simulator of time sees them."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, OpResult, SSAValue

from calocc.compiler.ports import return_op
from calocc.dialects.dataflow.process import DataflowOp, ProcessOp
from calocc.dialects.dataflow.routing import ReshapeOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.runtime.cycles import Channel, Network, Process

PORT_DEPTH = 2
"""Beats that an input port of the design holds: enough for one per cycle."""


def wire_source(value: SSAValue) -> SSAValue:
    """The value that a stream comes from, seen through reshapes, which are wires."""
    while isinstance(value.owner, ReshapeOp):
        value = value.owner.x
    return value


def processes_of(function: FuncOp) -> list[ProcessOp]:
    """The processes of a function in order."""
    return [op for op in function.body.block.ops if isinstance(op, ProcessOp)]


@dataclass(frozen=True)
class Fifo:
    """A stream between two processes, or between a process and a port of the design."""

    source: SSAValue
    consumer: Operation
    port: int

    @property
    def depth(self) -> int | None:
        """The depth in beats; None for a port of the design or before `size-fifos`."""
        source = self.source
        if not isinstance(source, OpResult) or not isinstance(source.op, DataflowOp):
            return None
        depths = source.op.fifo_depths
        return None if depths is None else depths[source.index]


def fifos_of(function: FuncOp) -> list[Fifo]:
    """All streams that a process or a port of the design ends, in the order of their ends."""
    ends: list[Operation] = [*processes_of(function), return_op(function)]
    return [
        Fifo(wire_source(operand), end, port)
        for end in ends
        for port, operand in enumerate(end.operands)
    ]


def network_of(function: FuncOp) -> Network:
    """The network whose channels are `fifos_of(function)`, in that order."""
    ops = processes_of(function)
    index: dict[Operation, int] = {op: k for k, op in enumerate(ops)}
    processes = tuple(Process(f"{op.layer_name}.{k}", op.schedule()) for k, op in enumerate(ops))
    channels: list[Channel] = []
    for k, fifo in enumerate(fifos_of(function)):
        source = fifo.source
        producer = (index[source.op], source.index) if isinstance(source, OpResult) else None
        ends = isinstance(fifo.consumer, ReturnOp)
        consumer = None if ends else (index[fifo.consumer], fifo.port)
        name = f"{fifo.source.name_hint or 'stream'}.{k}"
        channels.append(Channel(name, producer, consumer, stream_of(fifo.source).bits))
    return Network(processes, tuple(channels))


def depths_of(function: FuncOp) -> dict[str, int]:
    """The depths of the channels of `network_of(function)` by name, those that are known."""
    pairs = zip(network_of(function).channels, fifos_of(function), strict=True)
    depths = {c.name: PORT_DEPTH if c.producer is None else f.depth for c, f in pairs}
    return {name: depth for name, depth in depths.items() if depth is not None}
