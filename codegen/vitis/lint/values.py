"""Constants of a kernel for one call of it: sizes of streams, members of its config, and locals."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tree_sitter import Node

from calocc.codegen.vitis.lint.syntax import Function, Program, of_type, text_of

_BINARY: Mapping[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "%": lambda a, b: a - b * (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1),
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
}
_UNARY: Mapping[str, Callable[[int], int]] = {
    "-": operator.neg, "+": operator.pos, "!": operator.not_, "~": operator.invert
}  # fmt: skip


@dataclass
class Scope:
    """What names stand for in a function with given template arguments; None is not known."""

    program: Program
    types: Mapping[str, str]
    """The types that template parameters stand for, as text."""
    values: dict[str, int | None] = field(default_factory=dict[str, int | None])

    @staticmethod
    def of(program: Program, function: Function, arguments: list[str]) -> Scope:
        """The scope of a function that is called with these template arguments."""
        scope = Scope(program, dict(zip(function.template, arguments, strict=False)))
        for name, value in program.constants.items():
            scope.values[name] = scope.value(value)
        for variable in function.variables:
            if variable.constant:
                scope.values[variable.name] = scope.value(variable.value)
        return scope

    def value(self, node: Node | None) -> int | None:
        """The value of an expression, as far as it is known."""
        if node is None:
            return None
        kind, parts = node.type, [c for c in node.children if c.is_named]
        if kind == "number_literal":
            return _number(text_of(node))
        if kind in ("true", "false"):
            return int(kind == "true")
        if kind == "identifier":
            return self.values.get(text_of(node))
        if kind == "parenthesized_expression":
            return self.value(parts[0])
        if kind == "qualified_identifier":
            return self._member(*text_of(node).rpartition("::")[::2])
        if kind == "conditional_expression":
            condition, then, other = map(self.value, parts)
            return None if condition is None else (then if condition else other)
        sign = text_of(node.child_by_field_name("operator"))
        values = [self.value(part) for part in parts]
        known = [v for v in values if v is not None]
        if len(known) < len(values):
            return None
        if kind == "unary_expression" and sign in _UNARY:
            return int(_UNARY[sign](*known))
        if kind == "binary_expression" and sign in _BINARY:
            return int(_BINARY[sign](*known))
        return None

    def _member(self, owner: str, name: str) -> int | None:
        """A constant of a struct, or the size of a beat."""
        owner = self.types.get(owner, owner)
        if name == "size" and (beat := beat_of(self.program, owner)) is not None:
            return beat[1]
        struct = self.program.structs.get(owner.removeprefix("nnet::"))
        if struct is None or name not in struct.constants:
            return None
        return Scope(self.program, self.types).value(struct.constants[name])


def _number(text: str) -> int | None:
    try:
        return int(text.rstrip("uUlL"), 0)
    except ValueError:
        return None


def beat_of(program: Program, type: str) -> tuple[int | None, int | None] | None:
    """Bits of an element and elements of a beat, if the type is one of `nnet::array`."""
    node = program.types.get(type)
    found = None if node is None else next(of_type(node, "template_type"), None)
    if found is None or text_of(found.child_by_field_name("name")) != "array":
        return None
    arguments = found.child_by_field_name("arguments")
    element, size = [c for c in arguments.children if c.is_named] if arguments else (None, None)
    inner = None if element is None else next(of_type(element, "number_literal"), None)
    return Scope(program, {}).value(inner), Scope(program, {}).value(size)
