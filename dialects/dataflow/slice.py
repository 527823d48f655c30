"""`dataflow.slice`: passes a range of one axis on and drops the rest."""

from __future__ import annotations

from math import gcd, prod

from xdsl.dialects.builtin import I64, IntegerAttr, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import schedules
from calocc.dialects.dataflow.process import Mantissas
from calocc.dialects.dataflow.routing import UniformRelayOp
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.qnn.op import name_attr
from calocc.dialects.qnn.slice import sliced


@irdl_op_definition
class SliceOp(UniformRelayOp):
    """Elements `start` to `stop - 1` along `axis` (batch axis not counted)."""

    name = "dataflow.slice"
    along = prop_def(IntegerAttr[I64], prop_name="axis")
    start = prop_def(IntegerAttr[I64])
    stop = prop_def(IntegerAttr[I64])

    def __init__(self, x: SSAValue, axis: int, start: int, stop: int, layer: str = ""):
        stream = stream_of(x)
        shape = sliced(stream.shape, axis, start, stop)
        super().__init__(
            operands=[x],
            properties={
                "axis": IntegerAttr(axis, i64),
                "start": IntegerAttr(start, i64),
                "stop": IntegerAttr(stop, i64),
                "layer": name_attr(layer),
            },
            result_types=[StreamType.of(shape, stream.format, stream.width)],
        )

    @property
    def range(self) -> tuple[int, int, int]:
        """Axis, start and stop."""
        return self.along.value.data, self.start.value.data, self.stop.value.data

    @property
    def rows(self) -> tuple[int, int, int, int]:
        """Rows, elements per row, first element passed on, number passed on."""
        axis, start, stop = self.range
        shape = stream_of(self.x).shape
        outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
        return outer, shape[axis] * inner, start * inner, (stop - start) * inner

    def verify_(self) -> None:
        """The result is the range of the operand, in its format."""
        super().verify_()
        x, y = stream_of(self.x), self.result.type
        if y.shape != sliced(x.shape, *self.range) or y.format != x.format:
            raise VerifyException(f"a slice of {x} is not {y}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Slice, not counting the batch axis."""
        axis, start, stop = self.range
        return (args[0].swapaxes(0, axis + 1)[start:stop].swapaxes(0, axis + 1),)

    def trips(self, lanes: int) -> int:
        """An iteration per beat of the operand."""
        return stream_of(self.x).size // lanes

    def axis(self) -> int:
        """What divides the last axis of both streams and the place of the range."""
        _, _, first, count = self.rows
        last = gcd(stream_of(self.x).shape[-1], self.result.type.shape[-1])
        return gcd(last, first, count)

    def schedule(self) -> Schedule:
        """Reads every beat, writes those in the range."""
        outer, inner, first, count = self.rows
        return schedules.slice_(outer, *(n // self.width for n in (inner, first, count)))
