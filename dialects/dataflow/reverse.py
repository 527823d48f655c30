"""`dataflow.reverse`: the rows of a tensor in the opposite order."""

from __future__ import annotations

from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.process import Mantissas
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.routing import UniformRelayOp, verify_result
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import stream_of
from calocc.dialects.qnn.op import name_attr
from calocc.dialects.qnn.reverse import reversed_rows


@irdl_op_definition
class ReverseOp(UniformRelayOp):
    """A whole tensor (T, ..., C) in, then out from its last row to its first."""

    name = "dataflow.reverse"

    def __init__(self, x: SSAValue, layer: str = ""):
        stream = stream_of(x)
        reversed_rows(stream.shape)
        super().__init__(
            operands=[x], properties={"layer": name_attr(layer)}, result_types=[stream]
        )

    def verify_(self) -> None:
        """The result has the operand's shape."""
        super().verify_()
        verify_result(self, reversed_rows(stream_of(self.x).shape))

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Reverse the axis behind the batch."""
        return (args[0][:, ::-1],)

    def schedule(self) -> Schedule:
        """All in, then all out."""
        return schedules.buffer(1, self.result.type.beats)

    def trips(self, lanes: int) -> int:
        """Every beat comes and goes."""
        return 2 * self.result.type.size // lanes

    def resources(self) -> Resources:
        """Storage for the tensor."""
        y = self.result.type
        return resources.memory(y.beats, y.width * y.format.width) + super().resources()
