"""`dataflow.interpolate`: bilinear interpolation between the pixels of two rows."""

from __future__ import annotations

import numpy as np
from xdsl.ir import Region, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, region_def, result_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.compute import epilogue_resources
from calocc.dialects.dataflow.process import (
    Mantissas,
    UniformWholeOp,
    multiplier_of,
    run_epilogue,
    verify_epilogue,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.ops import format_of
from calocc.dialects.qnn.conv import INTS, int_array
from calocc.dialects.qnn.interpolate import stretches
from calocc.dialects.qnn.movement import upsampled
from calocc.dialects.qnn.op import name_attr
from calocc.dialects.qnn.stretch import Stretch


@irdl_op_definition
class InterpolateOp(UniformWholeOp):
    """An image (H, W, C) to its sums of `qnn.interpolate`, then the epilogue.

    Two rows are held. Columns of them are weighted first, then two neighbouring results.
    """

    name = "dataflow.interpolate"
    x = operand_def(StreamType)
    factors = prop_def(INTS)
    result = result_def(StreamType)
    epilogue = region_def("single_block")
    assembly_format = "$x attr-dict `:` functional-type(operands, results) $epilogue"

    def __init__(
        self,
        x: SSAValue,
        factors: tuple[int, int],
        epilogue: Region,
        result: StreamType,
        layer: str = "",
    ):
        super().__init__(
            operands=[x],
            regions=[epilogue],
            properties={"factors": int_array(factors), "layer": name_attr(layer)},
            result_types=[result],
        )

    @property
    def axes(self) -> tuple[Stretch, Stretch]:
        """How rows and columns grow."""
        down, across = self.factors.get_values()
        return stretches(stream_of(self.x).shape, (down, across))

    @property
    def accumulator(self) -> Format:
        """The format that holds every sum."""
        return format_of(self.epilogue.block.args[0])

    @property
    def column(self) -> Format:
        """The format that holds the weighted pixels of two rows."""
        x, grown = stream_of(self.x).format, (self.axes[0].unit - 1).bit_length()
        return Format(x.signed, x.width + grown, x.integer + grown)

    def verify_(self) -> None:
        """The image grows by the factors; the accumulator keeps every fraction bit."""
        super().verify_()
        x, shape = stream_of(self.x), upsampled(stream_of(self.x).shape, self.factors.get_values())
        if self.result.type.shape != shape:
            raise VerifyException(f"{self.name} yields {shape}, not {self.result.type.shape}")
        verify_epilogue(self, self.epilogue, 1, self.result.type)
        if self.accumulator.frac < x.format.frac:
            raise VerifyException(f"the accumulator needs {x.format.frac} fraction bits")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The sums, then the epilogue."""
        rows, columns = self.axes
        sums = columns.apply(rows.apply(args[0], 1), 2)
        value = align(sums, stream_of(self.x).format.frac, self.accumulator.frac)
        return (run_epilogue(self.epilogue, value),)

    def trips(self, lanes: int) -> int:
        """An iteration per beat of the result."""
        return self.result.type.size // lanes

    def axis(self) -> int:
        """The channels."""
        return self.result.type.shape[-1]

    def schedule(self) -> Schedule:
        """Reads a pixel at its first use."""
        return schedules.interpolate(*self.axes, self.axis() // self.width)

    def last_inputs(self) -> tuple[Mantissas, ...]:
        """At least the pixel before the one that is enlarged to this place, in row and column."""
        places = (np.arange(a.length * a.factor) // a.factor - 1 for a in self.axes)
        rows, columns = (np.maximum(p, 0) for p in places)
        return (np.add.outer(rows * self.axes[1].length, columns).ravel(),)

    def registers(self) -> int:
        """The two neighbours of every channel of a lane, or the lanes."""
        return max(self.axis() // self.width, super().registers())

    def resources(self) -> Resources:
        """Two rows, two multipliers per lane, the neighbours, and the epilogue."""
        rows, columns = self.axes
        x, folds = stream_of(self.x), self.axis() // self.width
        core = resources.interpolate(
            lanes=self.width,
            words=2 * columns.length * folds if rows.factor > 1 else 0,
            channels=self.axis(),
            share_widths=(rows.unit.bit_length(), columns.unit.bit_length()),
            widths=(x.format.width, self.column.width, self.accumulator.width),
            ports=multiplier_of(self),
        )
        return core + epilogue_resources(self.epilogue, self.width)
