"""`dataflow.embedding`: reads rows of a table that the process holds."""

from __future__ import annotations

from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.layout import SINGLE, Layout
from calocc.dialects.dataflow.process import (
    Folding,
    Mantissas,
    ProcessOp,
    divisors,
    most_lanes,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.ops import verify_mantissas
from calocc.dialects.qnn.embedding import rows_of
from calocc.dialects.qnn.op import name_attr


@irdl_op_definition
class EmbeddingOp(ProcessOp):
    """Indices (...), one per beat, to rows (..., M) of a table (N, M); zeros for other indices.

    The table has mantissas of the result's format.
    """

    name = "dataflow.embedding"
    x = operand_def(StreamType)
    table = prop_def(BlobAttr)
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, table: Mantissas, result: StreamType, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={"table": BlobAttr.of(table), "layer": name_attr(layer)},
            result_types=[result],
        )

    @property
    def positions(self) -> int:
        """Indices of an event."""
        return stream_of(self.x).size

    @property
    def folds(self) -> int:
        """Beats of a row."""
        return self.table.shape[1] // self.result.type.width

    def verify_(self) -> None:
        """Integers in, one at a time; rows of the result's format out."""
        x, y = stream_of(self.x), self.result.type
        if x.width != 1 or x.format.frac > 0:
            raise VerifyException("embedding takes one integer at a time")
        if len(self.table.shape) != 2 or y.shape != (*x.shape, self.table.shape[1]):
            raise VerifyException(
                f"a table {self.table.shape} does not take {x.shape} to {y.shape}"
            )
        verify_mantissas(self.table, y.format)

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The rows."""
        indices = align(args[0], stream_of(self.x).format.frac, 0)
        return (rows_of(self.table.numpy(), indices),)

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """The fewest columns at once that are fast enough."""
        columns = self.table.shape[1]
        wide = [d for d in divisors(columns) if d <= most_lanes(self.result.type)]
        fast = (d for d in wide if self.positions * (columns // d) <= target)
        return Folding((SINGLE,), (Layout(next(fast, wide[-1])),))

    def schedule(self) -> Schedule:
        """An index is read with the first beat of its row."""
        return schedules.embedding(self.positions, self.folds)

    def resources(self) -> Resources:
        """The table."""
        words = self.table.shape[0] * self.folds
        return resources.embedding(words, self.result.type.bits, stream_of(self.x).format.width)
