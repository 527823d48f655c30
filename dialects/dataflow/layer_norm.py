"""`dataflow.layer_norm`: normalisation of each row by the integer recipe of `qnn.layer_norm`."""

from __future__ import annotations

from xdsl.dialects.builtin import I64, IntegerAttr, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.layout import SINGLE, Layout
from calocc.dialects.dataflow.process import (
    Folding,
    Mantissas,
    ProcessOp,
    multiplier_of,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.qnn.layer_norm import (
    ROOT_FRAC,
    integer_layer_norm,
    most_spread,
    reciprocal_roots,
    verify_recipe,
)
from calocc.dialects.qnn.op import name_attr


@irdl_op_definition
class LayerNormOp(ProcessOp):
    """Normalisation over the last axis, one element at a time."""

    name = "dataflow.layer_norm"
    x = operand_def(StreamType)
    offset = prop_def(IntegerAttr[I64])
    frac = prop_def(IntegerAttr[I64])
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, offset: int, frac: int, result: StreamType, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={
                "offset": IntegerAttr(offset, i64),
                "frac": IntegerAttr(frac, i64),
                "layer": name_attr(layer),
            },
            result_types=[result],
        )

    @property
    def length(self) -> int:
        """Elements of a row."""
        return self.result.type.shape[-1]

    @property
    def shift(self) -> int:
        """Fraction bits of the recipe that the operand lacks."""
        return self.frac.value.data - stream_of(self.x).format.frac

    @property
    def most_spread(self) -> int:
        """A bound of what the root is taken of."""
        x = stream_of(self.x).format
        return most_spread(x, self.length, self.offset.value.data, self.frac.value.data)

    def verify_(self) -> None:
        """One lane, and enough bits."""
        x, y = stream_of(self.x), self.result.type
        if (x.width, y.width) != (1, 1):
            raise VerifyException("layer_norm takes one element at a time")
        if x.shape != y.shape:
            raise VerifyException("layer_norm keeps the shape")
        offset, frac = self.offset.value.data, self.frac.value.data
        verify_recipe(x.format, self.length, offset, frac, y.format)

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The integer recipe."""
        out = self.result.type.format
        return (integer_layer_norm(args[0], self.shift, self.offset.value.data, out),)

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Always one lane."""
        return Folding((SINGLE,), (SINGLE,))

    def schedule(self) -> Schedule:
        """Two passes over each row."""
        return schedules.layer_norm(self.result.type.size // self.length, self.length)

    def resources(self) -> Resources:
        """The row, the table, and the multipliers."""
        return resources.layer_norm(
            self.length,
            stream_of(self.x).format.width,
            self.most_spread.bit_length(),
            (len(reciprocal_roots()), ROOT_FRAC + 1),
            multiplier_of(self),
        )
