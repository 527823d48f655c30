"""`dataflow` processes that compute: map, matvec, reduce, softmax."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
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
from calocc.dialects.dataflow.foldings import Foldings, Pin, Product, foldings
from calocc.dialects.dataflow.layout import SINGLE, Layout, ceil_div, image_of, least_parts
from calocc.dialects.dataflow.packing import Packing, packing
from calocc.dialects.dataflow.process import (
    DataflowOp,
    Folding,
    Mantissas,
    ProcessOp,
    UniformAnyOp,
    choose,
    divisors,
    epilogue_ops,
    most_lanes,
    multiplier_of,
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
    ConstantOp,
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
class MapOp(UniformAnyOp):
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

    The operand's lanes are the SIMD of the folding, the result's its PE; the pixels of both are
    multiplied at once with the same weights. Nothing has to divide anything: weights beyond the
    matrix are zeros. Multipliers are DSP slices, or with `in_logic` made of LUTs; `unpacked` ones
    take one product each.
    """

    name = "dataflow.matvec"
    in_logic = opt_prop_def(UnitAttr)
    unpacked = opt_prop_def(UnitAttr)

    @property
    def takes_any_layout(self) -> bool:
        """What is not there meets weights that are zero."""
        return True

    def verify_(self) -> None:
        """Vectors come and go in the same groups."""
        super().verify_()
        x, y = stream_of(self.x), self.result.type
        if x.layout.pixels != y.layout.pixels or y.layout.pixels > self.row:
            raise VerifyException(f"a matvec gives as many pixels as it takes, not {y} for {x}")

    def fits(self) -> bool:
        """Weights are (N, M)."""
        return self.weights.shape == (stream_of(self.x).shape[-1], self.result.type.shape[-1])

    def sums(self, x: Mantissas) -> Mantissas:
        """The matrix products."""
        return exact_matmul(x, self.weights.numpy())

    @property
    def simd(self) -> int:
        """Inputs multiplied at once."""
        return stream_of(self.x).layout.lanes

    @property
    def pe(self) -> int:
        """Outputs summed at once."""
        return self.result.type.layout.lanes

    @property
    def pixels(self) -> int:
        """Vectors multiplied at once."""
        return self.result.type.layout.pixels

    @property
    def row(self) -> int:
        """Vectors of a row of both streams; one if their rows differ."""
        shape = self.result.type.shape
        return image_of(shape)[1] if stream_of(self.x).shape[:-1] == shape[:-1] else 1

    @property
    def groups(self) -> int:
        """Groups of such vectors per event."""
        return self.result.type.layout.groups(self.result.type.shape)

    @property
    def packing(self) -> Packing:
        """How the products of neighbouring outputs share multipliers in DSP slices."""
        data = stream_of(self.x).format
        ends = data.min_mantissa, data.max_mantissa
        most = packing(extremes(self.weights), ends, multiplier_of(self))
        return most if self.unpacked is None else Packing(1, most.spacing)

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
            self.groups, n, m, self.simd, self.pe, inputs_first=self.inputs_first
        )

    def registers(self) -> int:
        """The lanes, or the sums of one lane that are kept."""
        sums = self.result.type.beats if self.inputs_first else 1
        return max(sums, super().registers())

    def foldings(self, pin: Pin, in_logic: bool) -> Foldings:
        """The foldings that no other beats in both cycles and multipliers.

        Cycles are those of the windows in front where they cannot keep up: several pixels at once
        need fewer of them.
        """
        (n, m), y = self.weights.shape, self.result.type
        width, before = self.row, self.x.owner
        pixels = least_parts(width)
        floors = before.least_cycles(pixels) if isinstance(before, DataflowOp) else ()
        widest = most_lanes(stream_of(self.x)), most_lanes(y)
        packed = 1 if in_logic else self.packing.count
        return foldings(Product(self.positions // width, width, n, m, widest, packed, floors), pin)

    def cycles(self, simd: int, pe: int, pixels: int = 1) -> int:
        """Iterations per event with this folding."""
        n, m = self.weights.shape
        groups = Layout(pe, pixels).groups(self.result.type.shape)
        return groups * ceil_div(n, simd) * ceil_div(m, pe)

    def multipliers(self, simd: int, pe: int, pixels: int = 1, in_logic: bool = False) -> int:
        """Multipliers of this folding."""
        return pixels * simd * (pe if in_logic else ceil_div(pe, self.packing.count))

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """The fewest multipliers that are fast enough, then the lanes offered, then least PE."""
        return self.fold_pinned(offered, target, Pin())

    def fold_pinned(self, offered: tuple[Layout, ...], target: int, pin: Pin) -> Folding:
        """`fold` as far as a pin leaves the choice."""
        found = self.foldings(pin, self.in_logic is not None)
        best = min(
            found.triples(found.cheapest(target)),
            key=lambda triple: (triple[2], triple[0] != offered[0].lanes, triple[1]),
        )
        simd, pe, pixels = best
        return Folding((Layout(simd, pixels),), (Layout(pe, pixels),))

    def resources(self) -> Resources:
        """Multipliers, weight memories, accumulators and the epilogue."""
        return self.costs()(self.simd, self.pe, self.pixels, self.in_logic is not None)

    def costs(self) -> Callable[[int, int, int, bool], Resources]:
        """What a folding (simd, pe, pixels) occupies, with multipliers in logic or not."""
        (n, m), shared = self.weights.shape, self.packing
        weight_width = signed_width(self.weight_type.format)
        data_width = signed_width(stream_of(self.x).format)
        acc_width, kept_sums = self.accumulator.width, m if self.inputs_first else 0
        each, ports = epilogue_resources(self.epilogue, 1), multiplier_of(self)

        def cost(simd: int, pe: int, pixels: int, in_logic: bool) -> Resources:
            core = resources.matvec(
                pe=pe,
                simd=simd,
                depth=ceil_div(n, simd) * ceil_div(m, pe),
                words=ceil_div(n, simd),
                weight_width=weight_width,
                data_width=data_width,
                acc_width=acc_width,
                packing=None if in_logic else shared,
                kept_sums=kept_sums,
                pixels=pixels,
                ports=ports,
            )
            return core + each.scaled(pe * pixels)

        return cost


@irdl_op_definition
class ReduceOp(ProcessOp):
    """(..., taps, channels), flattened or not, to (..., channels): sum or maximum over the taps.

    As many lanes of one tap on both sides, or all channels of several taps to all channels; of
    several pixels on both sides where their taps come side by side.
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
        """Taps in a beat of the operand, for each of its pixels."""
        return max(stream_of(self.x).layout.lanes // self.channels, 1)

    @property
    def takes_any_layout(self) -> bool:
        """Lanes that are not there are not combined."""
        return True

    def verify_(self) -> None:
        """Taps and beats are whole; the accumulator keeps every fraction bit."""
        verify_epilogue(self, self.epilogue, 1, self.result.type)
        x, y = stream_of(self.x), self.result.type
        if x.size % y.size or x.shape[-1] % self.channels:
            raise VerifyException(f"cannot reduce {x.shape} to {y.shape}")
        if self.accumulator.frac < x.format.frac:
            raise VerifyException(f"the accumulator needs {x.format.frac} fraction bits")
        if self._given(x.layout) != y.layout:
            raise VerifyException(f"cannot reduce beats of {x} to beats of {y}")

    def _given(self, taken: Layout) -> Layout | None:
        """The layout of the results of such beats, if beats are whole: parts of a tap, or taps."""
        lanes, channels, last = taken.lanes, self.channels, stream_of(self.x).shape[-1]
        side_by_side = stream_of(self.x).shape[:-1] == self.result.type.shape[:-1]
        if taken.pixels > 1 and not side_by_side:
            return None
        if lanes % channels == 0:
            whole = side_by_side or last % lanes == 0
            return Layout(channels, taken.pixels) if whole else None
        straddles = last != channels and channels % lanes
        return None if lanes > channels or straddles else taken

    def _foldings(self) -> list[Layout]:
        """The layouts that the operand should have, the fastest last."""
        channels, x, y = self.channels, stream_of(self.x), self.result.type
        _, width, last = image_of(x.shape)
        parts = divisors(channels) if last != channels else least_parts(channels)
        taps = [
            n * channels
            for n in least_parts(last // channels)[1:]
            if self._given(Layout(n * channels))
        ]
        pixels = least_parts(width)[1:] if self._given(Layout(last, width)) else ()
        legal = [*map(Layout, (*parts, *taps)), *(Layout(last, n) for n in pixels)]
        most, given = most_lanes(x), most_lanes(y)
        return [z for z in legal if z.width <= most and min(z.lanes, channels) * z.pixels <= given]

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Combine, then the epilogue."""
        x = args[0].reshape(-1, self.outer, self.taps, self.channels)
        combined = x.max(axis=2) if self.kind.data is Pooling.MAX else x.sum(axis=2)
        value = align(combined, stream_of(self.x).format.frac, self.accumulator.frac)
        return (run_epilogue(self.epilogue, value.reshape(-1, *self.result.type.shape)),)

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Keep what the producer offers if it is legal and fast enough."""
        shape = stream_of(self.x).shape
        legal = [*([offered[0]] if self._given(offered[0]) else []), *self._foldings()]
        taken = choose(legal, lambda y: self._paced(y, y.beats(shape)), target, offered[0])
        given = self._given(taken)
        assert given is not None
        return Folding((taken,), (given,))

    def _paced(self, taken: Layout, beats: int) -> int:
        """Iterations, or those of the windows in front where they cannot keep up."""
        before = self.x.owner
        floors = before.least_cycles([taken.pixels]) if isinstance(before, DataflowOp) else (0,)
        return max(beats, floors[0] + beats - taken.groups(stream_of(self.x).shape))

    def schedule(self) -> Schedule:
        """A result leaves with the last tap."""
        y = self.result.type
        steps = ceil_div(self.taps, self.taps_at_once)
        groups = y.layout.groups(y.shape)
        return schedules.reduce(groups, steps, self.channels, y.layout.lanes)

    def registers(self) -> int:
        """The partial results of one lane, or the lanes."""
        return max(self.result.type.layout.folds((self.channels,)), super().registers())

    def resources(self) -> Resources:
        """Partial results and the epilogue."""
        x, y = stream_of(self.x), self.result.type
        core = resources.reduce(x.width, y.layout.pixels * self.channels, self.accumulator.width)
        return core + epilogue_resources(self.epilogue, y.width)


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

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """Always one lane."""
        return Folding((SINGLE,), (SINGLE,))

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
    """One scalar op; constants multiply in DSPs, but one power of two is a matter of wires."""
    widths = tuple(format_of(o).width for o in op.operands)
    if isinstance(op, ThresholdOp):
        return resources.steps(op.thresholds.shape[-1], widths[0])
    if isinstance(op, LookupOp):
        return resources.memory(prod(op.table.shape), op.out.width)
    kind = op.name.partition(".")[2]
    if kind in ("mul", "affine") and any(_is_power_of_two(o) for o in op.operands[:2]):
        return Resources() if kind == "mul" else resources.logic(op.out.width)
    return resources.scalar(kind, widths, op.out.width, multiplier_of(op))


def _is_power_of_two(value: SSAValue) -> bool:
    """Whether a value is a constant that is the same power of two for all channels."""
    constant = value.owner
    if not isinstance(constant, ConstantOp) or constant.channels > 1:
        return False
    mantissa = int(constant.value.numpy().item())
    return mantissa > 0 and mantissa & (mantissa - 1) == 0
