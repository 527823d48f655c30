"""Registries of what to do with an op, by its class: lowering, partitioning, emission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from xdsl.ir import Operation

from calocc.compiler.diagnostics import CaloccError

State = TypeVar("State")
Result = TypeVar("Result")
Op = TypeVar("Op", bound=Operation)


@dataclass(eq=False)
class NoRule(CaloccError):
    """An op of a plug-in that lacks a part."""

    layer: str
    op: str
    lacks: str
    decorator: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return f"{self.op} has no {self.lacks}"

    @property
    def hint(self) -> str:
        return f"register one with @{self.decorator} in a module of the group calocc.rules"


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
