"""`dataflow.recurrent`: a step over units that repeats over time and keeps its states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr, i64
from xdsl.ir import Block, BlockArgument, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    base,
    irdl_op_definition,
    operand_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import IsTerminator
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.dataflow import depths, resources, schedules
from calocc.dialects.dataflow.compute import scalar_resources, signed_width
from calocc.dialects.dataflow.layout import Layout
from calocc.dialects.dataflow.process import (
    Folding,
    Mantissas,
    ProcessOp,
    divisors,
    most_lanes,
    multiplier_of,
)
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.dataflow.stream import StreamType, stream_of
from calocc.dialects.fixed import ops as scalar
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.exact import align
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.ops import ScalarOp, format_of, verify_mantissas
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.op import name_attr
from calocc.dialects.qnn.windows import exact_matmul

MOST_PHASES = 2


@irdl_op_definition
class DotOp(ScalarOp):
    """For each unit the sum over all units u of x[u] times weights[u, unit]."""

    name = "dataflow.dot"
    x = operand_def(FixedType)
    weights = prop_def(BlobAttr)
    weight_type = prop_def(FixedType)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    def __init__(self, x: SSAValue, weights: BlobAttr, weight_format: Format, out: Format):
        super().__init__(
            operands=[x],
            properties={"weights": weights, "weight_type": FixedType.of(weight_format)},
            result_types=[FixedType.of(out)],
        )

    @property
    def product_frac(self) -> int:
        """Fraction bits of a product."""
        return format_of(self.x).frac + self.weight_type.format.frac

    def verify_(self) -> None:
        """A square matrix; the result keeps every fraction bit."""
        if len(self.weights.shape) != 2 or len(set(self.weights.shape)) != 1:
            raise VerifyException(f"weights {self.weights.shape} do not take units to units")
        verify_mantissas(self.weights, self.weight_type.format)
        if self.out.frac < self.product_frac:
            raise VerifyException(f"the sum needs {self.product_frac} fraction bits")

    def evaluate(self, *args: Mantissas) -> Mantissas:
        """The exact sums of products."""
        sums = exact_matmul(args[0], self.weights.numpy())
        return align(sums, self.product_frac, self.out.frac)


@irdl_op_definition
class NextOp(IRDLOperation):
    """Ends a step with its output and the next states."""

    name = "dataflow.next"
    args = var_operand_def(base(FixedType))
    traits = traits_def(IsTerminator())
    assembly_format = "$args attr-dict `:` type($args)"

    def __init__(self, args: Sequence[SSAValue]):
        super().__init__(operands=[args])


@dataclass(frozen=True)
class Phase:
    """What happens to the units after one vector has been multiplied with weights.

    `vector` is what the previous phase, or the previous step, has made; `dots` are the sums per
    unit, `body` the scalar ops from them to what the phase makes, without constants.
    """

    vector: SSAValue
    dots: tuple[DotOp, ...]
    body: tuple[ScalarOp, ...]

    @property
    def weight_format(self) -> Format:
        """The format that holds the weights of all sums."""
        return _common([d.weight_type.format for d in self.dots])

    @property
    def accumulator(self) -> Format:
        """The format that holds all sums, and keeps the fraction bits of `weight_format`."""
        frac = format_of(self.vector).frac + self.weight_format.frac
        return _common([*(d.out for d in self.dots), Format(False, 1, 1 - frac)])


def _common(formats: Sequence[Format]) -> Format:
    """The narrowest format that holds all values of all formats."""
    frac = max(f.frac for f in formats)
    lo = min(f.min_mantissa << (frac - f.frac) for f in formats)
    hi = max(f.max_mantissa << (frac - f.frac) for f in formats)
    return Format.holding(lo, hi, frac)


def phases_of(block: Block) -> tuple[Phase, ...]:
    """The phases of a step; raise ValueError if they are not one or two with a vector each."""
    level: dict[SSAValue, int] = dict.fromkeys(block.args, 0)
    for op in block.ops:
        if isinstance(op, DotOp):
            level[op.result] = 0 if isinstance(op.x, BlockArgument) else level[op.x] + 1
        elif isinstance(op, ScalarOp):
            level[op.result] = max((level[o] for o in op.operands), default=0)
    members = [op for op in block.ops if isinstance(op, ScalarOp | DotOp)]
    count = max(level.values()) + 1
    if count > MOST_PHASES:
        raise ValueError(f"a step multiplies {count} times in a row, {MOST_PHASES} is the limit")
    return tuple(_phase([op for op in members if level[op.result] == k]) for k in range(count))


def _phase(ops: Sequence[ScalarOp]) -> Phase:
    dots = tuple(op for op in ops if isinstance(op, DotOp))
    vectors = {d.x for d in dots}
    if len(vectors) != 1:
        raise ValueError(f"a step multiplies {len(vectors)} vectors at once, one is possible")
    body = (op for op in ops if not isinstance(op, DotOp | scalar.ConstantOp))
    return Phase(vectors.pop(), dots, tuple(body))


@irdl_op_definition
class RecurrentOp(ProcessOp):
    """Rows (T, U * K) of K gates per unit to outputs (T, U), or to the last of them (U,).

    The body takes the gates and the states of one unit and yields its output and next states;
    `dataflow.dot` sees the vector of all units. States begin as zeros. PE units are made at once,
    from `simd` products per sum: the lanes are PE * K and PE.
    """

    name = "dataflow.recurrent"
    x = operand_def(StreamType)
    simd = prop_def(IntegerAttr[I64])
    result = result_def(StreamType)
    body = region_def("single_block")
    assembly_format = "$x attr-dict `:` functional-type(operands, results) $body"

    def __init__(
        self, x: SSAValue, body: Region, result: StreamType, simd: int = 1, layer: str = ""
    ):
        super().__init__(
            operands=[x],
            regions=[body],
            properties={"simd": IntegerAttr(simd, i64), "layer": name_attr(layer)},
            result_types=[result],
        )

    @property
    def ending(self) -> NextOp:
        """The terminator of the body."""
        return cast(NextOp, self.body.block.last_op)

    @property
    def units(self) -> int:
        """Elements of a state."""
        return self.result.type.shape[-1]

    @property
    def steps(self) -> int:
        """Rows of the operand."""
        return stream_of(self.x).shape[0]

    @property
    def sequences(self) -> bool:
        """Whether every output leaves, not the last one only."""
        return len(self.result.type.shape) > 1

    @property
    def gates(self) -> Sequence[SSAValue]:
        """The arguments of the body that stand for parts of a row."""
        return self.body.block.args[: 1 - len(self.ending.args) or None]

    @property
    def states(self) -> Sequence[SSAValue]:
        """The arguments of the body that stand for states."""
        return self.body.block.args[len(self.gates) :]

    @property
    def pe(self) -> int:
        """Units made at once."""
        return self.result.type.width

    @property
    def inner_lanes(self) -> int:
        """Products per sum and cycle."""
        return self.simd.value.data

    def phases(self) -> tuple[Phase, ...]:
        """The parts of a step, one after the other."""
        return phases_of(self.body.block)

    def next_of(self, state: SSAValue) -> SSAValue:
        """The value that a state has in the next step."""
        return self.ending.args[1 + list(self.states).index(state)]

    def verify_(self) -> None:
        """Shapes and lanes fit; the body makes of states states, in one or two phases."""
        block = self.body.block
        if not isinstance(block.last_op, NextOp) or not self.ending.args:
            raise VerifyException("the body of dataflow.recurrent ends in dataflow.next")
        if not all(isinstance(op, ScalarOp) for op in list(block.ops)[:-1]):
            raise VerifyException("the body of dataflow.recurrent holds scalar operations only")
        try:
            first = self.phases()[0].vector
        except ValueError as error:
            raise VerifyException(str(error)) from None
        if first not in self.states:
            raise VerifyException("a step multiplies one of its states")
        self._verify_types()
        self._verify_shapes()

    def _verify_types(self) -> None:
        gates = {format_of(gate) for gate in self.gates}
        if gates != {stream_of(self.x).format}:
            raise VerifyException("the body of dataflow.recurrent takes elements of the operand")
        if [v.type for v in self.ending.args] != [
            FixedType.of(self.result.type.format),
            *(s.type for s in self.states),
        ]:
            raise VerifyException("a step yields an element of the result, then the next states")

    def _verify_shapes(self) -> None:
        x, y = stream_of(self.x), self.result.type
        if x.shape != (self.steps, self.units * len(self.gates)) or y.shape not in (
            (self.units,),
            (self.steps, self.units),
        ):
            raise VerifyException(f"rows {x.shape} of gates do not make {y.shape}")
        if x.width != y.width * len(self.gates):
            raise VerifyException("the lanes of dataflow.recurrent are whole units")
        if self.units % self.inner_lanes or self.inner_lanes % self.pe:
            raise VerifyException(f"simd={self.inner_lanes} is no part of {self.units} units")
        if any(d.weights.shape[0] != self.units for p in self.phases() for d in p.dots):
            raise VerifyException(f"the weights of dataflow.dot are for {self.units} units")

    def evaluate(self, *args: Mantissas) -> tuple[Mantissas, ...]:
        """Step by step."""
        events = len(args[0])
        rows = args[0].reshape(events, self.steps, self.units, len(self.gates))
        states = [np.zeros((events, self.units), np.int64) for _ in self.states]
        outputs: list[Mantissas] = []
        for step in range(self.steps):
            output, *states = self.step(*np.moveaxis(rows[:, step], -1, 0), *states)
            outputs.append(np.broadcast_to(output, (events, self.units)))
        return (np.stack(outputs, axis=1) if self.sequences else outputs[-1],)

    def step(self, *args: Mantissas) -> list[Mantissas]:
        """The output and the next states, from gates and states (B, U)."""
        values: dict[SSAValue, Mantissas] = dict(zip(self.body.block.args, args, strict=True))
        for op in self.body.block.ops:
            if isinstance(op, ScalarOp):
                values[op.result] = op.evaluate(*(values[o] for o in op.operands))
        return [values[o] for o in self.ending.args]

    def fold(self, offered: tuple[Layout, ...], target: int) -> Folding:
        """The fewest multipliers that are fast enough, else the fewest of the fastest.

        All products of a sum come before several units at once.
        """
        u, count = self.units, len(self.gates)
        most = min(most_lanes(stream_of(self.x)) // count, most_lanes(self.result.type))
        pairs = [(simd, 1) for simd in divisors(u)]
        pairs += [(u, pe) for pe in divisors(u) if pe <= most]
        trips = {pair: self._schedule(*pair).trips for pair in pairs}
        enough = max(target, min(trips.values()))
        simd, pe = min((p for p in pairs if trips[p] <= enough), key=lambda p: p[0] * p[1])
        return Folding((Layout(pe * count),), (Layout(pe),), simd)

    def fold_inside(self, folding: Folding) -> None:
        """The products per sum and cycle."""
        self.simd = IntegerAttr(folding.simd, i64)

    def schedule(self) -> Schedule:
        """Phase after phase, each when the pipeline of the one before is empty."""
        return self._schedule(self.inner_lanes, self.pe)

    def _schedule(self, simd: int, pe: int) -> Schedule:
        return schedules.recurrent(
            self.steps,
            self.units,
            simd,
            pe,
            len(self.phases()),
            self.sequences,
            depths.recurrent(simd, self.epilogue_depth()),
        )

    def epilogue_depth(self) -> int:
        """Cycles from the sums to what a phase makes, in the longest of all phases."""
        return max(_longest(phase) for phase in self.phases())

    def products(self) -> Sequence[tuple[int, int]]:
        """Weights times elements of the vector of each phase."""
        return [
            (p.weight_format.width + format_of(p.vector).width, p.accumulator.width)
            for p in self.phases()
        ]

    def registers(self) -> int:
        """The lanes, or the products of a sum."""
        return max(self.inner_lanes, super().registers())

    def resources(self) -> Resources:
        """Multipliers, weights and epilogues of all phases, and the states."""
        folds = self.units // self.pe
        bits = sum(format_of(v).width for v in (*self.states, *self.ending.args[1:]))
        total = resources.memory(folds, bits * self.pe)
        for phase in self.phases():
            total = total + self._phase_resources(phase)
        return total

    def _phase_resources(self, phase: Phase) -> Resources:
        words = self.units // self.inner_lanes
        core = resources.matvec(
            pe=self.pe * len(phase.dots),
            simd=self.inner_lanes,
            depth=words * (self.units // self.pe),
            words=words,
            weight_width=signed_width(phase.weight_format),
            data_width=signed_width(format_of(phase.vector)),
            acc_width=phase.accumulator.width,
            ports=multiplier_of(self),
        )
        for op in phase.body:
            core = core + scalar_resources(op).scaled(self.pe)
        return core


CYCLES: dict[type[Operation], int] = {
    **dict.fromkeys((scalar.MultiplyOp, scalar.AffineOp, scalar.LeakyReluOp), depths.MULTIPLY),
    **dict.fromkeys((scalar.LookupOp, scalar.ThresholdOp), depths.TABLE),
}
"""Pipeline stages of scalar operations (estimates); the others take one."""


def _longest(phase: Phase) -> int:
    """The stages on the longest path through a phase."""
    ready: dict[SSAValue, int] = {}
    for op in phase.body:
        start = max((ready.get(o, 0) for o in op.operands), default=0)
        ready[op.result] = start + CYCLES.get(type(op), 1)
    return max(ready.values(), default=0)
