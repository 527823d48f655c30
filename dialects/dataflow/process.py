"""What every `dataflow` op is: a process between FIFOs, with a meaning, a schedule and a cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, IntegerType, StringAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, OpTrait, Region, SSAValue
from xdsl.irdl import IRDLOperation, ParsePropInAttrDict, opt_prop_def, traits_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow.layout import Layout, image_of, least_parts
from calocc.dialects.dataflow.packing import DSP48E2, Multiplier
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import WIDEST_BEAT, StreamType, stream_of
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.ops import (
    ConstantOp,
    LookupOp,
    ScalarOp,
    ThresholdOp,
    YieldOp,
    format_of,
)
from calocc.dialects.fixed.types import FixedType

Mantissas = NDArray[np.int64]
MULTIPLIER = "calocc.multiplier"
"""The attribute of a function: bits of the wide and the narrow port of its device's multipliers."""


@dataclass(frozen=True)
class Folding:
    """The beats that a process takes at each input and gives at each output.

    `simd` are the products per sum and cycle of a process whose lanes do not tell.
    """

    inputs: tuple[Layout, ...]
    outputs: tuple[Layout, ...]
    simd: int = 1


@dataclass(frozen=True)
class OneReader(OpTrait):
    """A FIFO has one end to read from: no result is used twice."""

    def verify(self, op: Operation) -> None:
        """Count the uses of each result."""
        if any(len(list(result.uses)) > 1 for result in op.results):
            raise VerifyException("a stream has one reader; dataflow.fork copies it")


@dataclass(frozen=True)
class WholeBeats(OpTrait):
    """Most processes move parts of one pixel, with all lanes there."""

    def verify(self, op: Operation) -> None:
        """Look at every stream of a process that does not take all layouts."""
        assert isinstance(op, DataflowOp)
        if op.takes_any_layout:
            return
        for stream in (s for s in (*op.inputs, *op.outputs) if not s.is_whole):
            raise VerifyException(
                f"{op.name} moves one pixel at a time, and lanes that divide its channels, "
                f"not {stream}; dataflow.lanes converts"
            )


class DataflowOp(IRDLOperation, ABC):
    """An op whose operands and results are streams.

    `depths`, once known, are those of the FIFOs behind its results, in beats.
    """

    layer = opt_prop_def(StringAttr)
    depths = opt_prop_def(DenseArrayBase)
    traits = traits_def(OneReader(), WholeBeats())
    irdl_options = (ParsePropInAttrDict(),)

    @property
    def takes_any_layout(self) -> bool:
        """Whether beats may have several pixels, and lanes that are not there."""
        return False

    @property
    def layer_name(self) -> str:
        """The Keras layer that this op stands for, or the op's own name."""
        return self.layer.data if self.layer is not None else self.name.partition(".")[2]

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        """The operands' stream types."""
        return tuple(stream_of(o) for o in self.operands)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        """The results' stream types."""
        return tuple(stream_of(r) for r in self.results)

    @property
    def fifo_depths(self) -> tuple[int, ...] | None:
        """The depth of the FIFO behind each result in beats, None before `size-fifos`."""
        if self.depths is None:
            return None
        return tuple(cast(DenseArrayBase[IntegerType], self.depths).get_values())

    @abstractmethod
    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The results' mantissas (B, *shape) from the operands'."""

    @abstractmethod
    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """A cheap folding that takes at most `target` cycles per event, where there is one.

        `offered` is what the producers give; a folding that takes it needs no width converter.
        """

    def least_cycles(self, pixels: Sequence[int]) -> tuple[int, ...]:
        """For some numbers of pixels per beat the least cycles per event, all of a pixel in a beat;
        each beat more takes one more. 0 where none is known."""
        return (0,) * len(pixels)

    def fold_inside(self, folding: Folding) -> None:
        """Take what a folding says besides the lanes."""

    def last_inputs(self) -> tuple[Mantissas, ...]:
        """For each input and each pixel of a result the last pixel of the input that has to be
        complete before, or -1; pixels are what the last axis holds, in row-major order.

        By default equal parts of inputs give equal parts of results.
        """
        pixels = prod(self.outputs[0].shape[:-1])
        counts = (prod(s.shape[:-1]) for s in self.inputs)
        return tuple(np.arange(1, pixels + 1) * n // pixels - 1 for n in counts)


class ProcessOp(DataflowOp, ABC):
    """A process: one flattened loop, one iteration per cycle."""

    @abstractmethod
    def schedule(self) -> Schedule:
        """When the loop reads and writes its beats."""

    @abstractmethod
    def resources(self) -> Resources:
        """An estimate of what the process occupies."""

    def least_resources(self) -> Resources:
        """What it occupies in any folding."""
        return Resources()

    def products(self) -> Sequence[tuple[int, int]]:
        """Bits of the products that are summed, and of their sums."""
        return ()

    def registers(self) -> int:
        """The most elements along an axis of an array that is kept in registers."""
        return max(s.width for s in (*self.inputs, *self.outputs))


class UniformOp(ProcessOp, ABC):
    """A process that moves the same beats at every port."""

    def verify_(self) -> None:
        """All ports have the same layout."""
        if len({s.layout for s in (*self.inputs, *self.outputs)}) > 1:
            raise VerifyException(f"{self.name} has the same lanes at every port")

    @property
    def layout(self) -> Layout:
        """The layout of every port."""
        return self.outputs[0].layout

    @property
    def width(self) -> int:
        """Elements in a beat of every port."""
        return self.layout.width

    def uniform(self, layout: Layout) -> Folding:
        """The folding with this layout at every port."""
        return Folding((layout,) * len(self.operands), (layout,) * len(self.results))


class UniformWholeOp(UniformOp, ABC):
    """A process that moves the same lanes of one pixel at every port."""

    @abstractmethod
    def trips(self, lanes: int) -> int:
        """Iterations per event if every port had this many lanes."""

    @abstractmethod
    def axis(self) -> int:
        """The size that the lanes must divide."""

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Keep what the first producer offers if it is legal and fast enough."""
        most = min(most_lanes(s) for s in (*self.inputs, *self.outputs))
        lanes = choose_lanes(self.axis(), self.trips, target, offered[0], most)
        return self.uniform(Layout(lanes))


class UniformAnyOp(UniformOp, ABC):
    """A process that passes beats on as they come, an iteration for each."""

    @property
    def takes_any_layout(self) -> bool:
        """A beat is a beat."""
        return True

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Keep what the first producer offers if it is fast enough, else take wider beats."""
        shape = self.outputs[0].shape
        most = min(most_lanes(s) for s in (*self.inputs, *self.outputs))
        legal = [layout for layout in (offered[0], *layouts(shape)) if layout.width <= most]
        return self.uniform(choose(legal, lambda y: y.beats(shape), target, offered[0]))


def set_multiplier(function: FuncOp, ports: Multiplier) -> None:
    """Write on a function what its device multiplies at once; nothing for a DSP48E2."""
    function.attributes.pop(MULTIPLIER, None)
    if ports != DSP48E2:
        function.attributes[MULTIPLIER] = DenseArrayBase.from_list(i64, [ports.wide, ports.narrow])


def multiplier_of(op: Operation | None) -> Multiplier:
    """What the device of the function that an op is in multiplies at once."""
    while op is not None and not isinstance(op, FuncOp):
        op = op.parent_op()
    given = None if op is None else op.attributes.get(MULTIPLIER)
    if given is None:
        return DSP48E2
    wide, narrow = cast(DenseArrayBase[IntegerType], given).get_values()
    return Multiplier(wide, narrow)


def moved_pixels(op: DataflowOp) -> tuple[Mantissas, ...]:
    """`last_inputs` of an op that only moves elements: it moves their numbers as well.

    What does not change when all numbers do is not from an input.
    """
    sizes = [s.size for s in op.inputs]
    numbers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    args = [n.reshape(1, *s.shape) for n, s in zip(numbers, op.inputs, strict=True)]
    once, again = (op.evaluate(*(a + by for a in args))[0] for by in (0, sum(sizes)))
    moved = np.where(again == once, -1, once).reshape(prod(op.outputs[0].shape[:-1]), -1)
    ends = (
        np.where((moved >= own[0]) & (moved <= own[-1]), moved - own[0] + 1, 0).max(axis=1)
        for own in numbers
    )
    return tuple(end // s.shape[-1] - 1 for end, s in zip(ends, op.inputs, strict=True))


def divisors(n: int) -> list[int]:
    """The divisors of n, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]


def most_lanes(stream: StreamType) -> int:
    """The lanes with which a beat is as wide as it may be; one at least."""
    return max(WIDEST_BEAT // stream.format.width, 1)


def choose_lanes(
    axis: int, trips: Callable[[int], int], target: int, offered: Layout, most: int
) -> int:
    """The offered lanes if they are legal and fast enough, else the fewest that are fast enough;
    the most that there are if none is. Legal are divisors of `axis` up to `most`, of one pixel."""
    legal = [Layout(n) for n in divisors(axis) if n <= most]
    return choose(legal, lambda layout: trips(layout.lanes), target, offered).lanes


def choose(
    legal: Sequence[Layout],
    trips: Callable[[Layout], int],
    target: int,
    offered: Layout,
) -> Layout:
    """`choose_lanes` among these layouts, the widest of which is the last."""
    if offered in legal and trips(offered) <= target:
        return offered
    return next((x for x in legal if trips(x) <= target), legal[-1])


def layouts(shape: Sequence[int]) -> list[Layout]:
    """Layouts worth choosing: parts of a pixel, then several pixels, each as few lanes as possible
    for the number of beats."""
    _, pixels, channels = image_of(shape)
    parts = [Layout(lanes) for lanes in least_parts(channels)]
    return parts + [Layout(channels, n) for n in least_parts(pixels)[1:]]


def epilogue_region(formats: Sequence[Format]) -> Region:
    """A region whose one block takes scalars of these formats and yields the first of them."""
    block = Block(arg_types=[FixedType.of(f) for f in formats])
    block.add_op(YieldOp(block.args[0]))
    return Region(block)


def epilogue_ops(region: Region) -> tuple[list[ScalarOp], SSAValue]:
    """The scalar ops of an epilogue in order, and the value it yields."""
    *body, last = region.block.ops
    assert isinstance(last, YieldOp)
    return cast(list[ScalarOp], body), last.value


def run_epilogue(region: Region, *args: Mantissas) -> Mantissas:
    """Run an epilogue on arrays (..., channels)."""
    values: dict[SSAValue, Mantissas] = dict(zip(region.block.args, args, strict=True))
    body, result = epilogue_ops(region)
    for op in body:
        values[op.result] = op.evaluate(*(values[o] for o in op.operands))
    return np.broadcast_to(values[result], args[0].shape)


def verify_epilogue(op: Operation, region: Region, arity: int, out: StreamType) -> None:
    """The epilogue takes `arity` scalars, holds scalar ops only and yields the stream's element."""
    body, last = list(region.block.ops), region.block.last_op
    if len(region.block.args) != arity or not isinstance(last, YieldOp):
        raise VerifyException(f"the epilogue of {op.name} takes {arity} scalars and yields one")
    if not all(isinstance(o, ScalarOp) for o in body[:-1]):
        raise VerifyException("an epilogue holds scalar operations of the fixed dialect only")
    for constant in (o for o in body if isinstance(o, ConstantOp | ThresholdOp | LookupOp)):
        if constant.channels not in (1, out.shape[-1]):
            raise VerifyException(f"{constant.channels} constants for {out.shape[-1]} channels")
    if format_of(last.value) != out.format:
        raise VerifyException(f"the epilogue yields {last.value.type}, the stream has {out.format}")
