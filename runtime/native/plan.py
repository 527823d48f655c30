"""The emulator in compiled inner loops: a dataflow module as networks of compiled steps.

Windows are never stored where the process behind them is compiled: it reads the image. Values are
kept in the narrowest integers that hold their format. Whatever has no compiled form runs as the
op's own `evaluate`, so a plan can run every module, with the same bits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from calocc.compiler.ports import main_function, return_op
from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.runtime.emulator import EVENTS_AT_ONCE
from calocc.runtime.native.library import Elements, Sink, Stream
from calocc.runtime.native.network import I64, Assembly, CompiledNetwork, Stored
from calocc.runtime.native.program import CompiledEpilogue
from calocc.runtime.native.steps import BUILDERS, compiles
from calocc.runtime.native.units import ALIASES, Unit, origin

Array = NDArray[np.int64]
COMPILED_AT_ONCE = 1024
"""Events per pass where everything is compiled; `EVENTS_AT_ONCE` bound the memory elsewhere."""


class Part(Protocol):
    """A piece of a plan."""

    def run(self, values: dict[SSAValue, Array], threads: int) -> None:
        """Compute values (B, *shape) from those that are there; under origins only."""
        ...


@dataclass(frozen=True, eq=False)
class Segment:
    """Steps that run in one go, on the arrays of `reads` and `writes`."""

    network: CompiledNetwork
    reads: tuple[SSAValue, ...]
    writes: tuple[SSAValue, ...]

    def run(self, values: dict[SSAValue, Array], threads: int) -> None:
        """Run the network."""
        events = len(values[self.reads[0]])
        for value in self.writes:
            values[value] = np.empty((events, *stream_of(value).shape), np.int64)
        self.network.run([values[v] for v in (*self.reads, *self.writes)], threads)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A process that evaluates itself."""

    op: DataflowOp

    @property
    def reads(self) -> set[SSAValue]:
        """The origins of its operands."""
        return {origin(o) for o in self.op.operands}

    @property
    def writes(self) -> set[SSAValue]:
        """Its results."""
        return set(self.op.results)

    def run(self, values: dict[SSAValue, Array], threads: int) -> None:
        """Evaluate on int64."""
        operands = [as_stored(values, operand) for operand in self.op.operands]
        for result, array in zip(self.op.results, self.op.evaluate(*operands), strict=True):
            values[result] = np.ascontiguousarray(array, np.int64)


def as_stored(values: Mapping[SSAValue, Array], value: SSAValue) -> Array:
    """A value in its own shape."""
    array = values[origin(value)]
    return array.reshape(len(array), *stream_of(value).shape)


@dataclass(frozen=True, eq=False)
class Plan:
    """The parts of a module; `dead[k]` are the values that no part after k reads."""

    arguments: tuple[SSAValue, ...]
    results: tuple[SSAValue, ...]
    parts: tuple[Part, ...]
    dead: tuple[Set[SSAValue], ...]

    @property
    def events_at_once(self) -> int:
        """A number of events that a pass over the plan takes at full speed in bounded memory."""
        evaluates = any(isinstance(part, Evaluated) for part in self.parts)
        return EVENTS_AT_ONCE if evaluates else COMPILED_AT_ONCE

    def run(self, inputs: Sequence[Array], threads: int) -> list[Array]:
        """One array of mantissas (B, *shape) per argument; one per result, as `execute` gives.

        Raises IndexError where a lookup leaves its table, which no compiled design does.
        """
        values: dict[SSAValue, Array] = {
            value: np.ascontiguousarray(x, np.int64)
            for value, x in zip(self.arguments, inputs, strict=True)
        }
        for part, dead in zip(self.parts, self.dead, strict=True):
            part.run(values, threads)
            for value in dead:
                values.pop(value, None)
        return [as_stored(values, value) for value in self.results]

    @staticmethod
    def of(module: ModuleOp) -> Plan:
        """The plan of a dataflow module."""
        function = main_function(module)
        ops = [op for op in function.body.block.ops if isinstance(op, DataflowOp)]
        results = tuple(return_op(function).operands)
        needed = {origin(value) for value in results}
        parts: list[Part] = []
        dead: list[Set[SSAValue]] = []
        for pieces in reversed(_grouped(_alive(_units(ops), needed))):
            reads, writes = _outside(pieces)
            parts.insert(0, _part(pieces, reads, writes & needed))
            dead.insert(0, reads - needed)
            needed = (needed - writes) | reads
        return Plan(tuple(function.args), results, tuple(parts), tuple(dead))


# ---- which processes run together ----------------------------------------------------------------

Piece = Unit | Evaluated


def _units(ops: Sequence[DataflowOp]) -> Iterator[Piece]:
    """The processes in order, with element-wise ones joined to those that feed them."""
    compiled = {op for op in ops if compiles(op)}
    begun: dict[DataflowOp, Unit] = {}
    for op in ops:
        if op not in compiled:
            if not isinstance(op, ALIASES):
                yield Evaluated(op)
            continue
        unit = begun.pop(op, None) or Unit(op)
        follower = unit.follower()
        if follower is None or follower[0] not in compiled or follower[0] in begun:
            yield unit
        else:
            begun[follower[0]] = unit.joined(*follower)


def _alive(pieces: Iterable[Piece], results: Set[SSAValue]) -> list[Piece]:
    """The pieces that anything needs: nobody reads windows through their image."""
    alive: list[Piece] = []
    needed = set(results)
    for piece in reversed(list(pieces)):
        if needed & piece.writes:
            alive.insert(0, piece)
            needed |= piece.reads
    return alive


def _grouped(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Units that run in one go, and what evaluates itself piece by piece."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and isinstance(piece, Unit) and isinstance(groups[-1][-1], Unit):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _outside(pieces: Sequence[Piece]) -> tuple[Set[SSAValue], Set[SSAValue]]:
    """What the pieces read that none of them computes, and what they compute."""
    writes = {value for piece in pieces for value in piece.writes}
    return {value for piece in pieces for value in piece.reads} - writes, writes


def _part(pieces: Sequence[Piece], reads: Set[SSAValue], writes: Set[SSAValue]) -> Part:
    """One part of a plan."""
    if isinstance(pieces[0], Evaluated):
        return pieces[0]
    assembly = Assembly((*reads, *writes))
    for unit in pieces:
        assert isinstance(unit, Unit)
        BUILDERS[type(unit.op)](assembly, unit)
    return Segment(assembly.finished(), tuple(reads), tuple(writes))


# ---- a single epilogue ---------------------------------------------------------------------------


def run_program(
    epilogue: CompiledEpilogue, arrays: Sequence[Array], y: Array, threads: int
) -> None:
    """Run an epilogue on arrays (..., channels) of one shape into `y`; all are C-contiguous int64.

    Raises IndexError where a lookup leaves its table.
    """
    channels = epilogue.program.channels
    assembly = Assembly(())
    numbers = [assembly.new(Stored(I64, channels, k)) for k in range(len(arrays) + 1)]
    streams = (Stream * max(len(arrays), 1))(*(Stream(n, I64, channels, 1) for n in numbers[:-1]))
    sizes = (len(arrays), 0, numbers[-1], I64, 1)
    body = Elements(Sink(ctypes.pointer(epilogue.program), streams, *sizes))
    assembly.add(body, numbers[:-1], numbers[-1])
    rows = [a.reshape(-1, channels) for a in (*arrays, y)]
    assembly.finished().run(rows, threads)
