"""How a layer normalisation becomes a process."""

from __future__ import annotations

from xdsl.ir import SSAValue

from calocc.dialects.dataflow.layer_norm import LayerNormOp
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.qnn.layer_norm import LayerNormOp as QnnLayerNormOp
from calocc.dialects.qnn.op import shape_of
from calocc.passes.partitioning.partition import Partition, streams


@streams(QnnLayerNormOp)
def _layer_norm(partition: Partition, op: QnnLayerNormOp) -> SSAValue:
    result = StreamType.of(shape_of(op.result), op.out)
    return partition.add(LayerNormOp(partition.take(op.x), *op.stated, result, op.layer_name))
