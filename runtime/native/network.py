"""Networks of compiled steps: where values are kept, and how a network runs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.dialects.dataflow.stream import stream_of
from calocc.dialects.fixed.format import Format
from calocc.runtime.native.library import (
    Elements,
    Move,
    Network,
    Products,
    Reduction,
    Step,
    TapSum,
    Value,
    library,
)

Array = NDArray[np.int64]
Body = Products | Reduction | Elements | TapSum | Move

KINDS = (np.uint8, np.int16, np.int32, np.int64)
"""The types of stored elements in the order of `Kind` in `integers.h`."""
U8, I16, I32, I64 = range(len(KINDS))
BODIES = (Products, Reduction, Elements, TapSum, Move)
ALIGNMENT = 64
BEYOND = 3
"""Bytes behind a value that products may read; they are multiplied by 0."""


def container(format: Format) -> int:
    """The narrowest kind that holds all mantissas of a format."""
    if not format.signed and format.width <= 8:
        return U8
    bits = format.width + (not format.signed)
    return I16 if bits <= 16 else I32 if bits <= 32 else I64


@dataclass(eq=False)
class Stored:
    """A value of a network: its kind, its elements per event, the steps from its first to its last
    use, and the array that holds it (-1: the arena)."""

    kind: int
    elements: int
    array: int = -1
    born: int = -1
    dies: int = -1

    @property
    def bytes(self) -> int:
        """Bytes per event, with room to read beyond the end in the arena."""
        used = self.elements * np.dtype(KINDS[self.kind]).itemsize
        return used if self.array >= 0 else _up(used + BEYOND, ALIGNMENT)

    def lives_with(self, other: Stored) -> bool:
        """Whether both are needed at some time."""
        return self.born <= other.dies and other.born <= self.dies


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


@dataclass(eq=False)
class Assembly:
    """A network being built; `arrays` are the values that the caller holds, as int64."""

    arrays: Sequence[SSAValue]
    values: list[Stored] = field(default_factory=list[Stored])
    numbers: dict[object, int] = field(default_factory=dict[object, int])
    bodies: list[Body] = field(default_factory=list[Body])
    keep: list[object] = field(default_factory=list[object])

    def number(self, value: SSAValue) -> int:
        """The number of a value that a step reads or writes."""
        if value not in self.numbers:
            stream = stream_of(value)
            held = value in self.arrays
            array = self.arrays.index(value) if held else -1
            kind = I64 if held else container(stream.format)
            self.numbers[value] = self.new(Stored(kind, stream.size, array))
        return self.numbers[value]

    def new(self, value: Stored) -> int:
        """The number of a new value."""
        self.values.append(value)
        return len(self.values) - 1

    def once(self, key: object, make: Callable[[], int]) -> int:
        """The number of a value that several steps may read, made for the first of them."""
        if key not in self.numbers:
            self.numbers[key] = make()
        return self.numbers[key]

    def kind(self, number: int) -> int:
        """The kind of a value."""
        return self.values[number].kind

    def add(self, body: Body, reads: Sequence[int], write: int) -> None:
        """Append a step."""
        now = len(self.bodies)
        for number in (*reads, write):
            value = self.values[number]
            value.born = now if value.born < 0 else value.born
            value.dies = now
        self.bodies.append(body)

    def address(self, array: NDArray[Any]) -> int:
        """The address of an array that lives as long as the network."""
        array = np.ascontiguousarray(array)
        self.keep.append(array)
        return array.ctypes.data

    def finished(self) -> CompiledNetwork:
        """The network."""
        offsets, arena = _offsets(self.values)
        values = (Value * len(self.values))(
            *(Value(v.bytes, v.array, o) for v, o in zip(self.values, offsets, strict=True))
        )
        steps = (Step * len(self.bodies))(
            *(Step(BODIES.index(type(b)), ctypes.addressof(b)) for b in self.bodies)
        )
        network = Network(steps, len(steps), values, len(values), arena)
        return CompiledNetwork(network, [*self.keep, self.bodies, steps, values])


def _offsets(values: Sequence[Stored]) -> tuple[list[int], int]:
    """Places in the arena such that values that live at the same time are apart; its size."""
    placed: dict[Stored, int] = {}
    for value in sorted(values, key=lambda v: v.born):
        if value.array < 0:
            placed[value] = _first_gap(value.bytes, _taken(value, placed))
    size = max((offset + value.bytes for value, offset in placed.items()), default=0)
    return [placed.get(value, 0) for value in values], size


def _taken(value: Stored, placed: Mapping[Stored, int]) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of the places that are not free for a value, in ascending order."""
    others = ((o, o + v.bytes) for v, o in placed.items() if v.lives_with(value))
    yield from sorted(others)


def _first_gap(size: int, taken: Iterator[tuple[int, int]]) -> int:
    free = 0
    for begin, end in taken:
        if begin - free >= size:
            break
        free = max(free, end)
    return free


@dataclass(eq=False)
class CompiledNetwork:
    """A network and what it points to."""

    network: Network
    keep: list[object]

    def run(self, arrays: Sequence[Array], threads: int) -> None:
        """Run on int64 arrays (events, ...), some of which are results.

        Raises IndexError where a lookup leaves its table.
        """
        assert all(array.flags.c_contiguous for array in arrays)
        addresses = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        events = ctypes.c_int64(len(arrays[0]))
        loaded = library()
        assert loaded is not None
        if not loaded.calocc_run(ctypes.byref(self.network), addresses, events, threads):
            raise IndexError("a lookup leaves its table")
