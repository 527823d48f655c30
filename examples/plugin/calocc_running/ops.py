"""The dialect `running`: the sum of all rows so far, as a layer and as a process."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Dialect, SSAValue
from xdsl.irdl import base, irdl_op_definition, operand_def, result_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.process import Mantissas, UniformWholeOp
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import (
    QnnOp,
    Reals,
    Shape,
    Value,
    format_of,
    name_attr,
    real_tensor,
    shape_of,
)


@irdl_op_definition
class SumOp(QnnOp):
    """Row t of the result is the sum of rows 0 to t of the operand (T, C).

    ```mlir
    %y = running.sum %x {layer = "energy"} : (tensor<57x6xf32>) -> tensor<57x6xf32>
    ```
    """

    name = "running.sum"
    x = operand_def(base(TensorType))
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: Value, layer: str = ""):
        """Sum a tensor of reals."""
        super().__init__(
            operands=[x],
            properties={"layer": name_attr(layer)},
            result_types=[real_tensor(shape_of(x))],
        )

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The operand's: rows of channels."""
        if len(shapes[0]) != 2:
            raise VerifyException(f"rows of channels are summed, not {shapes[0]}")
        return shapes[0]

    def evaluate_real(self, *args: Reals) -> Reals:
        """Sum float64 rows."""
        return np.cumsum(args[0], axis=1)

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Sum mantissas, exactly."""
        return align(np.cumsum(args[0], axis=1), format_of(self.x).frac, self.out.frac)

    def interval(self, *args: Interval) -> Interval:
        """The sums of the bounds of the rows."""
        bounds = args[0].broadcast(shape_of(self.x))
        return Interval(np.cumsum(bounds.lo, axis=0), np.cumsum(bounds.hi, axis=0), bounds.frac)


@irdl_op_definition
class RunningSumOp(UniformWholeOp):
    """The process: each beat adds to a register per channel and leaves as the new sum."""

    name = "running.running_sum"
    x = operand_def(StreamType)
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, result: StreamType, layer: str = ""):
        super().__init__(
            operands=[x], properties={"layer": name_attr(layer)}, result_types=[result]
        )

    def verify_(self) -> None:
        """The sums keep the shape and every fraction bit."""
        super().verify_()
        x, y = stream_of(self.x), self.result.type
        if x.shape != y.shape or len(x.shape) != 2 or x.format.frac > y.format.frac:
            raise VerifyException(f"running sums do not take {x} to {y}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Sum mantissas, exactly."""
        sums = np.cumsum(args[0], axis=1)
        return (align(sums, stream_of(self.x).format.frac, self.result.type.format.frac),)

    def axis(self) -> int:
        """The channels."""
        return self.result.type.shape[-1]

    def trips(self, lanes: int) -> int:
        """An iteration per beat."""
        return self.result.type.size // lanes

    def schedule(self) -> Schedule:
        """A beat in, a beat out."""
        return schedules.map(self.result.type.beats)

    def resources(self) -> Resources:
        """A register per channel, an adder per lane."""
        return resources.reduce(self.width, self.axis(), self.result.type.format.width)


RUNNING = Dialect("running", [SumOp, RunningSumOp])
