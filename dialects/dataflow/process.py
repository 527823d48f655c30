"""What every `dataflow` op is: a process between FIFOs, with a meaning, a schedule and a cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, IntegerType, StringAttr
from xdsl.ir import Block, Operation, OpTrait, Region, SSAValue
from xdsl.irdl import IRDLOperation, ParsePropInAttrDict, opt_prop_def, traits_def
from xdsl.utils.exceptions import VerifyException

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


@dataclass(frozen=True)
class Folding:
    """Elements per beat that a process takes at each input and gives at each output.

    `simd` are the products per sum and cycle of a process whose lanes do not tell.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    simd: int = 1


@dataclass(frozen=True)
class OneReader(OpTrait):
    """A FIFO has one end to read from: no result is used twice."""

    def verify(self, op: Operation) -> None:
        """Count the uses of each result."""
        if any(len(list(result.uses)) > 1 for result in op.results):
            raise VerifyException("a stream has one reader; dataflow.fork copies it")


class DataflowOp(IRDLOperation, ABC):
    """An op whose operands and results are streams.

    `depths`, once known, are those of the FIFOs behind its results, in beats.
    """

    layer = opt_prop_def(StringAttr)
    depths = opt_prop_def(DenseArrayBase)
    traits = traits_def(OneReader())
    irdl_options = (ParsePropInAttrDict(),)

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
    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """A cheap folding that takes at most `target` cycles per event, where there is one.

        `offered` are the lanes that the producers give; a folding that takes those needs no
        width converter.
        """

    def fold_inside(self, folding: Folding) -> None:
        """Take what a folding says besides the lanes."""


class ProcessOp(DataflowOp, ABC):
    """A process: one flattened loop, one iteration per cycle."""

    @abstractmethod
    def schedule(self) -> Schedule:
        """When the loop reads and writes its beats."""

    @abstractmethod
    def resources(self) -> Resources:
        """An estimate of what the process occupies."""

    def products(self) -> Sequence[tuple[int, int]]:
        """Bits of the products that are summed, and of their sums."""
        return ()

    def registers(self) -> int:
        """The most elements along an axis of an array that is kept in registers."""
        return max(s.width for s in (*self.inputs, *self.outputs))


class UniformOp(ProcessOp, ABC):
    """A process that moves the same number of lanes at every port."""

    def verify_(self) -> None:
        """All ports have the same lanes."""
        if len({s.width for s in (*self.inputs, *self.outputs)}) > 1:
            raise VerifyException(f"{self.name} has the same lanes at every port")

    @property
    def width(self) -> int:
        """The lanes of every port."""
        return self.outputs[0].width

    @abstractmethod
    def trips(self, lanes: int) -> int:
        """Iterations per event if every port had this many lanes."""

    @abstractmethod
    def axis(self) -> int:
        """The size that the lanes must divide."""

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """Keep what the first producer offers if it is legal and fast enough."""
        most = min(most_lanes(s) for s in (*self.inputs, *self.outputs))
        lanes = choose_lanes(self.axis(), self.trips, target, offered[0], most)
        return Folding((lanes,) * len(self.operands), (lanes,) * len(self.results))


def divisors(n: int) -> list[int]:
    """The divisors of n, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]


def most_lanes(stream: StreamType) -> int:
    """The lanes with which a beat is as wide as it may be; one at least."""
    return max(WIDEST_BEAT // stream.format.width, 1)


def choose_lanes(
    axis: int, trips: Callable[[int], int], target: int, offered: int, most: int
) -> int:
    """The offered lanes if they are legal and fast enough, else the fewest that are fast enough;
    the most that there are if none is. Legal are divisors of `axis` up to `most`."""
    return choose([n for n in divisors(axis) if n <= most], trips, target, offered)


def choose(legal: list[int], trips: Callable[[int], int], target: int, offered: int) -> int:
    """`choose_lanes` among these numbers of lanes, which ascend."""
    if offered in legal and trips(offered) <= target:
        return offered
    return next((d for d in legal if trips(d) <= target), legal[-1])


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
