"""How interpolated images become processes."""

from __future__ import annotations

from xdsl.ir import SSAValue

from calocc.dialects.dataflow.interpolate import InterpolateOp
from calocc.dialects.dataflow.process import epilogue_region
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.qnn.interpolate import InterpolateOp as QnnInterpolateOp
from calocc.dialects.qnn.op import shape_of
from calocc.passes.partitioning.partition import Partition, streams


@streams(QnnInterpolateOp)
def _interpolate(partition: Partition, op: QnnInterpolateOp) -> SSAValue:
    """One process."""
    result = StreamType.of(shape_of(op.result), op.out)
    epilogue = epilogue_region([op.out])
    x = partition.take(op.x)
    return partition.add(InterpolateOp(x, op.size, epilogue, result, op.layer_name))
