"""`partition-streams`: layers on tensors become processes joined by streams.

Every stream inside carries one element per beat; `balance` widens them. The streams at the ports
carry one pixel (the last axis) per beat, as hls4ml's `io_stream` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import TypeVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ports import (
    input_ports,
    main_function,
    output_ports,
    replace_body,
    set_ports,
)
from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp, SoftmaxOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.process import DataflowOp, epilogue_region
from calocc.dialects.dataflow.routing import (
    BufferOp,
    ConcatOp,
    ForkOp,
    LanesOp,
    PadOp,
    ReshapeOp,
    UpsampleOp,
    WindowOp,
)
from calocc.dialects.dataflow.slice import SliceOp
from calocc.dialects.dataflow.stream import StreamType, port_stream, stream_of
from calocc.dialects.fixed import ops as scalar
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp as QnnDepthwiseOp
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.movement import ConcatOp as QnnConcatOp
from calocc.dialects.qnn.movement import PadOp as QnnPadOp
from calocc.dialects.qnn.movement import ReshapeOp as QnnReshapeOp
from calocc.dialects.qnn.movement import TransposeOp
from calocc.dialects.qnn.movement import UpsampleOp as QnnUpsampleOp
from calocc.dialects.qnn.op import QnnOp, format_of, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.slice import SliceOp as QnnSliceOp
from calocc.dialects.qnn.softmax import SoftmaxOp as QnnSoftmaxOp


@dataclass(eq=False)
class NotStreamable(CaloccError):
    """A layer that cannot work on data that stream by."""

    layer: str
    reason: str
    advice: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return self.reason

    @property
    def hint(self) -> str:
        return self.advice


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
        self.publish(argument, self.lanes(stream, 1, argument.name_hint or "input"))

    def output(self, value: SSAValue) -> SSAValue:
        """A port that takes a pixel per beat; an input never reaches it without a process."""
        stream = self.take(value)
        if _is_port(stream):
            region = epilogue_region([format_of(value)])
            stream = self.add(MapOp([stream], region, stream_of(stream), "output"))
        port = port_stream(stream_of(stream).shape, stream_of(stream).format)
        return self.lanes(stream, port.width, "output")

    def lanes(self, stream: SSAValue, lanes: int, layer: str) -> SSAValue:
        """The stream with another number of lanes."""
        if stream_of(stream).width == lanes:
            return stream
        return self.add(LanesOp(stream, lanes, layer))

    def lower(self, op: Operation) -> None:
        """Lower one layer."""
        if isinstance(op, ReturnOp):
            self.block.add_op(ReturnOp(*(self.output(o) for o in op.operands)))
        elif isinstance(op, QnnOp) and not isinstance(op, ConstantOp):
            rule = next((r for kind, r in RULES if isinstance(op, kind)), None)
            if rule is None:
                raise TypeError(f"{op.name} has no streaming form")
            self.publish(op.result, rule(self, op))


Op = TypeVar("Op", bound=QnnOp)
Rule = Callable[[Partition, QnnOp], SSAValue]
RULES: list[tuple[type[QnnOp], Rule]] = []


def streams(
    kind: type[Op],
) -> Callable[[Callable[[Partition, Op], SSAValue]], Callable[[Partition, Op], SSAValue]]:
    """Register how ops of a class become processes."""

    def register(
        rule: Callable[[Partition, Op], SSAValue],
    ) -> Callable[[Partition, Op], SSAValue]:
        def guarded(partition: Partition, op: QnnOp) -> SSAValue:
            assert isinstance(op, kind)
            return rule(partition, op)

        RULES.append((kind, guarded))
        return rule

    return register


@streams(ElementwiseOp)
def _elementwise(partition: Partition, op: ElementwiseOp) -> SSAValue:
    """A map whose constants vary by channel at most."""
    block = Block()
    inputs: list[SSAValue] = []
    arguments: list[SSAValue] = []
    for operand in op.operands:
        if isinstance(operand.owner, ConstantOp):
            arguments.append(_channel_constant(block, op, operand.owner))
        else:
            inputs.append(_spread(partition, op, operand))
            type = FixedType.of(format_of(operand))
            arguments.append(block.insert_arg(type, len(block.args)))
    result = op.scalar(arguments, op.out)
    block.add_ops([result, scalar.YieldOp(result)])
    stream = StreamType.of(shape_of(op.result), op.out)
    return partition.add(MapOp(inputs, Region(block), stream, op.layer_name))


def _spread(partition: Partition, op: QnnOp, operand: SSAValue) -> SSAValue:
    """The operand repeated to the shape of the result: whole per row, or each element per column.

    (C,) over (..., C) repeats the row of C elements; (..., 1) over (..., C) repeats each element.
    """
    stream, wanted = partition.take(operand), shape_of(op.result)
    have = (1,) * (len(wanted) - len(shape_of(operand))) + shape_of(operand)
    if have == wanted:
        return stream
    spread = [k for k, (a, b) in enumerate(zip(have, wanted, strict=True)) if a != b]
    times = prod(wanted) // prod(have)
    if prod(have[: spread[-1] + 1]) == 1:
        image, factors = (1, 1, prod(have)), (times, 1)
    elif prod(have[spread[0] :]) == 1:
        image, factors = (1, prod(have), 1), (1, times)
    else:
        raise NotStreamable(
            op.layer_name,
            f"it spreads a computed tensor {shape_of(operand)} over {wanted}",
            "bring both operands to the same shape in the model",
        )
    stream = partition.add(ReshapeOp(stream, image, op.layer_name))
    stream = partition.add(UpsampleOp(stream, factors, op.layer_name))
    return partition.add(ReshapeOp(stream, wanted, op.layer_name))


def _channel_constant(block: Block, op: QnnOp, constant: ConstantOp) -> SSAValue:
    values = constant.value.numpy()
    if values.size != 1 and values.size != values.shape[-1]:
        raise NotStreamable(
            op.layer_name,
            f"its parameters {values.shape} differ from pixel to pixel",
            "share them over all axes but the last (shared_axes in Keras)",
        )
    flat = values.reshape(() if values.size == 1 else (-1,))
    new = scalar.ConstantOp(BlobAttr.of(flat), constant.out)
    block.add_op(new)
    return new.result


def _weights(value: SSAValue, layer: str) -> ConstantOp:
    if not isinstance(value.owner, ConstantOp):
        raise NotStreamable(layer, "its weights are computed", "use a layer with constant weights")
    return value.owner


def _matvec(partition: Partition, op: QnnOp, x: SSAValue, weights: ConstantOp) -> SSAValue:
    values = weights.value.numpy()
    matrix = BlobAttr.of(values.reshape(-1, values.shape[-1]))
    result = StreamType.of(shape_of(op.result), op.out)
    return partition.add(
        MatvecOp(x, matrix, weights.out, epilogue_region([op.out]), result, op.layer_name)
    )


@streams(DenseOp)
def _dense(partition: Partition, op: DenseOp) -> SSAValue:
    """One matvec."""
    return _matvec(partition, op, partition.take(op.x), _weights(op.w, op.layer_name))


@streams(ConvOp)
def _conv(partition: Partition, op: ConvOp) -> SSAValue:
    """Windows, then a matvec on each; a 1 x 1 convolution needs no windows."""
    x, window = partition.take(op.x), op.window
    if window.taps > 1 or window.strides != (1, 1) or window.padding:
        x = partition.add(WindowOp(x, window, layer=op.layer_name))
    return _matvec(partition, op, x, _weights(op.w, op.layer_name))


@streams(QnnDepthwiseOp)
def _depthwise(partition: Partition, op: QnnDepthwiseOp) -> SSAValue:
    """Windows, then a weighted sum per channel of each."""
    weights = _weights(op.w, op.layer_name)
    x = partition.add(WindowOp(partition.take(op.x), op.window, layer=op.layer_name))
    values = weights.value.numpy()
    taps = BlobAttr.of(values.reshape(-1, *values.shape[2:]))
    multiplier = values.shape[-1]
    result = StreamType.of(shape_of(op.result), op.out, multiplier)
    epilogue = epilogue_region([op.out])
    y = DepthwiseOp(x, taps, weights.out, epilogue, result, op.layer_name)
    return partition.lanes(partition.add(y), 1, op.layer_name)


@streams(PoolOp)
def _pool(partition: Partition, op: PoolOp) -> SSAValue:
    """Windows, then a reduction of each; a global pool needs no windows."""
    x, window = partition.take(op.x), op.window
    if (window.height, window.width) != shape_of(op.x)[:2] or window.padding:
        lowest = format_of(op.x).min_mantissa if op.kind.data is Pooling.MAX else 0
        x = partition.add(WindowOp(x, window, lowest, op.layer_name))
    result = StreamType.of(shape_of(op.result), op.out)
    epilogue = epilogue_region([op.out])
    return partition.add(ReduceOp(x, op.kind.data, epilogue, result, op.layer_name))


@streams(QnnSoftmaxOp)
def _softmax(partition: Partition, op: QnnSoftmaxOp) -> SSAValue:
    assert op.table is not None
    result = StreamType.of(shape_of(op.result), op.out)
    return partition.add(SoftmaxOp(partition.take(op.x), op.table, result, op.layer_name))


@streams(QnnConcatOp)
def _concat(partition: Partition, op: QnnConcatOp) -> SSAValue:
    """Operands in the result's format, joined two by two."""
    first, *others = (_cast(partition, partition.take(a), op.out, op.layer_name) for a in op.args)
    for other in others:
        first = partition.add(ConcatOp(first, other, op.axis.value.data, op.layer_name))
    return first


def _cast(partition: Partition, x: SSAValue, out: Format, layer: str) -> SSAValue:
    """The stream in a format that holds all its values."""
    stream = stream_of(x)
    if stream.format == out:
        return x
    region = epilogue_region([stream.format])
    block = region.block
    widened = scalar.QuantizeOp(block.args[0], out, Rounding.TRN, Overflow.WRAP)
    last = block.last_op
    assert last is not None
    last.detach()
    last.erase()
    block.add_ops([widened, scalar.YieldOp(widened)])
    return partition.add(MapOp([x], region, StreamType.of(stream.shape, out), layer))


@streams(QnnPadOp)
def _pad(partition: Partition, op: QnnPadOp) -> SSAValue:
    return partition.add(PadOp(partition.take(op.x), op.edges, op.layer_name))


@streams(QnnSliceOp)
def _slice(partition: Partition, op: QnnSliceOp) -> SSAValue:
    return partition.add(SliceOp(partition.take(op.x), *op.range, op.layer_name))


@streams(QnnUpsampleOp)
def _upsample(partition: Partition, op: QnnUpsampleOp) -> SSAValue:
    down, across = op.factors.get_values()
    return partition.add(UpsampleOp(partition.take(op.x), (down, across), op.layer_name))


@streams(QnnReshapeOp)
def _reshape(partition: Partition, op: QnnReshapeOp) -> SSAValue:
    return partition.add(ReshapeOp(partition.take(op.x), shape_of(op.result), op.layer_name))


@streams(TransposeOp)
def _transpose(partition: Partition, op: TransposeOp) -> SSAValue:
    permutation = op.permutation.get_values()
    return partition.add(BufferOp(partition.take(op.x), permutation, op.layer_name))


def _is_port(stream: SSAValue) -> bool:
    """Whether a stream is an input, perhaps with other lanes or in another shape."""
    while isinstance(stream.owner, LanesOp | ReshapeOp):
        stream = stream.owner.x
    return isinstance(stream.owner, Block)


def _layer(owner: Operation | Block) -> str:
    return owner.layer_name if isinstance(owner, QnnOp) else "input"


@dataclass(frozen=True)
class PartitionStreams(ModulePass):
    """Turn layers on tensors into processes joined by streams."""

    name = "partition-streams"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rebuild `main` in place; it must be on fixed-point numbers."""
        inputs, outputs = input_ports(op), output_ports(op)
        function = main_function(op)
        partition = Partition()
        for argument in function.args:
            partition.input(argument)
        for layer in function.body.block.ops:
            partition.lower(layer)
        replace_body(function, partition.block)
        set_ports(function, inputs, outputs)
