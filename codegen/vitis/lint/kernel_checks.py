"""Checks of kernels around a design: their ports to memory, and how the host controls them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tree_sitter import Node

from calocc.codegen.vitis.lint import rules
from calocc.codegen.vitis.lint.checks import Check, Fault, handed_on, is_pipelined
from calocc.codegen.vitis.lint.syntax import (
    Declared,
    Function,
    Pragma,
    Program,
    declared_in,
    is_stream,
    of_type,
    text_of,
)
from calocc.codegen.vitis.lint.values import Scope

_ONLY_AT_TIMES = ("if_statement", "conditional_expression", "switch_statement", "while_statement")
"""Nodes under which memory is not accessed in every iteration."""


def _interfaces(top: Function) -> Iterator[tuple[str, Pragma]]:
    """Ports and their pragmas."""
    for pragma in top.pragmas:
        if pragma.name == "INTERFACE":
            yield pragma.options.get("port", ""), pragma


def _mode(pragma: Pragma) -> str:
    """What an interface is: `mode=x`, or just `x`."""
    modes = (m for m in ("m_axi", "s_axilite", "axis", "ap_ctrl_none") if m in pragma.options)
    return pragma.options.get("mode") or next(modes, "")


def _to_memory(program: Program) -> Iterator[tuple[Function, Pragma, Declared]]:
    """Top function, pragma and parameter of each port to memory."""
    for top in program.tops():
        parameters = {p.name: p for p in top.parameters}
        for port, pragma in _interfaces(top):
            if _mode(pragma) == "m_axi" and port in parameters:
                yield top, pragma, parameters[port]


def _bundles(program: Program) -> Iterator[Fault]:
    ports = list(_to_memory(program))
    count = Counter(pragma.options.get("bundle", "") for _, pragma, _ in ports)
    for top, pragma, port in ports:
        bundle = pragma.options.get("bundle", "")
        if not bundle:
            yield top.file, pragma.node, f"{port.name!r} has no bundle"
        elif count[bundle] > 1:
            yield top.file, pragma.node, f"{port.name!r} shares the bundle {bundle}"


def _offsets(program: Program) -> Iterator[Fault]:
    for top, pragma, port in _to_memory(program):
        if pragma.options.get("offset") != "slave":
            yield top.file, pragma.node, f"the host cannot set the address of {port.name!r}"


def _depths(program: Program) -> Iterator[Fault]:
    for top, pragma, port in _to_memory(program):
        depth = pragma.options.get("depth", "")
        if not depth.isdecimal() or int(depth) < 1:
            yield top.file, pragma.node, f"{port.name!r} has no depth"


def _widths(program: Program) -> Iterator[Fault]:
    for top, pragma, port in _to_memory(program):
        width = _bits(program, top, port)
        if width is not None and not _is_power_of_two(width):
            yield top.file, pragma.node, f"words of {port.name!r} have {width} bits"
        widened = pragma.options.get("max_widen_bitwidth", "0")
        if not widened.isdecimal() or (int(widened) and not _is_power_of_two(int(widened))):
            yield top.file, pragma.node, f"{port.name!r} cannot be widened to {widened} bits"


def _is_power_of_two(width: int) -> bool:
    return 0 < width <= rules.WIDEST_WORD and width & (width - 1) == 0


def _bits(program: Program, top: Function, port: Declared) -> int | None:
    """The bits of what a pointer points to, where it is a type of ap_types."""
    type = program.types.get(port.type.rpartition("::")[2])
    if type is None or not text_of(type).startswith(("ap_uint<", "ap_int<")):
        return None
    arguments = type.child_by_field_name("arguments")
    sizes = [] if arguments is None else [c for c in arguments.children if c.is_named]
    return Scope.of(program, top, []).value(sizes[0]) if sizes else None


# ---- bursts --------------------------------------------------------------------------------------


def _bursts(program: Program) -> Iterator[Fault]:
    for top, _, port in _to_memory(program):
        users = [(top, port), *((f, own) for _, f, own in handed_on(program, top, port.name))]
        for function, memory in users:
            yield from _accesses(function, memory)


def _accesses(function: Function, memory: Declared) -> Iterator[Fault]:
    """What is wrong with the accesses to a memory in a function."""
    written: set[bool] = set()
    for node in of_type(function.body, "subscript_expression", "pointer_expression"):
        if text_of(node.child_by_field_name("argument")) == memory.name:
            written.add(_is_written(node))
            if (what := _no_burst(node)) is not None:
                yield function.file, node, f"{text_of(node)!r} is no burst: {what}"
    if len(written) > 1:
        yield function.file, function.node, f"{memory.name!r} is both read and written"


def _is_written(node: Node) -> bool:
    parent = node.parent
    if parent is None or parent.type != "assignment_expression":
        return False
    return parent.child_by_field_name("left") == node


def _no_burst(access: Node) -> str | None:
    """Why an access is no part of a burst."""
    node = access.parent
    while node is not None and node.type != "for_statement":
        if node.type in _ONLY_AT_TIMES:
            return "not every iteration makes it"
        node = node.parent
    if node is None:
        return "it is in no loop"
    if not is_pipelined(node):
        return "its loop is not pipelined"
    start = node.child_by_field_name("initializer")
    counters = {d.name for d in declared_in(start)} if start is not None else set[str]()
    index = access.child_by_field_name("indices") or access.child_by_field_name("index")
    at = text_of(index).strip("[] ")
    return None if at in counters else f"it is not at the counter of the loop, but at {at or '0'}"


# ---- control -------------------------------------------------------------------------------------


def _control(program: Program) -> Iterator[Fault]:
    for top in program.tops():
        modes = {port: _mode(pragma) for port, pragma in _interfaces(top)}
        streams = all(is_stream(p) for p in top.parameters)
        wanted = "ap_ctrl_none" if streams else "s_axilite"
        if modes.get("return") != wanted:
            yield top.file, top.node, f"its control is not {wanted}"
        for port, pragma in _interfaces(top):
            if _mode(pragma) == "s_axilite" and "bundle" in pragma.options:
                yield top.file, pragma.node, f"{port!r} is in a bundle of its own"
        for p in top.parameters:
            if not is_stream(p) and modes.get(p.name) not in ("m_axi", "s_axilite"):
                yield top.file, p.node, f"the host cannot set {p.name!r}"


KERNEL_CHECKS: dict[str, Check] = {
    "memory-bundle": _bundles,
    "memory-offset": _offsets,
    "memory-depth": _depths,
    "memory-width": _widths,
    "memory-bursts": _bursts,
    "kernel-control": _control,
}
"""By rule; each must hold for kernels only."""
