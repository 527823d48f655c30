"""`dataflow.tap_sum`: sums of the taps of repeated pixels, of which the last few are kept."""

from __future__ import annotations

from math import prod

from xdsl.ir import Region, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, region_def, result_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.compute import epilogue_resources
from calocc.dialects.dataflow.layout import Layout
from calocc.dialects.dataflow.process import (
    Folding,
    Mantissas,
    ProcessOp,
    choose,
    divisors,
    most_lanes,
    run_epilogue,
    verify_epilogue,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.ops import format_of
from calocc.dialects.qnn.op import name_attr
from calocc.dialects.qnn.tap_sum import TapsOp, taps_of, taps_properties
from calocc.dialects.qnn.taps import Taps


@irdl_op_definition
class TapSumOp(TapsOp, ProcessOp):
    """An image (H, W, M * taps) to the sums of `qnn.tap_sum`, then the epilogue.

    A beat of the operand has all taps of the channels in a beat of the result.
    """

    name = "dataflow.tap_sum"
    x = operand_def(StreamType)
    result = result_def(StreamType)
    epilogue = region_def("single_block")
    assembly_format = "$x attr-dict `:` functional-type(operands, results) $epilogue"

    def __init__(
        self,
        x: SSAValue,
        axis: int,
        taps: Taps,
        epilogue: Region,
        result: StreamType,
        layer: str = "",
    ):
        super().__init__(
            operands=[x],
            regions=[epilogue],
            properties={**taps_properties(axis, taps), "layer": name_attr(layer)},
            result_types=[result],
        )

    @property
    def along(self) -> int:
        """The axis, batch axis not counted."""
        return self.axis.value.data

    @property
    def geometry(self) -> Taps:
        """Which pixels are under the taps of each output."""
        return taps_of(self, stream_of(self.x).shape, self.result.type.shape)

    @property
    def accumulator(self) -> Format:
        """The format that holds every sum."""
        return format_of(self.epilogue.block.args[0])

    @property
    def channels(self) -> int:
        """Sums per pixel of the result."""
        return self.result.type.shape[-1]

    @property
    def outer(self) -> int:
        """How often the axis is passed in an event."""
        return prod(self.result.type.shape[: self.along])

    @property
    def inner(self) -> int:
        """Pixels at each place of the axis."""
        return prod(self.result.type.shape[self.along + 1 : -1])

    def verify_(self) -> None:
        """Shapes and lanes fit; the accumulator keeps every fraction bit."""
        x, y, taps = stream_of(self.x), self.result.type, self.geometry
        verify_epilogue(self, self.epilogue, 1, y)
        if self.accumulator.frac < x.format.frac:
            raise VerifyException(f"the accumulator needs {x.format.frac} fraction bits")
        if x.width != y.width * taps.count:
            lanes = y.width * taps.count
            raise VerifyException(f"{y.width} sums a beat take {lanes} lanes, not {x.width}")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The sums, then the epilogue."""
        sums = self.geometry.gather(args[0], self.along + 1)
        value = align(sums, stream_of(self.x).format.frac, self.accumulator.frac)
        return (run_epilogue(self.epilogue, value),)

    def beats_kept(self, lanes: int) -> int:
        """Beats at each place of the axis, with these lanes of the result."""
        return self.inner * self.channels // lanes

    def trips(self, lanes: int) -> int:
        """Iterations per event with these lanes of the result."""
        return self.outer * self.geometry.steps[2] * self.beats_kept(lanes)

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Keep what the producer offers if it has whole sums and is fast enough."""
        count = self.geometry.count
        most = min(most_lanes(stream_of(self.x)) // count, most_lanes(self.result.type))
        legal = [Layout(n * count) for n in divisors(self.channels) if n <= max(most, 1)]
        taken = choose(legal, lambda x: self.trips(x.lanes // count), target, offered[0])
        return Folding((taken,), (Layout(taken.lanes // count),))

    def schedule(self) -> Schedule:
        """An output leaves with the last pixel that it needs."""
        return schedules.tap_sum(self.geometry, self.outer, self.beats_kept(self.result.type.width))

    def registers(self) -> int:
        """The lanes, or the beats of a short ring."""
        beats = self.beats_kept(self.result.type.width)
        return max(beats if beats < resources.SHORTEST_RING else 1, super().registers())

    def resources(self) -> Resources:
        """What is kept of pixels, a choice among them for each tap, adders, and the epilogue."""
        lanes, taps = self.result.type.width, self.geometry
        core = resources.tap_sum(
            lanes=lanes,
            taps=taps.count,
            span=taps.span,
            beats=self.beats_kept(lanes),
            data_width=stream_of(self.x).format.width,
            acc_width=self.accumulator.width,
        )
        return core + epilogue_resources(self.epilogue, lanes)
