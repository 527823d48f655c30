"""What builds processes from layers, and the registry of rules that do it."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from calocc.compiler.diagnostics import CaloccError, Reasoned
from calocc.compiler.rules import NoRule, Rules
from calocc.dialects.dataflow.compute import MapOp
from calocc.dialects.dataflow.layout import SINGLE, Layout
from calocc.dialects.dataflow.process import DataflowOp, epilogue_region
from calocc.dialects.dataflow.routing import ForkOp, LanesOp, ReshapeOp
from calocc.dialects.dataflow.stream import port_stream, stream_of
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.op import QnnOp, format_of, shape_of


@dataclass(eq=False)
class NotStreamable(Reasoned, CaloccError):
    """A layer that cannot work on data that stream by."""

    layer: str
    reason: str
    advice: str


@dataclass
class Partition:
    """Builds the processes of one function."""

    block: Block = field(default_factory=Block)
    copies: dict[SSAValue, list[SSAValue]] = field(default_factory=dict[SSAValue, list[SSAValue]])

    def take(self, value: SSAValue) -> SSAValue:
        """The stream that carries a value to its next user."""
        return self.copies[value].pop()

    def add(self, op: DataflowOp) -> SSAValue:
        """Append a process with one result."""
        self.block.add_op(op)
        return op.results[0]

    def publish(self, value: SSAValue, stream: SSAValue) -> None:
        """Let a stream carry a value, forked if there are several users."""
        stream.name_hint = value.name_hint
        uses = len(list(value.uses))
        if uses == 1:
            self.copies[value] = [stream]
            return
        fork = ForkOp(stream, uses, _layer(value.owner))
        self.block.add_op(fork)
        self.copies[value] = list(reversed(fork.results))

    def input(self, argument: SSAValue) -> None:
        """A port that delivers a pixel per beat."""
        shape = shape_of(argument)
        port = port_stream(shape, format_of(argument))
        stream = self.block.insert_arg(port, len(self.block.args))
        stream.name_hint = argument.name_hint
        self.publish(argument, self.single(stream, argument.name_hint or "input"))

    def output(self, value: SSAValue) -> SSAValue:
        """A port that takes a pixel per beat; an input never reaches it without a process."""
        stream = self.take(value)
        if _is_port(stream):
            region = epilogue_region([format_of(value)])
            stream = self.add(MapOp([stream], region, stream_of(stream), "output"))
        port = port_stream(stream_of(stream).shape, stream_of(stream).format)
        return self.converted(stream, port.layout, "output")

    def single(self, stream: SSAValue, layer: str) -> SSAValue:
        """The stream with an element per beat."""
        return self.converted(stream, SINGLE, layer)

    def converted(self, stream: SSAValue, layout: Layout, layer: str) -> SSAValue:
        """The stream in another layout."""
        if stream_of(stream).layout == layout:
            return stream
        return self.add(LanesOp(stream, layout, layer))

    def lower(self, op: Operation) -> None:
        """Lower one layer."""
        if isinstance(op, ReturnOp):
            self.block.add_op(ReturnOp(*(self.output(o) for o in op.operands)))
        elif isinstance(op, QnnOp) and not isinstance(op, ConstantOp):
            rule = RULES.find(op)
            if rule is None:
                raise NoRule(op.layer_name, op.name, "streaming form", "streams")
            self.publish(op.result, rule(self, op))


RULES = Rules[Partition, SSAValue]()
streams = RULES.on
"""Register how ops of a class become processes."""


def _is_port(stream: SSAValue) -> bool:
    """Whether a stream is an input, perhaps with other lanes or in another shape."""
    while isinstance(stream.owner, LanesOp | ReshapeOp):
        stream = stream.owner.x
    return isinstance(stream.owner, Block)


def _layer(owner: Operation | Block) -> str:
    return owner.layer_name if isinstance(owner, QnnOp) else "input"
