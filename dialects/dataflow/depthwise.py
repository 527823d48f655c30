"""`dataflow.depthwise`: weighted sums per channel over the taps of a window."""

from __future__ import annotations

from xdsl.irdl import irdl_op_definition

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.compute import WeightedOp, epilogue_resources, signed_width
from calocc.dialects.dataflow.layout import Layout
from calocc.dialects.dataflow.process import (
    Folding,
    Mantissas,
    choose_lanes,
    most_lanes,
    multiplier_of,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import stream_of
from calocc.dialects.qnn.depthwise import channelwise


@irdl_op_definition
class DepthwiseOp(WeightedOp):
    """Windows (..., taps * C) with weights (taps, C, M) to (..., C * M), then the epilogue.

    A beat of L channels gives a beat of L * M results.
    """

    name = "dataflow.depthwise"

    @property
    def multiplier(self) -> int:
        """Results of each channel, which leave in one beat."""
        return self.weights.shape[-1]

    def fits(self) -> bool:
        """Weights are (taps, C, M), and a beat of inputs makes a beat of results."""
        if len(self.weights.shape) != 3:
            return False
        taps, channels, multiplier = self.weights.shape
        x, y = stream_of(self.x), self.result.type
        sizes = (x.shape[-1], y.shape[-1]) == (taps * channels, channels * multiplier)
        return sizes and channels % x.width == 0 and y.width == x.width * multiplier

    def sums(self, x: Mantissas) -> Mantissas:
        """The weighted sums over the taps."""
        weights = self.weights.numpy()
        return channelwise(x.reshape(*x.shape[:-1], *weights.shape[:2]), weights)

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """The lanes offered if they are fast enough, else the fewest that are."""
        _, channels, multiplier = self.weights.shape
        x = stream_of(self.x)
        most = max(min(most_lanes(x), most_lanes(self.result.type) // multiplier), 1)
        lanes = choose_lanes(channels, lambda n: x.size // n, target, offered[0], most)
        return Folding((Layout(lanes),), (Layout(lanes * multiplier),))

    def schedule(self) -> Schedule:
        """A beat in per cycle; a result leaves with the last tap."""
        taps, channels, _ = self.weights.shape
        return schedules.depthwise(self.positions, taps, channels, stream_of(self.x).width)

    def registers(self) -> int:
        """The partial sums of one lane, or the lanes."""
        y = self.result.type
        return max(y.shape[-1] // y.width, super().registers())

    def resources(self) -> Resources:
        """Multipliers, partial sums, weights and the epilogue."""
        x, width = stream_of(self.x), self.result.type.width
        core = resources.depthwise(
            lanes=width,
            words=self.weights.type.element_count() // width,
            channels=self.result.type.shape[-1],
            weight_width=signed_width(self.weight_type.format),
            data_width=signed_width(x.format),
            acc_width=self.accumulator.width,
            ports=multiplier_of(self),
        )
        return core + epilogue_resources(self.epilogue, width)
