"""Epilogues as short programs for the compiled emulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Region, SSAValue

from calocc.dialects.dataflow.process import epilogue_ops
from calocc.dialects.fixed import ops
from calocc.dialects.fixed.arithmetic import least_mantissa
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.runtime.native.library import Instruction, Operand, Program

Array = NDArray[np.int64]
Registers = type[np.int32] | type[np.int64]

OPS = (
    *(ops.AddOp, ops.SubtractOp, ops.MultiplyOp, ops.MaximumOp, ops.MinimumOp, ops.ReluOp),
    *(ops.AffineOp, ops.LeakyReluOp, ops.GateOp, ops.IsZeroOp, ops.QuantizeOp, ops.ThresholdOp),
    ops.LookupOp,
)
"""The scalar ops in the order of `Op` in `native.cpp`."""
ROUNDINGS = tuple(Rounding)
OVERFLOWS = {Overflow.WRAP: 0, Overflow.SAT: 1, Overflow.SAT_SYM: 1, Overflow.SAT_ZERO: 2}
NARROW = 30
"""Bits with which rounding and comparing stay clear of the ends of int32."""
WIDE = 62
PERIOD = 128
"""The least elements of a constant: few channels are repeated to make loops long."""


class NotCompiled(Exception):
    """An epilogue with an op or a width that the compiled emulator does not have."""


@dataclass(frozen=True)
class Link:
    """An epilogue in a chain; `position` is the argument that the epilogue before it computes."""

    region: Region
    position: int = 0


@dataclass(eq=False)
class CompiledEpilogue:
    """A program and the arrays that it points to."""

    program: Program
    keep: list[object]

    @property
    def registers(self) -> Registers:
        """The type of its registers."""
        return np.int64 if self.program.wide else np.int32


@dataclass(eq=False)
class _Builder:
    """Assigns registers and fills instructions."""

    channels: int
    wide: bool
    first_result: int = 0
    registers: dict[SSAValue, int] = field(default_factory=dict[SSAValue, int])
    constants: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])
    instructions: list[Instruction] = field(default_factory=list[Instruction])
    keep: list[object] = field(default_factory=list[object])

    @property
    def dtype(self) -> Registers:
        """The type of registers."""
        return np.int64 if self.wide else np.int32

    @property
    def repeats(self) -> int:
        """Pixels that a constant is stored for."""
        return -(-PERIOD // self.channels)

    def operand(self, value: SSAValue, frac: int | None = None) -> Operand:
        """A value, to be brought to `frac` fraction bits if any are given."""
        shift = 0 if frac is None else frac - ops.format_of(value).frac
        if value in self.registers:
            return Operand(self.registers[value], shift, None)
        return Operand(-1, shift, self.array(np.tile(self.constants[value], self.repeats)))

    def array(self, values: Array) -> int:
        """The address of an array of register width that lives as long as the program."""
        array = np.ascontiguousarray(values, self.dtype)
        self.keep.append(array)
        return array.ctypes.data

    def add(self, op: ops.ScalarOp) -> None:
        """Append an op."""
        self.registers[op.result] = self.first_result + len(self.instructions)
        instruction = Instruction(op=OPS.index(type(op)), result=self.registers[op.result])
        FILL[type(op)](self, op, instruction)
        self.instructions.append(instruction)


Fill = Callable[[_Builder, ops.ScalarOp, Instruction], None]


def _aligned(builder: _Builder, op: ops.ScalarOp, to: Instruction) -> None:
    """Operands at the result's binary point."""
    operands = [builder.operand(o, op.out.frac) for o in op.operands]
    to.a, to.b = operands[0], operands[-1]


def _scaled(builder: _Builder, op: ops.ScalarOp, to: Instruction) -> None:
    """A product of the first two operands; a third one, and the first alone, are aligned."""
    x, factor, *rest = op.operands
    fracs = ops.format_of(x).frac + ops.format_of(factor).frac
    to.a, to.b = builder.operand(x, op.out.frac), builder.operand(factor)
    to.shift = op.out.frac - fracs
    if rest:
        to.c = builder.operand(rest[0], op.out.frac)


def _gate(builder: _Builder, op: ops.ScalarOp, to: Instruction) -> None:
    """Operand and threshold at their common binary point, from which c shifts to the result's."""
    x, threshold, slope = op.operands
    common = max(ops.format_of(x).frac, ops.format_of(threshold).frac)
    to.a, to.b = builder.operand(x, common), builder.operand(threshold, common)
    to.c = builder.operand(slope)
    to.c.shift = op.out.frac - common
    to.shift = op.out.frac - common - ops.format_of(slope).frac


def _is_zero(builder: _Builder, op: ops.ScalarOp, to: Instruction) -> None:
    to.a, to.shift = builder.operand(op.operands[0]), op.out.frac


def _quantize(builder: _Builder, op: ops.ScalarOp, to: Instruction) -> None:
    assert isinstance(op, ops.QuantizeOp)
    overflow, out = op.overflow.data, op.out
    to.a = builder.operand(op.x)
    to.shift = ops.format_of(op.x).frac - out.frac
    to.rounding, to.overflow = ROUNDINGS.index(op.rounding.data), OVERFLOWS[overflow]
    to.width = out.width if out.signed else -out.width
    to.lo, to.hi = least_mantissa(out, overflow), out.max_mantissa


def _threshold(builder: _Builder, op: ops.ScalarOp, to: Instruction) -> None:
    assert isinstance(op, ops.ThresholdOp)
    table = op.thresholds.numpy()
    rows = np.broadcast_to(table, (builder.channels, table.shape[1])).T
    if not builder.wide:  # a threshold beyond int32 is never reached, or always
        rows = rows.clip(-(1 << 31), (1 << 31) - 1)
    to.a, to.base, to.size = builder.operand(op.x), op.base.value.data, table.shape[1]
    to.table = builder.array(np.tile(rows, (1, builder.repeats)))


def _lookup(builder: _Builder, op: ops.ScalarOp, to: Instruction) -> None:
    assert isinstance(op, ops.LookupOp)
    table = op.table.numpy()
    to.a, to.base, to.size = builder.operand(op.x), op.origin.value.data, table.shape[-1]
    to.stride = table.shape[-1] if table.ndim > 1 else 0
    to.table = builder.array(table)


FILL: dict[type[ops.ScalarOp], Fill] = {
    **dict.fromkeys(
        (ops.AddOp, ops.SubtractOp, ops.MaximumOp, ops.MinimumOp, ops.ReluOp), _aligned
    ),
    **dict.fromkeys((ops.MultiplyOp, ops.AffineOp, ops.LeakyReluOp), _scaled),
    ops.GateOp: _gate,
    ops.IsZeroOp: _is_zero,
    ops.QuantizeOp: _quantize,
    ops.ThresholdOp: _threshold,
    ops.LookupOp: _lookup,
}


def compile_epilogue(region: Region, channels: int) -> CompiledEpilogue:
    """The program of an epilogue on `channels` channels; raise NotCompiled."""
    return compile_chain([Link(region)], channels)


def compile_chain(links: Sequence[Link], channels: int, wide: bool = False) -> CompiledEpilogue:
    """The program of epilogues that follow each other; raise NotCompiled.

    The first registers are the arguments in order, without those that a link computes for the
    next one. `wide` asks for registers of 64 bits where 32 would do.
    """
    builder = _Builder(channels, wide or max(map(_needed_bits, links)) > NARROW)
    for number, link in enumerate(links):
        for position, argument in enumerate(link.region.block.args):
            if number == 0 or position != link.position:
                builder.registers[argument] = len(builder.registers)
    register, builder.first_result = 0, len(builder.registers)
    for number, link in enumerate(links):
        if number > 0:
            builder.registers[link.region.block.args[link.position]] = register
        register = _add_link(builder, link)
    return _finished(builder, register)


def _add_link(builder: _Builder, link: Link) -> int:
    """Append an epilogue; the register that holds its result."""
    body, result = epilogue_ops(link.region)
    for op in body:
        if isinstance(op, ops.ConstantOp):
            values = op.value.numpy().reshape(-1)
            builder.constants[op.result] = np.broadcast_to(values, (builder.channels,))
        elif type(op) in FILL:
            builder.add(op)
        else:
            raise NotCompiled(op.name)
    if result not in builder.registers:
        raise NotCompiled("a constant result")
    return builder.registers[result]


def _finished(builder: _Builder, result: int) -> CompiledEpilogue:
    count = len(builder.instructions)
    array = (Instruction * max(count, 1))(*builder.instructions)
    sizes = (builder.channels, builder.channels * builder.repeats, int(builder.wide))
    program = Program(array, count, builder.first_result + count, result, *sizes)
    return CompiledEpilogue(program, [*builder.keep, array])


def _needed_bits(link: Link) -> int:
    """The bits with which no comparison or rounding overflows; raise NotCompiled beyond 62."""
    body, _ = epilogue_ops(link.region)
    widths = [ops.format_of(argument).width for argument in link.region.block.args]
    for op in body:
        widths.append(op.out.width)
        if isinstance(op, ops.QuantizeOp):
            widths.append(abs(ops.format_of(op.x).frac - op.out.frac))
        else:  # operands of exact ops are brought to the binary point of the result
            formats = (ops.format_of(o) for o in op.operands)
            widths.extend(f.width + max(op.out.frac - f.frac, 0) for f in formats)
    if (needed := max(widths) + 1) > WIDE + 1:
        raise NotCompiled(f"{needed} bits")
    return needed
