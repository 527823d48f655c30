"""How rows of a table become a process."""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from calocc.dialects.dataflow.embedding import EmbeddingOp
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.fixed.exact import align
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.embedding import EmbeddingOp as QnnEmbeddingOp
from calocc.dialects.qnn.op import Mantissas, format_of, shape_of
from calocc.passes.partitioning.partition import NotStreamable, Partition, streams


@streams(QnnEmbeddingOp)
def _embedding(partition: Partition, op: QnnEmbeddingOp) -> SSAValue:
    """A process that holds the table in the format of its result."""
    if not isinstance(op.w.owner, ConstantOp):
        raise NotStreamable(op.layer_name, "its table is computed", "use a constant table")
    result = StreamType.of(shape_of(op.result), op.out)
    table = _reachable(op, op.w.owner)
    return partition.add(EmbeddingOp(partition.take(op.x), table, result, op.layer_name))


def _reachable(op: QnnEmbeddingOp, weights: ConstantOp) -> Mantissas:
    """The rows up to the largest index. Those that no index asks for need not fit the result's
    format, and are zeros if they do not."""
    table = align(weights.evaluate_fixed(), weights.out.frac, op.out.frac)
    fits = (table >= op.out.min_mantissa) & (table <= op.out.max_mantissa)
    last = format_of(op.x).max_mantissa << -format_of(op.x).frac
    return np.where(fits.all(axis=1, keepdims=True), table, 0)[: last + 1]
