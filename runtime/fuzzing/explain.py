"""Where two modules that should agree part: the first layer, the element, both mantissas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue

from calocc.compiler.ports import main_function, output_ports, return_op
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.types import FixedType
from calocc.dialects.qnn.op import is_constant
from calocc.runtime.emulator import execute

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """An element of a layer's result that is not what it was: `index` is (event, ...).

    Mantissas are those of `format`.
    """

    layer: str
    op: str
    index: tuple[int, ...]
    expected: float
    found: float
    expected_mantissa: int
    found_mantissa: int
    format: str

    def __str__(self) -> str:
        event, *element = self.index
        return (
            f"layer {self.layer!r} ({self.op}), event {event}, element {tuple(element)}: "
            f"expected {self.expected:g} (mantissa {self.expected_mantissa}), "
            f"found {self.found:g} (mantissa {self.found_mantissa} of {self.format})"
        )


@dataclass(frozen=True, eq=False)
class Value:
    """What an op yields, as reals."""

    layer: str
    op: str
    reals: Reals
    format: Format
    source: SSAValue


def values_of(module: ModuleOp, mantissas: Sequence[Ints]) -> list[Value]:
    """All fixed-point results of a module in order of execution; regions are left out."""
    found: list[Value] = []
    block = main_function(module).body.block

    def observe(op: Operation, results: tuple[Ints, ...]) -> None:
        for value, array in zip(op.results, results, strict=True):
            format = element_format(value.type)
            if format is not None and not is_constant(value) and op.parent is block:
                layer = str(getattr(op, "layer_name", op.name))
                found.append(Value(layer, op.name, to_real(array, format.frac), format, value))

    execute(module, mantissas, observe)
    return found


def element_format(type: Attribute) -> Format | None:
    """The format of the elements of a tensor or stream; None for reals."""
    if isinstance(type, StreamType):
        return type.format
    element: object = getattr(type, "element_type", None)
    return element.format if isinstance(element, FixedType) else None


def first_difference(
    before: ModuleOp, after: ModuleOp, mantissas: Sequence[Ints]
) -> Difference | None:
    """The first value of `after` that `before` has nowhere, against its layer's value there.

    Fusing moves the end of a layer into another op, so values are looked up by what they are, and
    only ones that an output depends on count. What is expected is what the same op of the layer
    has yielded, or else the last one.
    """
    known = values_of(before, mantissas)
    contents = {_content(v.reals) for v in known}
    by_layer = {(v.layer, v.reals.size): v for v in known}
    by_place = dict(_places(known))
    needed = _needed(after)
    for place, value in _places(values_of(after, mantissas)):
        old = by_place.get(place) or by_layer.get((value.layer, value.reals.size))
        if value.source not in needed or old is None or _content(value.reals) in contents:
            continue
        return _difference(value, old.reals.reshape(value.reals.shape))
    return None


def _places(values: Sequence[Value]) -> Iterator[tuple[tuple[object, ...], Value]]:
    """Each value with its layer, op and size, and how many such there are before it."""
    counts = Counter[tuple[object, ...]]()
    for value in values:
        kind = value.layer, value.op, value.reals.size
        yield (*kind, counts[kind]), value
        counts[kind] += 1


def output_difference(
    before: ModuleOp, after: ModuleOp, expected: Sequence[Ints], found: Sequence[Ints]
) -> Difference | None:
    """The first element of an output that differs."""
    ports = zip(output_ports(before), output_ports(after), expected, found, strict=True)
    for old, new, wanted, got in ports:
        assert old.format is not None
        assert new.format is not None
        pair = to_real(wanted, old.format.frac), to_real(got, new.format.frac)
        if pair[0].shape != pair[1].shape or not np.array_equal(*pair):
            index = _first(*pair)
            values = (float(pair[0][index]), float(pair[1][index]))
            return Difference(old.name, "output", index, *values, int(wanted[index]),
                              int(got[index]), str(new.format))  # fmt: skip
    return None


def _difference(value: Value, wanted: Reals) -> Difference:
    index = _first(wanted, value.reals)
    expected, found = float(wanted[index]), float(value.reals[index])
    scale = 2.0**value.format.frac
    return Difference(
        value.layer, value.op, index, expected, found, round(expected * scale),
        round(found * scale), str(value.format),
    )  # fmt: skip


def _first(a: Reals, b: Reals) -> tuple[int, ...]:
    return tuple(int(n) for n in np.argwhere(a != b)[0])


def _content(reals: Reals) -> bytes:
    return (reals + 0.0).tobytes()


def _needed(module: ModuleOp) -> set[SSAValue]:
    """The values that an output depends on."""
    open_: list[SSAValue] = list(return_op(main_function(module)).operands)
    needed: set[SSAValue] = set()
    while open_:
        value = open_.pop()
        if value in needed:
            continue
        needed.add(value)
        if isinstance(value.owner, Operation):
            needed.update(value.owner.results)
            open_.extend(value.owner.operands)
    return needed
