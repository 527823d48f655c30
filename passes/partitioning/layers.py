"""How layers that combine or move elements become processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.dialects.dataflow.compute import MapOp, MatvecOp, ReduceOp, SoftmaxOp
from calocc.dialects.dataflow.depthwise import DepthwiseOp
from calocc.dialects.dataflow.process import epilogue_region, most_lanes
from calocc.dialects.dataflow.routing import (
    BufferOp,
    ConcatOp,
    ForkOp,
    PadOp,
    ReshapeOp,
    UpsampleOp,
    WindowOp,
)
from calocc.dialects.dataflow.slice import SliceOp
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed import ops as scalar
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp as QnnDepthwiseOp
from calocc.dialects.qnn.movement import ConcatOp as QnnConcatOp
from calocc.dialects.qnn.movement import PadOp as QnnPadOp
from calocc.dialects.qnn.movement import ReshapeOp as QnnReshapeOp
from calocc.dialects.qnn.movement import TransposeOp
from calocc.dialects.qnn.movement import UpsampleOp as QnnUpsampleOp
from calocc.dialects.qnn.op import QnnOp, format_of, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.slice import SliceOp as QnnSliceOp
from calocc.dialects.qnn.softmax import SoftmaxOp as QnnSoftmaxOp
from calocc.passes.partitioning.partition import NotStreamable, Partition, streams


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
    """Windows, then a matvec on each; none are made where they come one after the other."""
    x, window, shape = partition.take(op.x), op.window, shape_of(op.x)
    if not window.divides(*shape[:2]):
        x = partition.add(WindowOp(x, window, layer=op.layer_name))
    elif window.taps > 1:
        rows = (*shape_of(op.result)[:2], window.taps * shape[2])
        x = partition.add(ReshapeOp(x, rows, op.layer_name))
    return _matvec(partition, op, x, _weights(op.w, op.layer_name))


@streams(QnnDepthwiseOp)
def _depthwise(partition: Partition, op: QnnDepthwiseOp) -> SSAValue:
    """Windows, then a weighted sum per channel of each.

    The results of a channel leave in one beat; where that would be too wide, several processes have
    some of its kernels each.
    """
    values = _weights(op.w, op.layer_name).value.numpy()
    kernels = values.reshape(-1, *values.shape[2:])
    x = partition.add(WindowOp(partition.take(op.x), op.window, layer=op.layer_name))
    most = most_lanes(StreamType.of(shape_of(op.result), op.out))
    parts = np.array_split(kernels, -(-kernels.shape[2] // most), axis=2)
    if len(parts) == 1:
        return _channelwise(partition, op, x, kernels)
    fork = ForkOp(x, len(parts), op.layer_name)
    partition.block.add_op(fork)
    sums = [_channelwise(partition, op, *pair) for pair in zip(fork.copies, parts, strict=True)]
    return _interleaved(partition, op, sums, kernels.shape[1])


def _channelwise(
    partition: Partition, op: QnnDepthwiseOp, x: SSAValue, kernels: NDArray[np.int64]
) -> SSAValue:
    """The sums of windows with some kernels (taps, C, M)."""
    _, channels, multiplier = kernels.shape
    shape = (*shape_of(op.result)[:-1], channels * multiplier)
    result = StreamType.of(shape, op.out, multiplier)
    format, epilogue = format_of(op.w), epilogue_region([op.out])
    y = DepthwiseOp(x, BlobAttr.of(kernels), format, epilogue, result, op.layer_name)
    return partition.single(partition.add(y), op.layer_name)


def _interleaved(
    partition: Partition, op: QnnOp, parts: Sequence[SSAValue], channels: int
) -> SSAValue:
    """Images whose pixels have some results per channel, side by side for each channel."""
    first, *others = (
        partition.add(ReshapeOp(p, (*shape[:-1], channels, shape[-1] // channels), op.layer_name))
        for p, shape in ((p, stream_of(p).shape) for p in parts)
    )
    for other in others:
        first = partition.add(ConcatOp(first, other, 3, op.layer_name))
    return partition.add(ReshapeOp(first, shape_of(op.result), op.layer_name))


@streams(PoolOp)
def _pool(partition: Partition, op: PoolOp) -> SSAValue:
    """Windows, then a reduction of each; none are made where they come one after the other."""
    x, window = partition.take(op.x), op.window
    if not window.divides(*shape_of(op.x)[:2]):
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
