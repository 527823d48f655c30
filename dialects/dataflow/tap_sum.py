"""`dataflow.tap_sum`: sums of the taps of repeated pixels, of which the last few are kept."""

from __future__ import annotations

from math import prod

from xdsl.ir import Region, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, region_def, result_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.compute import epilogue_resources
from calocc.dialects.dataflow.layout import Layout, least_parts
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

    @property
    def takes_any_layout(self) -> bool:
        """The result may leave several pixels at once."""
        return True

    def verify_(self) -> None:
        """Shapes and lanes fit; the accumulator keeps every fraction bit."""
        x, y = stream_of(self.x), self.result.type
        verify_epilogue(self, self.epilogue, 1, y)
        if self.accumulator.frac < x.format.frac:
            raise VerifyException(f"the accumulator needs {x.format.frac} fraction bits")
        if x.layout != self._taken(y.layout) or not x.is_whole:
            lanes = self._taken(y.layout).lanes
            raise VerifyException(f"{y.layout.lanes} sums a beat take {lanes} lanes, not {x.width}")
        if y.layout.pixels > 1 and self.along == 0:
            raise VerifyException("sums along rows leave one pixel at a time")

    def _taken(self, given: Layout) -> Layout:
        return Layout(given.lanes * self.geometry.count)

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The sums, then the epilogue."""
        sums = self.geometry.gather(args[0], self.along + 1)
        value = align(sums, stream_of(self.x).format.frac, self.accumulator.frac)
        return (run_epilogue(self.epilogue, value),)

    def beats_kept(self, lanes: int) -> int:
        """Beats at each place of the axis, with these lanes of the result."""
        return self.inner * self.channels // lanes

    def trips(self, given: Layout) -> int:
        """Iterations per event with this layout of the result."""
        steps = self.geometry.steps(given.pixels)[2]
        return self.outer * steps * self.beats_kept(given.lanes)

    def _foldings(self) -> list[Layout]:
        """Layouts that the result may have: parts of a pixel, then, along a row, several pixels."""
        x, y, count = stream_of(self.x), self.result.type, self.geometry.count
        most = max(min(most_lanes(x) // count, most_lanes(y)), 1)
        parts = [Layout(n) for n in divisors(self.channels) if n <= most]
        if self.along == 0 or parts[-1].lanes < self.channels:
            return parts
        several = (Layout(self.channels, n) for n in least_parts(self.geometry.outputs)[1:])
        return parts + [layout for layout in several if layout.width <= most_lanes(y)]

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Keep what the producer offers if it has whole sums and is fast enough."""
        legal = self._foldings()
        kept = next((x for x in legal if self._taken(x) == offered[0]), legal[0])
        given = choose(legal, self.trips, target, kept)
        return Folding((self._taken(given),), (given,))

    def schedule(self) -> Schedule:
        """Outputs leave with the last pixel that they need."""
        given = self.result.type.layout
        beats = self.beats_kept(given.lanes)
        return schedules.tap_sum(self.geometry, self.outer, beats, given.pixels)

    def registers(self) -> int:
        """The lanes, or the beats of a short ring."""
        beats = self.beats_kept(self.result.type.layout.lanes)
        return max(beats if beats < resources.SHORTEST_RING else 1, super().registers())

    def resources(self) -> Resources:
        """What is kept of pixels, a choice among them for each tap, adders, and the epilogue."""
        given, taps = self.result.type.layout, self.geometry
        core = resources.tap_sum(
            lanes=given.lanes,
            taps=taps.count,
            span=taps.span(given.pixels),
            beats=self.beats_kept(given.lanes),
            data_width=stream_of(self.x).format.width,
            acc_width=self.accumulator.width,
            pixels=given.pixels,
        )
        return core + epilogue_resources(self.epilogue, given.width)
