"""How running sums get bounds, become processes, and are written in C++."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.codegen.vitis.emitter import Emitter, emits
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.qnn.op import Reals, shape_of
from calocc.passes.lowering.deviation import Operand, deviates
from calocc.passes.partitioning.partition import Partition, streams
from calocc_running.ops import RunningSumOp, SumOp


@deviates(SumOp)
def _deviation(operands: Sequence[Operand], op: SumOp) -> Reals:
    """Each row may add its deviation to the last sum."""
    return np.asarray(operands[0].deviation * shape_of(op.x)[0])


@streams(SumOp)
def _process(partition: Partition, op: SumOp) -> SSAValue:
    """One process."""
    result = StreamType.of(shape_of(op.result), op.out)
    return partition.add(RunningSumOp(partition.take(op.x), result, op.layer_name))


@emits(RunningSumOp)
def _kernel(state: Emitter, op: RunningSumOp) -> None:
    """A call of `nnet::running_sum` with the sizes in its config struct."""
    rows, channels = op.result.type.shape
    state.config(op).define(n_rows=rows, n_chan=channels)
    state.call(op)
