"""How recurrent layers become processes."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.ir import Block, Region, SSAValue

from calocc.dialects.dataflow.layout import Layout
from calocc.dialects.dataflow.recurrent import DotOp, NextOp, RecurrentOp, phases_of
from calocc.dialects.dataflow.reverse import ReverseOp
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.op import QnnOp, format_of, shape_of
from calocc.dialects.qnn.recurrent import RecurrentOp as QnnRecurrentOp
from calocc.dialects.qnn.reverse import ReverseOp as QnnReverseOp
from calocc.passes.partitioning.elementwise import channel_constant
from calocc.passes.partitioning.partition import NotStreamable, Partition, streams


@dataclass
class _Unit:
    """The step of one unit, from that of all units."""

    block: Block = field(default_factory=Block)
    values: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])

    def argument(self, value: SSAValue) -> None:
        """Take one element of an argument."""
        type = FixedType.of(format_of(value))
        self.values[value] = self.block.insert_arg(type, len(self.block.args))

    def layer(self, op: QnnOp) -> None:
        """Add what a layer does for one unit; constants are added where they are used."""
        if isinstance(op, ElementwiseOp):
            new = op.scalar([self.operand(op, o) for o in op.operands], op.out)
        elif isinstance(op, DenseOp) and isinstance(weights := op.w.owner, ConstantOp):
            new = DotOp(self.values[op.x], weights.value, weights.out, op.out)
        else:
            reason = f"its step contains {op.name}, which does not act on one unit"
            raise NotStreamable(op.layer_name, reason, "use products and element-wise layers only")
        self.block.add_op(new)
        self.values[op.result] = new.result

    def operand(self, op: QnnOp, value: SSAValue) -> SSAValue:
        """The scalar that stands for a value."""
        if isinstance(value.owner, ConstantOp):
            return channel_constant(self.block, op, value.owner)
        return self.values[value]


@streams(QnnRecurrentOp)
def _recurrent(partition: Partition, op: QnnRecurrentOp) -> SSAValue:
    """One process with the step of one unit."""
    unit = _Unit()
    for argument in op.body.block.args:
        unit.argument(argument)
    for layer in op.layers():
        if not isinstance(layer, ConstantOp):
            unit.layer(layer)
    unit.block.add_op(NextOp([unit.operand(op, value) for value in op.ending.args]))
    try:
        phases_of(unit.block)
    except ValueError as error:
        raise NotStreamable(
            op.layer_name, str(error), "use an LSTM, a GRU or a SimpleRNN"
        ) from None
    result = StreamType.of(shape_of(op.result), op.out)
    x = partition.converted(partition.take(op.x), Layout(len(op.gates)), op.layer_name)
    return partition.add(RecurrentOp(x, Region(unit.block), result, layer=op.layer_name))


@streams(QnnReverseOp)
def _reverse(partition: Partition, op: QnnReverseOp) -> SSAValue:
    return partition.add(ReverseOp(partition.take(op.x), op.layer_name))
