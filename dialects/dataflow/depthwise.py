"""`dataflow.depthwise`: weighted sums per channel over the taps of a window."""

from __future__ import annotations

from math import prod

from xdsl.ir import Region, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, region_def, result_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.compute import epilogue_resources, signed_width
from calocc.dialects.dataflow.process import (
    Folding,
    Mantissas,
    ProcessOp,
    choose_lanes,
    most_lanes,
    run_epilogue,
    verify_epilogue,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.ops import format_of
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.depthwise import channelwise
from calocc.dialects.qnn.op import name_attr


@irdl_op_definition
class DepthwiseOp(ProcessOp):
    """Windows (..., taps * C) with weights (taps, C, M) to (..., C * M), then the epilogue.

    A beat of L channels gives a beat of L * M results.
    """

    name = "dataflow.depthwise"
    x = operand_def(StreamType)
    weights = prop_def(BlobAttr)
    weight_type = prop_def(FixedType)
    result = result_def(StreamType)
    epilogue = region_def("single_block")
    assembly_format = "$x attr-dict `:` functional-type(operands, results) $epilogue"

    def __init__(
        self,
        x: SSAValue,
        weights: BlobAttr,
        weight_format: Format,
        epilogue: Region,
        result: StreamType,
        layer: str = "",
    ):
        super().__init__(
            operands=[x],
            regions=[epilogue],
            properties={
                "weights": weights,
                "weight_type": FixedType.of(weight_format),
                "layer": name_attr(layer),
            },
            result_types=[result],
        )

    @property
    def accumulator(self) -> Format:
        """The format that holds every sum."""
        return format_of(self.epilogue.block.args[0])

    @property
    def positions(self) -> int:
        """Windows per event."""
        return prod(self.result.type.shape[:-1])

    @property
    def _frac(self) -> int:
        return stream_of(self.x).format.frac + self.weight_type.format.frac

    def verify_(self) -> None:
        """Shapes and lanes fit, the accumulator keeps every fraction bit."""
        taps, channels, multiplier = self.weights.shape
        x, y = stream_of(self.x), self.result.type
        if x.shape[-1] != taps * channels or y.shape[-1] != channels * multiplier:
            raise VerifyException(f"weights {self.weights.shape} do not take {x} to {y}")
        if x.shape[:-1] != y.shape[:-1] or channels % x.width or y.width != x.width * multiplier:
            raise VerifyException(f"lanes or positions of {x} and {y} do not fit")
        if self.accumulator.frac < self._frac:
            raise VerifyException(f"the accumulator needs {self._frac} fraction bits")
        verify_epilogue(self, self.epilogue, 1, y)

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The exact sums, then the epilogue."""
        weights = self.weights.numpy()
        taps = args[0].reshape(*args[0].shape[:-1], *weights.shape[:2])
        sums = align(channelwise(taps, weights), self._frac, self.accumulator.frac)
        return (run_epilogue(self.epilogue, sums),)

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """The lanes offered if they are fast enough, else the fewest that are."""
        _, channels, multiplier = self.weights.shape
        x = stream_of(self.x)
        most = min(most_lanes(x), most_lanes(self.result.type) // multiplier)
        lanes = choose_lanes(channels, lambda n: x.size // n, target, offered[0], most)
        return Folding((lanes,), (lanes * multiplier,))

    def schedule(self) -> Schedule:
        """A beat in per cycle; a result leaves with the last tap."""
        taps, channels, _ = self.weights.shape
        return schedules.depthwise(self.positions, taps, channels, stream_of(self.x).width)

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
        )
        return core + epilogue_resources(self.epilogue, width)
