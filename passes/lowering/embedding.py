"""How rows of a table are lowered."""

from __future__ import annotations

from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.op import format_of
from calocc.passes.lowering.constants import FLOAT32_BITS, exact_width
from calocc.passes.lowering.errors import FractionalIndices, UnquantizedTable
from calocc.passes.lowering.lowering import Lowering, lowers


@lowers(EmbeddingOp)
def embedding(lowering: Lowering, op: EmbeddingOp) -> None:
    """Exact, of a table that has few bits and of indices that are integers."""
    if (width := exact_width(lowering.constant_values(op.w))) > FLOAT32_BITS:
        raise UnquantizedTable(op.layer_name, width, FLOAT32_BITS)
    if (format := format_of(lowering.operand(op.x))).frac > 0:
        raise FractionalIndices(op.layer_name, format)
    lowering.exact(op)
