"""How sums of taps become processes."""

from __future__ import annotations

from xdsl.ir import SSAValue

from calocc.dialects.dataflow.layout import Layout
from calocc.dialects.dataflow.process import epilogue_region
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.dataflow.tap_sum import TapSumOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.tap_sum import TapSumOp as QnnTapSumOp
from calocc.passes.partitioning.partition import Partition, streams


@streams(QnnTapSumOp)
def _tap_sum(partition: Partition, op: QnnTapSumOp) -> SSAValue:
    """One process, which takes all taps of a sum in a beat."""
    taps, epilogue = op.geometry, epilogue_region([op.out])
    x = partition.converted(partition.take(op.x), Layout(taps.count), op.layer_name)
    result = StreamType.of(shape_of(op.result), op.out)
    return partition.add(TapSumOp(x, op.along, taps, epilogue, result, op.layer_name))
