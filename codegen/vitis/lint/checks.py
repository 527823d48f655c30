"""How each rule is checked. A check yields the node that is at fault, and what is wrong there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tree_sitter import Node

from calocc.codegen.vitis.lint import rules
from calocc.codegen.vitis.lint.graphs import cycles
from calocc.codegen.vitis.lint.syntax import (
    Declared,
    Function,
    Pragma,
    Program,
    declared_in,
    is_stream,
    of_type,
    text_of,
    walk,
)
from calocc.codegen.vitis.lint.values import Scope, beat_of

Fault = tuple[Path, Node, str]
Check = Callable[[Program], Iterator[Fault]]
CHECKS: dict[str, Check] = {}


def checks(rule: str) -> Callable[[Check], Check]:
    """Register a check for a rule."""
    assert rule in rules.RULES
    return lambda check: CHECKS.setdefault(rule, check)


def _per_function(
    check: Callable[[Program, Function], Iterator[tuple[Node, str]]], program: Program
) -> Iterator[Fault]:
    for function in (f for f in program.functions if f.file not in program.known):
        for node, what in check(program, function):
            yield function.file, node, what


# ---- loops ---------------------------------------------------------------------------------------


def _loops(program: Program, function: Function) -> Iterator[tuple[Node, str]]:
    for node in of_type(function.body, "while_statement", "do_statement"):
        yield node, "its number of iterations is not known"
    known = {d.name for d in (*function.variables, *function.parameters) if d.constant}
    known |= {*function.template, *program.constants}
    for loop in of_type(function.body, "for_statement"):
        if (what := _unbounded(loop, known | _unrolled(loop))) is not None:
            yield loop, what


def _unrolled(loop: Node) -> set[str]:
    """The counters of the loops around it that a pipelined loop unrolls: constants in each copy."""
    around: list[Node] = []
    node = loop.parent
    while node is not None:
        around += [node] if node.type == "for_statement" else []
        node = node.parent
    pipelined = [k for k, outer in enumerate(around) if is_pipelined(outer)]
    inside = around[: pipelined[-1]] if pipelined else []
    starts = (outer.child_by_field_name("initializer") for outer in inside)
    return {d.name for start in starts if start is not None for d in declared_in(start)}


def is_pipelined(loop: Node) -> bool:
    """Whether the body of a loop begins with a pragma PIPELINE."""
    body = loop.child_by_field_name("body")
    own = [] if body is None else [Pragma.of(n) for n in body.children if n.type == "preproc_call"]
    return any(pragma is not None and pragma.name == "PIPELINE" for pragma in own)


def _unbounded(loop: Node, known: set[str]) -> str | None:
    """Why the iterations of a loop cannot be counted."""
    start, condition = (loop.child_by_field_name(k) for k in ("initializer", "condition"))
    step, body = (loop.child_by_field_name(k) for k in ("update", "body"))
    if start is None or condition is None or step is None or body is None:
        return "it has no start, no end or no step"
    counter = next((d.name for d in declared_in(start)), "")
    sides = [condition.child_by_field_name(k) for k in ("left", "right")]
    constant = (side is not None and _is_constant(side, known | {counter}) for side in sides)
    if condition.type != "binary_expression" or not all(constant):
        return f"its end {text_of(condition)!r} is no constant"
    argument = step.child_by_field_name("argument") or step.child_by_field_name("left")
    amount = step.child_by_field_name("right")
    if text_of(argument) != counter or not (amount is None or _is_constant(amount, known)):
        return f"it does not count {counter!r} by a constant"
    if any(text_of(n) == counter for n in _assigned(body)):
        return f"{counter!r} changes inside it"
    return None


def _assigned(node: Node) -> Iterator[Node]:
    """What is assigned to or counted in a piece of code."""
    for found in of_type(node, "assignment_expression", "update_expression"):
        target = found.child_by_field_name("left") or found.child_by_field_name("argument")
        if target is not None:
            yield target


def _is_constant(node: Node, known: set[str]) -> bool:
    """Whether an expression consists of literals, constants and members of types."""
    if node.type in ("number_literal", "qualified_identifier", "true", "false"):
        return True
    if node.type == "identifier":
        return text_of(node) in known
    parts = [c for c in node.children if c.is_named]
    operators = ("binary_expression", "unary_expression", "parenthesized_expression")
    known_kind = node.type in (*operators, "conditional_expression")
    return known_kind and all(_is_constant(part, known) for part in parts)


CHECKS["static-bounds"] = partial(_per_function, _loops)


# ---- what synthesis does not know ----------------------------------------------------------------


def _callee(call: Node) -> tuple[str, str]:
    """Owner and name of the function that is called; methods of variables have the owner `.`."""
    target = call.child_by_field_name("function")
    if target is None:
        return "", ""
    if target.type == "field_expression":
        return ".", text_of(target.child_by_field_name("field"))
    owner, _, name = text_of(target).partition("<")[0].rpartition("::")
    return owner.removeprefix("nnet").removeprefix("::"), name


@checks("no-recursion")
def _recursion(program: Program) -> Iterator[Fault]:
    calls: list[tuple[tuple[str, str], tuple[str, str]]] = []
    known = {(f.owner, f.name): f for f in program.functions}
    for key, function in known.items():
        for call in function.calls:
            if any(of_type(call, "parameter_pack_expansion")):
                continue  # unrolled by the compiler
            owner, name = _callee(call)
            for target in ((owner, name), (function.owner, name) if not owner else key):
                if target in known and (target != key or name == function.name):
                    calls.append((key, target))
                    break
    for cycle in cycles(calls):
        function = known[min(cycle)]
        names = " -> ".join(name for _, name in (*cycle, cycle[0]))
        yield function.file, function.node, f"it calls itself: {names}"


def _of_standard_library(node: Node, names: frozenset[str]) -> bool:
    scope = text_of(node.child_by_field_name("scope"))
    name = text_of(node.child_by_field_name("name")).partition("<")[0]
    return scope == "std" and name in names


def _heap(program: Program, function: Function) -> Iterator[tuple[Node, str]]:
    for node in of_type(function.body, "new_expression", "delete_expression"):
        yield node, f"{text_of(node)!r} needs a heap"
    for call in function.calls:
        if _callee(call)[1] in rules.HEAP:
            yield call, f"{_callee(call)[1]} needs a heap"
    for node in of_type(function.node, "qualified_identifier"):
        if _of_standard_library(node, rules.CONTAINERS):
            yield node, f"{text_of(node)} allocates memory"


def _system(program: Program, function: Function) -> Iterator[tuple[Node, str]]:
    for call in function.calls:
        owner, name = _callee(call)
        if owner in ("", "std") and name in rules.SYSTEM:
            yield call, f"{name} is a call of the system"
    for node in of_type(function.node, "qualified_identifier"):
        if _of_standard_library(node, rules.STREAMS):
            yield node, f"{text_of(node)} is a file"


def _run_time(program: Program, function: Function) -> Iterator[tuple[Node, str]]:
    for node in walk(function.node):
        if node.type in rules.RUN_TIME:
            yield node, f"{text_of(node).split()[0]!r} has no hardware"
        elif node.type == "call_expression" and _callee(node)[1] in ("dynamic_cast", "typeid"):
            yield node, f"{_callee(node)[1]} asks for types at run time"


CHECKS["no-heap"] = partial(_per_function, _heap)
CHECKS["no-system-calls"] = partial(_per_function, _system)
CHECKS["no-run-time-types"] = partial(_per_function, _run_time)


# ---- pragmas -------------------------------------------------------------------------------------


def _known_pragmas(program: Program, function: Function) -> Iterator[tuple[Node, str]]:
    for pragma in function.pragmas:
        options = rules.PRAGMAS.get(pragma.name)
        if options is None:
            yield pragma.node, f"there is no pragma {pragma.name}"
        for option in pragma.options.keys() - (options or pragma.options.keys()):
            yield pragma.node, f"{pragma.name} has no option {option!r}"


def _declared_before(function: Function, node: Node) -> dict[str, Declared]:
    """Parameters and local variables in front of a node."""
    before = (v for v in function.variables if v.node.start_byte < node.start_byte)
    return {d.name: d for d in (*function.parameters, *before)}


def _pragma_variables(program: Program, function: Function) -> Iterator[tuple[Node, str]]:
    for pragma in function.pragmas:
        for key in ("variable", "port"):
            name = pragma.options.get(key, "").partition("[")[0]
            returned = key == "port" and name == "return"
            if key in pragma.options and not returned:
                if name not in _declared_before(function, pragma.node):
                    yield pragma.node, f"{name!r} is not declared in front of it"


CHECKS["known-pragmas"] = partial(_per_function, _known_pragmas)
CHECKS["pragma-variables"] = partial(_per_function, _pragma_variables)


# ---- sizes ---------------------------------------------------------------------------------------


def _template_arguments(call: Node) -> list[str]:
    found = next(of_type(call, "template_argument_list"), None)
    return [] if found is None else [text_of(c) for c in found.children if c.is_named]


def _scopes(program: Program) -> Iterator[tuple[Function, Scope]]:
    """Every function that is no template, and every call of a kernel in the top function."""
    for function in program.functions:
        if not function.template:
            yield function, Scope.of(program, function, [])
    for top in program.tops():
        for call in top.calls:
            for kernel in program.named(_callee(call)[1]):
                if kernel.template:
                    yield kernel, Scope.of(program, kernel, _template_arguments(call))


@checks("partition-size")
def _partitions(program: Program) -> Iterator[Fault]:
    for function, scope in _scopes(program):
        for pragma in function.pragmas:
            if pragma.name != "ARRAY_PARTITION" or "complete" not in _kinds(pragma):
                continue
            array = _declared_before(function, pragma.node).get(pragma.options.get("variable", ""))
            sizes = [] if array is None else [scope.value(d) for d in array.dimensions]
            for axis, size in enumerate(sizes, start=1):
                split = pragma.options.get("dim", "1") in ("0", str(axis))
                if split and size is not None and size > rules.MOST_REGISTERS:
                    yield function.file, pragma.node, f"it makes {size} registers of axis {axis}"


def _kinds(pragma: Pragma) -> set[str]:
    return {*pragma.options, pragma.options.get("type", "")}


@checks("stream-width")
def _widths(program: Program) -> Iterator[Fault]:
    for name, node in program.types.items():
        bits, size = beat_of(program, name) or (None, None)
        if bits is not None and size is not None and bits * size > rules.WIDEST_BEAT:
            yield program.places[name], node, f"a beat {name} has {bits * size} bits"


# ---- dataflow ------------------------------------------------------------------------------------


def _regions(program: Program) -> Iterator[Function]:
    """The functions that are dataflow regions."""
    for function in program.functions:
        if any(p.name == "DATAFLOW" for p in function.pragmas):
            yield function


@dataclass(frozen=True)
class Access:
    """A task that reads or writes a stream."""

    task: Node
    writes: bool


def _direction(program: Program, function: Function, parameter: Declared) -> set[bool]:
    """Whether a function reads (False) or writes (True) a stream that it is given, or both."""
    found: set[bool] = set()
    for call in function.calls:
        target = call.child_by_field_name("function")
        argument = None if target is None else target.child_by_field_name("argument")
        if text_of(argument) == parameter.name:
            found.add(_callee(call)[1] in ("write", "write_nb"))
    for _, other, own in handed_on(program, function, parameter.name):
        if other is not function:
            found |= _direction(program, other, own)
    return found


def handed_on(
    program: Program, function: Function, name: str
) -> Iterator[tuple[Node, Function, Declared]]:
    """The calls that a variable is an argument of, what they may call, and its parameter there."""
    for call, position, count in function.handed_on.get(name, []):
        for other in program.named(_callee(call)[1]):
            if (parameter := other.parameter_for(position, count)) is not None:
                yield call, other, parameter


def _accesses(program: Program, region: Function, stream: str) -> list[Access]:
    return [
        Access(call, writes)
        for call, other, parameter in handed_on(program, region, stream)
        for writes in sorted(_direction(program, other, parameter))
    ]


@checks("single-producer-consumer")
def _ends(program: Program) -> Iterator[Fault]:
    for region in _regions(program):
        waits: list[tuple[Node, Node]] = []
        ports = {p.name for p in region.parameters if is_stream(p)}
        streams = [d for d in (*region.parameters, *region.variables) if is_stream(d)]
        for stream in streams:
            accesses = _accesses(program, region, stream.name)
            writers, readers = ([a.task for a in accesses if a.writes is w] for w in (True, False))
            wanted = {(1, 0), (0, 1)} if stream.name in ports else {(1, 1)}
            if (len(writers), len(readers)) not in wanted:
                counts = f"{len(writers)} tasks write {stream.name!r}, {len(readers)} read it"
                yield region.file, stream.node, counts
            waits += [(w, r) for w in writers for r in readers]
        for cycle in cycles(waits):
            yield region.file, cycle[0], "it waits for what it makes itself"


@checks("dataflow-form")
def _form(program: Program) -> Iterator[Fault]:
    allowed = ("declaration", "type_definition", "preproc_call", "comment", "{", "}", ";")
    for region in _regions(program):
        if text_of(region.node.child_by_field_name("type")) != "void":
            yield region.file, region.node, "a dataflow region returns nothing"
        for node in _body_of(region).children:
            inner = next((c for c in node.children if c.is_named), node)
            is_call = node.type == "expression_statement" and inner.type == "call_expression"
            if not is_call and node.type not in allowed:
                yield region.file, node, f"{node.type.replace('_', ' ')} is no call"
            elif is_call:
                for other in program.named(_callee(inner)[1]):
                    if text_of(other.node.child_by_field_name("type")) != "void":
                        yield region.file, node, f"{other.name} returns something"


def _body_of(region: Function) -> Node:
    """What holds the tasks of a region: the body of a function, or of a loop that is all of it."""
    statements = [n for n in region.body.children if n.is_named and n.type != "comment"]
    loop = statements[0] if len(statements) == 1 else region.body
    body = loop.child_by_field_name("body") if loop.type == "for_statement" else None
    return body if body is not None and _counts_from_zero(loop) else region.body


def _counts_from_zero(loop: Node) -> bool:
    """Whether a loop counts from 0 to a constant or an argument, one by one."""
    start, step = (loop.child_by_field_name(k) for k in ("initializer", "update"))
    condition = loop.child_by_field_name("condition")
    if start is None or step is None or condition is None:
        return False
    counters = {d.name for d in declared_in(start) if text_of(d.value) == "0"}
    counted = text_of(step.child_by_field_name("argument"))
    end = condition.child_by_field_name("right")
    return (
        step.type == "update_expression"
        and {counted} == counters
        and text_of(condition.child_by_field_name("left")) == counted
        and end is not None
        and end.type in ("identifier", "number_literal", "qualified_identifier")
    )


@checks("stream-depth")
def _depths(program: Program) -> Iterator[Fault]:
    for region in _regions(program):
        stated = {
            p.options.get("variable"): p.options.get("depth", "")
            for p in region.pragmas
            if p.name == "STREAM"
        }
        for stream in filter(is_stream, region.variables):
            depth = stated.get(stream.name, "")
            if not depth.isdecimal() or int(depth) < 1:
                yield region.file, stream.node, f"{stream.name!r} has no depth"


@checks("top-interface")
def _interface(program: Program) -> Iterator[Fault]:
    for top in program.tops():
        stated = {p.options.get("port") for p in top.pragmas if p.name == "INTERFACE"}
        for port in top.parameters:
            if port.name not in stated:
                yield top.file, port.node, f"port {port.name!r} has no interface"
