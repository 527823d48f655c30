"""Runs a module on arrays, op by op: reals in float64, fixed-point numbers as exact mantissas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

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
        if not isinstance(op, Executable):
            raise TypeError(f"{op.name} cannot be executed")
        results = _evaluate(op, arguments, observe)
        for value, array in zip(op.results, results, strict=True):
            values[value], uses[value] = array, len(list(value.uses))
    raise ValueError("main has no return")


def _evaluate(
    op: Executable, arguments: Sequence[Array], observe: Watch | None
) -> tuple[Array, ...]:
    if observe is None:
        return op.evaluate(*arguments)
    inner = isinstance(op, Repeating)
    results = op.evaluate_watched(observe, *arguments) if inner else op.evaluate(*arguments)
    assert isinstance(op, Operation)
    observe(op, results)
    return results


def _take(values: dict[SSAValue, Array], uses: dict[SSAValue, int], operand: SSAValue) -> Array:
    uses[operand] -= 1
    return values[operand] if uses[operand] else values.pop(operand)
