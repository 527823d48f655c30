"""How element-wise layers become processes."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.ir import Block, Region, SSAValue

from calocc.dialects.dataflow.compute import MapOp, MatvecOp
from calocc.dialects.dataflow.layout import image_of
from calocc.dialects.dataflow.process import epilogue_region
from calocc.dialects.dataflow.routing import ReshapeOp, UpsampleOp
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed import ops as scalar
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import ElementwiseOp
from calocc.dialects.qnn.op import QnnOp, format_of, shape_of
from calocc.passes.partitioning.partition import NotStreamable, Partition, streams


@streams(ElementwiseOp)
def _elementwise(partition: Partition, op: ElementwiseOp) -> SSAValue:
    """A map whose constants vary by channel at most."""
    block = Block()
    inputs: list[SSAValue] = []
    arguments: list[SSAValue] = []
    for operand in op.operands:
        if isinstance(operand.owner, ConstantOp):
            arguments.append(channel_constant(block, op, operand.owner))
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

    (C,) over (..., C) repeats the row of C elements, down and across; (..., 1) over (..., C) is a
    product with a row of ones, which gives as many copies at once as whoever takes them wants.
    """
    stream, wanted = partition.take(operand), shape_of(op.result)
    have = (1,) * (len(wanted) - len(shape_of(operand))) + shape_of(operand)
    if have == wanted:
        return stream
    spread = [k for k, (a, b) in enumerate(zip(have, wanted, strict=True)) if a != b]
    times = prod(wanted) // prod(have)
    if prod(have[: spread[-1] + 1]) == 1:
        stream = partition.add(ReshapeOp(stream, (1, 1, prod(have)), op.layer_name))
        rows, width, channels = image_of(wanted)
        factors = (rows, width) if channels == prod(have) else (times, 1)
        stream = partition.add(UpsampleOp(stream, factors, op.layer_name))
    elif prod(have[spread[0] :]) == 1:
        stream = partition.add(ReshapeOp(stream, (prod(have), 1), op.layer_name))
        stream = partition.add(_copied(stream, times, op.layer_name))
    else:
        raise NotStreamable(
            op.layer_name,
            f"it spreads a computed tensor {shape_of(operand)} over {wanted}",
            "bring both operands to the same shape in the model",
        )
    if stream_of(stream).shape == wanted:
        return stream
    return partition.add(ReshapeOp(stream, wanted, op.layer_name))


def _copied(x: SSAValue, times: int, layer: str) -> MatvecOp:
    """Each element of (N, 1) so often in (N, times)."""
    format, ones = stream_of(x).format, BlobAttr.of(np.ones((1, times), np.int64))
    result = StreamType.of((stream_of(x).shape[0], times), format)
    return MatvecOp(x, ones, Format(False, 1, 1), epilogue_region([format]), result, layer)


def channel_constant(block: Block, op: QnnOp, constant: ConstantOp) -> SSAValue:
    """A constant of one value, or one per channel, as a scalar constant of a block."""
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
