"""Registries of what to do with an op, by its class: lowering, partitioning, emission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from xdsl.ir import Operation

State = TypeVar("State")
Result = TypeVar("Result")
Op = TypeVar("Op", bound=Operation)


class Rules(Generic[State, Result]):
    """Functions of a state and an op; the rule for a class also holds for its subclasses."""

    def __init__(self) -> None:
        self._rules: list[tuple[type[Operation], Callable[[State, Operation], Result]]] = []

    def on(
        self, kind: type[Op]
    ) -> Callable[[Callable[[State, Op], Result]], Callable[[State, Op], Result]]:
        """Register the decorated function for ops of a class."""

        def register(rule: Callable[[State, Op], Result]) -> Callable[[State, Op], Result]:
            def guarded(state: State, op: Operation) -> Result:
                assert isinstance(op, kind)
                return rule(state, op)

            self._rules.append((kind, guarded))
            return rule

        return register

    def find(self, op: Operation) -> Callable[[State, Operation], Result] | None:
        """The rule for an op: the first that was registered for a class of its."""
        return next((rule for kind, rule in self._rules if isinstance(op, kind)), None)
