"""`dataflow` processes that compute: map, matvec, reduce, softmax."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from math import prod

from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import Region, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    var_operand_def,
)
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import resources, schedules
from calocc.dialects.dataflow.packing import Packing, packing
from calocc.dialects.dataflow.process import (
    Folding,
    Mantissas,
    ProcessOp,
    UniformOp,
    choose,
    divisors,
    epilogue_ops,
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
from calocc.dialects.fixed.ops import (
    LookupOp,
    ScalarOp,
    ThresholdOp,
    format_of,
    verify_mantissas,
)
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.op import name_attr
from calocc.dialects.qnn.pool import Pooling, PoolingAttr
from calocc.dialects.qnn.softmax import integer_softmax, verify_exponentials
from calocc.dialects.qnn.windows import exact_matmul

KEPT_BITS = 1 << 14
"""Registers that the sums of a vector may take; more would cost as much as a small layer."""


@irdl_op_definition
class MapOp(UniformOp):
    """Apply the epilogue to each element of one stream, or of two that arrive side by side."""

    name = "dataflow.map"
    args = var_operand_def(StreamType)
    result = result_def(StreamType)
    epilogue = region_def("single_block")
    assembly_format = "$args attr-dict `:` functional-type(operands, results) $epilogue"

    def __init__(
        self, args: Sequence[SSAValue], epilogue: Region, result: StreamType, layer: str = ""
    ):
        super().__init__(
            operands=[args],
            regions=[epilogue],
            properties={"layer": name_attr(layer)},
            result_types=[result],
        )

    def verify_(self) -> None:
        """Operands and result have the same shape; the epilogue fits."""
        super().verify_()
        if any(s.shape != self.result.type.shape for s in self.inputs):
            raise VerifyException("a map's operands and result have the same shape")
        scalars = [a.type for a in self.epilogue.block.args]
        if scalars != [s.tensor.element_type for s in self.inputs]:
            raise VerifyException("a map's epilogue takes the elements of its operands")
        verify_epilogue(self, self.epilogue, len(self.args), self.result.type)

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Run the epilogue on whole tensors."""
        return (run_epilogue(self.epilogue, *args),)

    def trips(self, lanes: int) -> int:
        """An iteration per beat."""
        return self.result.type.size // lanes

    def axis(self) -> int:
        """The channels."""
        return self.result.type.shape[-1]

    def schedule(self) -> Schedule:
        """A beat in, a beat out."""
        return schedules.map(self.result.type.beats, len(self.args))

    def resources(self) -> Resources:
        """The epilogue, once per lane."""
        return epilogue_resources(self.epilogue, self.width)


class WeightedOp(ProcessOp, ABC):
    """A process that sums products with constant weights, then applies its epilogue."""

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
        """Vectors of results per event."""
        return prod(self.result.type.shape[:-1])

    def products(self) -> Sequence[tuple[int, int]]:
        """Weights times elements."""
        width = self.weight_type.format.width + stream_of(self.x).format.width
        return [(width, self.accumulator.width)]

    @property
    def product_frac(self) -> int:
        """Fraction bits of a product."""
        return stream_of(self.x).format.frac + self.weight_type.format.frac

    @abstractmethod
    def sums(self, x: Mantissas) -> Mantissas:
        """The exact sums of products, at `product_frac`."""

    @abstractmethod
    def fits(self) -> bool:
        """Whether weights, shapes and lanes belong together."""

    def verify_(self) -> None:
        """Shapes fit, the accumulator keeps every fraction bit."""
        x, y = stream_of(self.x), self.result.type
        if not self.fits() or prod(x.shape[:-1]) != prod(y.shape[:-1]):
            raise VerifyException(
                f"weights {self.weights.shape} do not take {x.shape} to {y.shape}"
            )
        verify_mantissas(self.weights, self.weight_type.format)
        verify_epilogue(self, self.epilogue, 1, y)
        if self.accumulator.frac < self.product_frac:
            raise VerifyException(f"the accumulator needs {self.product_frac} fraction bits")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The exact sums, then the epilogue."""
        sums = align(self.sums(args[0]), self.product_frac, self.accumulator.frac)
        return (run_epilogue(self.epilogue, sums.reshape(-1, *self.result.type.shape)),)


@irdl_op_definition
class MatvecOp(WeightedOp):
    """Vectors (..., N) times constant weights (N, M), then the epilogue on each sum.

    The operand's lanes are the SIMD of the folding, the result's its PE. Multipliers are DSP
    slices, or with `in_logic` made of LUTs.
    """

    name = "dataflow.matvec"
    in_logic = opt_prop_def(UnitAttr)

    def fits(self) -> bool:
        """Weights are (N, M)."""
        return self.weights.shape == (stream_of(self.x).shape[-1], self.result.type.shape[-1])

    def sums(self, x: Mantissas) -> Mantissas:
        """The matrix products."""
        return exact_matmul(x, self.weights.numpy())

    @property
    def simd(self) -> int:
        """Inputs multiplied at once."""
        return stream_of(self.x).width

    @property
    def pe(self) -> int:
        """Outputs summed at once."""
        return self.result.type.width

    @property
    def packing(self) -> Packing:
        """How the products of neighbouring outputs share multipliers in DSP slices."""
        data = stream_of(self.x).format
        return packing(extremes(self.weights), (data.min_mantissa, data.max_mantissa))

    @property
    def inputs_first(self) -> bool:
        """Whether the sums of a vector are kept, and each input is used up when it arrives.

        So it is with single vectors, which otherwise had to be complete before the second output
        fold begins, if all sums fit in a few registers.
        """
        return self.positions == 1 and self.result.type.size * self.accumulator.width <= KEPT_BITS

    def schedule(self) -> Schedule:
        """A beat of inputs per cycle in the first output fold, a beat of outputs per fold."""
        n, m = self.weights.shape
        return schedules.matvec(
            self.positions, n, m, self.simd, self.pe, inputs_first=self.inputs_first
        )

    def registers(self) -> int:
        """The lanes, or the sums of one lane that are kept."""
        sums = self.result.type.beats if self.inputs_first else 1
        return max(sums, super().registers())

    def foldings(self) -> Sequence[tuple[int, int]]:
        """All (simd, pe) with which beats are not too wide, ascending."""
        n, m = self.weights.shape
        high = [d for d in divisors(m) if d <= most_lanes(self.result.type)]
        wide = [d for d in divisors(n) if d <= most_lanes(stream_of(self.x))]
        return [(simd, pe) for simd in wide for pe in high]

    def cycles(self, simd: int, pe: int) -> int:
        """Iterations per event with this folding."""
        n, m = self.weights.shape
        return self.positions * (n // simd) * (m // pe)

    def multipliers(self, simd: int, pe: int, in_logic: bool = False) -> int:
        """Multipliers of this folding."""
        return simd * (pe if in_logic else -(-pe // self.packing.count))

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """The fewest multipliers that are fast enough, then the lanes offered, then least PE."""
        foldings, packed = self.foldings(), 1 if self.in_logic else self.packing.count
        cycles = self.cycles(1, 1)
        choices = [
            (simd * -(-pe // packed), simd != offered[0], pe, simd)
            for simd, pe in foldings
            if cycles <= target * simd * pe
        ]
        widest = foldings[-1]
        _, _, pe, simd = min(choices, default=(0, False, widest[1], widest[0]))
        return Folding((simd,), (pe,))

    def resources(self) -> Resources:
        """Multipliers, weight memories, accumulators and the epilogue."""
        return self.cost(self.simd, self.pe, self.in_logic is not None)

    def cost(self, simd: int, pe: int, in_logic: bool) -> Resources:
        """What a folding occupies."""
        n, m = self.weights.shape
        core = resources.matvec(
            pe=pe,
            simd=simd,
            depth=(n // simd) * (m // pe),
            words=n // simd,
            weight_width=signed_width(self.weight_type.format),
            data_width=signed_width(stream_of(self.x).format),
            acc_width=self.accumulator.width,
            packing=None if in_logic else self.packing,
            kept_sums=m if self.inputs_first else 0,
        )
        return core + epilogue_resources(self.epilogue, pe)


@irdl_op_definition
class ReduceOp(ProcessOp):
    """(..., taps, channels), flattened or not, to (..., channels): sum or maximum over the taps.

    As many lanes of one tap on both sides, or all channels of several taps to all channels.
    """

    name = "dataflow.reduce"
    x = operand_def(StreamType)
    kind = prop_def(PoolingAttr)
    result = result_def(StreamType)
    epilogue = region_def("single_block")
    assembly_format = "$x attr-dict `:` functional-type(operands, results) $epilogue"

    def __init__(
        self, x: SSAValue, kind: Pooling, epilogue: Region, result: StreamType, layer: str = ""
    ):
        super().__init__(
            operands=[x],
            regions=[epilogue],
            properties={"kind": PoolingAttr(kind), "layer": name_attr(layer)},
            result_types=[result],
        )

    @property
    def accumulator(self) -> Format:
        """The format of the combined value."""
        return format_of(self.epilogue.block.args[0])

    @property
    def channels(self) -> int:
        """Elements that are never combined with each other."""
        return self.result.type.shape[-1]

    @property
    def outer(self) -> int:
        """Results per channel."""
        return prod(self.result.type.shape[:-1])

    @property
    def taps(self) -> int:
        """Elements combined to one."""
        return stream_of(self.x).size // self.result.type.size

    @property
    def taps_at_once(self) -> int:
        """Taps in a beat of the operand."""
        return stream_of(self.x).width // self.result.type.width

    def verify_(self) -> None:
        """Taps and beats are whole; the accumulator keeps every fraction bit."""
        verify_epilogue(self, self.epilogue, 1, self.result.type)
        x = stream_of(self.x)
        if x.size % self.result.type.size or x.shape[-1] % self.channels:
            raise VerifyException(f"cannot reduce {x.shape} to {self.result.type.shape}")
        if self.accumulator.frac < x.format.frac:
            raise VerifyException(f"the accumulator needs {x.format.frac} fraction bits")
        if (x.width, self.result.type.width) not in self._foldings():
            raise VerifyException(
                f"cannot reduce {x.width} lanes to {self.result.type.width} of {self.channels}"
            )

    def _foldings(self) -> list[tuple[int, int]]:
        """The lanes that operand and result may have, ascending: of a tap, or of whole taps."""
        channels, last = self.channels, stream_of(self.x).shape[-1]
        several = [n for n in divisors(self.taps)[1:] if last % (n * channels) == 0]
        return [*((n, n) for n in divisors(channels)), *((n * channels, channels) for n in several)]

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Combine, then the epilogue."""
        x = args[0].reshape(-1, self.outer, self.taps, self.channels)
        combined = x.max(axis=2) if self.kind.data is Pooling.MAX else x.sum(axis=2)
        value = align(combined, stream_of(self.x).format.frac, self.accumulator.frac)
        return (run_epilogue(self.epilogue, value.reshape(-1, *self.result.type.shape)),)

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """Keep what the producer offers if it is legal and fast enough."""
        x = stream_of(self.x)
        legal = {
            taken: given
            for taken, given in self._foldings()
            if taken <= most_lanes(x) and given <= most_lanes(self.result.type)
        }
        lanes = choose(list(legal), lambda n: x.size // n, target, offered[0])
        return Folding((lanes,), (legal[lanes],))

    def schedule(self) -> Schedule:
        """A result leaves with the last tap."""
        steps = self.taps // self.taps_at_once
        return schedules.reduce(self.outer, steps, self.channels, self.result.type.width)

    def registers(self) -> int:
        """The partial results of one lane, or the lanes."""
        return max(self.channels // self.result.type.width, super().registers())

    def resources(self) -> Resources:
        """Partial results and the epilogue."""
        x, width = stream_of(self.x), self.result.type.width
        core = resources.reduce(x.width, self.channels, self.accumulator.width)
        return core + epilogue_resources(self.epilogue, width)


@irdl_op_definition
class SoftmaxOp(ProcessOp):
    """Softmax over the last axis by the integer recipe of `qnn.softmax`, one element at a time."""

    name = "dataflow.softmax"
    x = operand_def(StreamType)
    table = prop_def(BlobAttr)
    result = result_def(StreamType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, table: BlobAttr, result: StreamType, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={"table": table, "layer": name_attr(layer)},
            result_types=[result],
        )

    def verify_(self) -> None:
        """One lane."""
        if (stream_of(self.x).width, self.result.type.width) != (1, 1):
            raise VerifyException("softmax takes one element at a time")
        if stream_of(self.x).shape != self.result.type.shape:
            raise VerifyException("softmax keeps the shape")
        verify_exponentials(self.table)

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """The integer recipe."""
        return (integer_softmax(args[0], self.table.numpy(), self.result.type.format),)

    def fold(self, offered: tuple[int, ...], target: int) -> Folding:
        """Always one lane."""
        return Folding((1,), (1,))

    def schedule(self) -> Schedule:
        """Three passes over each row."""
        length = self.result.type.shape[-1]
        return schedules.softmax(self.result.type.size // length, length)

    def resources(self) -> Resources:
        """The table and the divider."""
        table = self.table.numpy()
        return resources.softmax(
            len(table), int(table.max()).bit_length(), self.result.type.format.width
        )


@cache
def extremes(weights: BlobAttr) -> tuple[int, int]:
    """The least and the greatest integer of a blob."""
    mantissas = weights.numpy()
    return int(mantissas.min()), int(mantissas.max())


def signed_width(format: Format) -> int:
    """Bits at the port of a multiplier, whose operands are signed."""
    return format.width + (not format.signed)


def epilogue_resources(epilogue: Region, lanes: int) -> Resources:
    """The scalar ops of an epilogue, once per lane."""
    body, _ = epilogue_ops(epilogue)
    total = Resources()
    for op in body:
        total = total + scalar_resources(op)
    return total.scaled(lanes)


def scalar_resources(op: ScalarOp) -> Resources:
    """One scalar op; constants multiply in DSPs."""
    widths = tuple(format_of(o).width for o in op.operands)
    if isinstance(op, ThresholdOp):
        return resources.steps(op.thresholds.shape[-1], widths[0])
    if isinstance(op, LookupOp):
        return resources.memory(prod(op.table.shape), op.out.width)
    return resources.scalar(op.name.partition(".")[2], widths, op.out.width)
