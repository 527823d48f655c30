"""Runs a module on arrays, op by op: reals in float64, fixed-point numbers as exact mantissas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, cast, runtime_checkable

from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.ports import main_function

Array = NDArray[Any]

EVENTS_AT_ONCE = 32
"""Events per pass over a module, for whoever has many: bounds the memory at full speed."""


@runtime_checkable
class Executable(Protocol):
    """An op that can run."""

    def evaluate(self, *args: Array) -> tuple[Array, ...]:
        """The results' arrays from the operands'."""
        ...


Watch = Callable[[Operation, tuple[Array, ...]], None]
"""Sees an op with its results."""


@runtime_checkable
class Repeating(Protocol):
    """An op that runs other ops, again and again."""

    def evaluate_watched(self, watch: Watch, *args: Array) -> tuple[Array, ...]:
        """The results' arrays from the operands'; `watch` sees the inner ops each time."""
        ...


def execute(
    module: ModuleOp,
    inputs: Sequence[Array],
    observe: Watch | None = None,
) -> list[Array]:
    """Run `main` on one array (B, *shape) per argument; return one array per result.

    `observe` sees every op with its results, inner ones as often as they run. Arrays are dropped
    after their last use.
    """
    block = main_function(module).body.block
    values: dict[SSAValue, Array] = dict(zip(block.args, inputs, strict=True))
    uses: dict[SSAValue, int] = {value: len(list(value.uses)) for value in block.args}
    for op in block.ops:
        arguments = [_take(values, uses, operand) for operand in op.operands]
        if isinstance(op, ReturnOp):
            return arguments
        results = _evaluate(op, arguments, observe)
        for value, array in zip(op.results, results, strict=True):
            values[value], uses[value] = array, len(list(value.uses))
    raise ValueError("main has no return")


def _evaluate(
    op: Operation, arguments: Sequence[Array], observe: Watch | None
) -> tuple[Array, ...]:
    kind = type(op)
    if not _is(kind, Executable):
        raise TypeError(f"{op.name} cannot be executed")
    if observe is None:
        return cast(Executable, op).evaluate(*arguments)
    if _is(kind, Repeating):
        results = cast(Repeating, op).evaluate_watched(observe, *arguments)
    else:
        results = cast(Executable, op).evaluate(*arguments)
    observe(op, results)
    return results


@cache  # Python looks a protocol up attribute by attribute, each time
def _is(kind: type[Operation], protocol: type) -> bool:
    """Whether ops of a class have the methods of a protocol."""
    return issubclass(kind, protocol)


def _take(values: dict[SSAValue, Array], uses: dict[SSAValue, int], operand: SSAValue) -> Array:
    uses[operand] -= 1
    return values[operand] if uses[operand] else values.pop(operand)
