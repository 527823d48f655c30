"""C++ as Vitis HLS sees it: parsed by tree-sitter, without what is for simulation only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path

import tree_sitter_cpp
from tree_sitter import Language, Node, Parser, Query, QueryCursor

_LANGUAGE = Language(tree_sitter_cpp.language())
_PARSER = Parser(_LANGUAGE)
SOUGHT = (
    *("assignment_expression", "call_expression", "declaration", "delete_expression"),
    *("do_statement", "for_statement", "function_declarator", "identifier", "new_expression"),
    *("number_literal", "optional_parameter_declaration", "parameter_declaration"),
    *("parameter_pack_expansion", "pointer_expression", "preproc_call", "preproc_if"),
    *("preproc_include", "qualified_identifier", "subscript_expression", "template_argument_list"),
    *("template_type", "type_identifier", "update_expression", "variadic_parameter_declaration"),
    "while_statement",
)
"""Types of nodes that rules look for below others."""
DEFINED = frozenset(["__SYNTHESIS__", "__cplusplus", "__VITIS_HLS__"])
"""What Vitis HLS defines, of all that our sources ask for."""


@lru_cache(maxsize=64)
def parse(text: bytes) -> Node:
    """The tree of a piece of C++: the headers of kernels are those of every program."""
    return _PARSER.parse(text).root_node


def text_of(node: Node | None) -> str:
    """The source of a node; empty for None."""
    return "" if node is None or node.text is None else node.text.decode()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it but for tables of constants, in the order of the text."""
    open_ = [node]
    while open_:
        node = open_.pop()
        yield node
        if node.type != "initializer_list":
            open_ += reversed(node.children)


def of_type(node: Node, *types: str) -> Iterator[Node]:
    """The nodes of these `SOUGHT` types, itself included, in the order of the text."""
    known = _by_type(node)
    found = (n for kind in types for n in known[kind])
    return iter(sorted(found, key=lambda n: (n.start_byte, -n.end_byte)))


@lru_cache(maxsize=2048)
def _by_type(node: Node) -> Mapping[str, list[Node]]:
    """The nodes of all types: every rule looks at the same functions."""
    none: dict[str, list[Node]] = {kind: [] for kind in SOUGHT}
    return none | QueryCursor(_sought()).captures(node)


@cache
def _sought() -> Query:
    """One for all types: each query takes a hundredth of a second to compile."""
    return Query(_LANGUAGE, " ".join(f"({kind}) @{kind}" for kind in SOUGHT))


# ---- conditional compilation ---------------------------------------------------------------------


def for_synthesis(text: str) -> str:
    """The text with inactive lines and conditions made empty, so that lines keep their numbers."""
    active: list[bool] = []  # of every condition around a line
    settled: list[bool] = []  # whether a branch of it has been taken
    lines: list[str] = []
    for line in text.splitlines():
        directive, _, rest = line.strip().removeprefix("#").strip().partition(" ")
        keep = all(active)
        if not line.strip().startswith("#"):
            pass
        elif directive in ("if", "ifdef", "ifndef"):
            # What is left out anyway may be no condition that we can read.
            active.append(keep and _holds(directive, rest))
            settled.append(active[-1])
            keep = False
        elif directive in ("elif", "else"):
            may = all(active[:-1]) and not settled[-1]
            active[-1] = may and (directive == "else" or _holds("if", rest))
            settled[-1] |= active[-1]
            keep = False
        elif directive == "endif":
            active.pop()
            settled.pop()
            keep = False
        lines.append(line if keep else "")
    return "\n".join(lines) + "\n"


def _holds(directive: str, condition: str) -> bool:
    """Whether a condition holds in synthesis; include guards hold."""
    if directive == "if":
        (found, *_) = of_type(parse(f"#if {condition}\n#endif\n".encode()), "preproc_if")
        return _truth(found.child_by_field_name("condition"))
    return (condition.split()[0] in DEFINED) == (directive == "ifdef")


def _truth(node: Node | None) -> bool:
    """The value of a condition; what is not known is not defined."""
    if node is None:
        return False
    kind, parts = node.type, [c for c in node.children if c.is_named]
    if kind in ("preproc_defined", "identifier"):
        return text_of(parts[0] if parts else node) in DEFINED
    if kind == "number_literal":
        return text_of(node) != "0"
    if kind == "parenthesized_expression":
        return _truth(parts[0])
    if kind == "unary_expression":
        return not _truth(parts[0])
    results = [_truth(part) for part in parts]
    return any(results) if text_of(node.child_by_field_name("operator")) == "||" else all(results)


# ---- declarations --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pragma:
    """`#pragma HLS name key=value flag`; keys and flags in lower case."""

    node: Node
    name: str
    options: Mapping[str, str]

    @staticmethod
    def of(node: Node) -> Pragma | None:
        """The pragma of a preprocessor line, if it is one for HLS."""
        words = text_of(node.child_by_field_name("argument")).replace("=", " = ").split()
        if text_of(node.child_by_field_name("directive")) != "#pragma" or words[:1] != ["HLS"]:
            return None
        name, *rest = [*words[1:], ""]
        options: dict[str, str] = {}
        for k, word in enumerate(rest):
            after, is_value = rest[k + 1 : k + 3], rest[k - 1 : k] == ["="]
            if word not in ("", "=") and not is_value:
                options[word.lower()] = after[1] if after[:1] == ["="] else ""
        return Pragma(node, name.upper(), options)


@dataclass(frozen=True)
class Declared:
    """A variable or parameter: its type as text, its dimensions, and its value if it has one."""

    name: str
    node: Node
    type: str
    dimensions: tuple[Node, ...]
    value: Node | None
    constant: bool
    """Whether its value is known at compile time if that of its parts is."""
    pack: bool = False
    """Whether it stands for any number of parameters."""


def declared_in(declaration: Node) -> Iterator[Declared]:
    """The variables of a declaration, a parameter or a member."""
    type = text_of(declaration.child_by_field_name("type"))
    qualifiers = {text_of(c) for c in declaration.children if c.type == "type_qualifier"}
    pack = declaration.type == "variadic_parameter_declaration"
    for child in declaration.children_by_field_name("declarator"):
        holder = child if child.type == "init_declarator" else declaration
        value = holder.child_by_field_name("value") or holder.child_by_field_name("default_value")
        inner = child.child_by_field_name("declarator") if holder is child else child
        if (found := _name_and_sizes(inner)) is not None:
            name, sizes = found
            constant = bool(qualifiers & {"const", "constexpr"}) and not sizes
            yield Declared(text_of(name), name, type, sizes, value, constant, pack)


def _name_and_sizes(declarator: Node | None) -> tuple[Node, tuple[Node, ...]] | None:
    """The name in a declarator, and the dimensions around it; None for a function."""
    sizes: list[Node] = []
    node = declarator
    while node is not None and node.type not in ("identifier", "field_identifier"):
        if node.type == "function_declarator":
            return None
        if (size := node.child_by_field_name("size")) is not None:
            sizes.insert(0, size)
        named = (c for c in node.children if c.is_named and c.type != "type_qualifier")
        node = node.child_by_field_name("declarator") or next(named, None)
    return None if node is None else (node, tuple(sizes))


_PARAMETERS = (
    *("parameter_declaration", "optional_parameter_declaration"),
    "variadic_parameter_declaration",
)


@dataclass(frozen=True, eq=False)
class Function:
    """A function with a body; `owner` is the struct that it belongs to."""

    name: str
    owner: str
    node: Node
    file: Path
    template: tuple[str, ...]
    """The names of its template's parameters, in order."""

    @cached_property
    def body(self) -> Node:
        """What is between its braces."""
        body = self.node.child_by_field_name("body")
        assert body is not None
        return body

    @cached_property
    def parameters(self) -> tuple[Declared, ...]:
        """Its parameters in order."""
        (head, *_) = of_type(self.node, "function_declarator")
        nodes = of_type(head, *_PARAMETERS)
        return tuple(d for n in nodes for d in declared_in(n))

    @cached_property
    def variables(self) -> tuple[Declared, ...]:
        """Its local variables in order."""
        return tuple(d for n in of_type(self.body, "declaration") for d in declared_in(n))

    @cached_property
    def pragmas(self) -> tuple[Pragma, ...]:
        """Its pragmas in order."""
        found = (Pragma.of(node) for node in of_type(self.body, "preproc_call"))
        return tuple(pragma for pragma in found if pragma is not None)

    def parameter_for(self, position: int, count: int) -> Declared | None:
        """The parameter for one of `count` arguments; None if it does not take so many."""
        fixed = len(self.parameters) - any(p.pack for p in self.parameters)
        if count < fixed or (count > fixed == len(self.parameters)):
            return None
        return self.parameters[min(position, len(self.parameters) - 1)]

    @cached_property
    def calls(self) -> tuple[Node, ...]:
        """The calls in its body."""
        return tuple(of_type(self.body, "call_expression"))

    @cached_property
    def handed_on(self) -> dict[str, list[tuple[Node, int, int]]]:
        """For each variable the calls it is an argument of: which one, and of how many."""
        found: dict[str, list[tuple[Node, int, int]]] = {}
        for call in self.calls:
            arguments = call.child_by_field_name("arguments")
            given = [] if arguments is None else [c for c in arguments.children if c.is_named]
            for k, node in enumerate(given):
                name = text_of(node).removesuffix("...")
                found.setdefault(name, []).append((call, k, len(given)))
        return found


def is_stream(declared: Declared) -> bool:
    """Whether a variable or parameter is a FIFO."""
    return "stream<" in declared.type.replace(" ", "")


@dataclass(frozen=True, eq=False)
class Struct:
    """The constants and types of a struct; types as nodes of their definition."""

    constants: Mapping[str, Node]
    types: Mapping[str, Node]


@dataclass
class Program:
    """All that the top function of a project reaches through its includes."""

    top: str
    functions: list[Function] = field(default_factory=list[Function])
    structs: dict[str, Struct] = field(default_factory=dict[str, Struct])
    types: dict[str, Node] = field(default_factory=dict[str, Node])
    """Types by the names that `typedef` gives them."""
    places: dict[str, Path] = field(default_factory=dict[str, Path])
    """The files in which types are named."""
    constants: dict[str, Node] = field(default_factory=dict[str, Node])
    """Global constants, and their values."""
    sources: dict[Path, Node] = field(default_factory=dict[Path, Node])
    known: frozenset[Path] = frozenset()
    """Files that were checked as those of another program."""

    def tops(self) -> Iterator[Function]:
        """The top function; a kernel in a header may have its name."""
        source = f"{self.top}.cpp"
        return (f for f in self.named(self.top) if f.file.name == source)

    def named(self, name: str, owner: str = "") -> list[Function]:
        """The functions of a name, those of templates included."""
        return [f for f in self.functions if (f.name, f.owner) == (name, owner)]


def read_program(
    folder: Path, top: str, others: tuple[Path, ...] = (), known: frozenset[Path] = frozenset()
) -> Program:
    """Parse `<top>.cpp`, other files of its program, and what they include, but for the types of
    Vitis and tables of weights. Those that are `known` have been checked."""
    program = Program(top, known=known)
    open_ = [folder / f"{top}.cpp", *others]
    while open_:
        path = Path(os.path.normpath(open_.pop(0)))
        if path in program.sources or not path.is_file() or "weights" in path.parts[-2:-1]:
            continue
        root = parse(for_synthesis(path.read_text()).encode())
        program.sources[path] = root
        _collect(program, path, root, "", ())
        included = (
            text_of(n.child_by_field_name("path")) for n in of_type(root, "preproc_include")
        )
        for name in (quoted.strip('"') for quoted in included):
            open_ += [path.parent / name, folder / name]
    return program


def _collect(
    program: Program, path: Path, node: Node, owner: str, template: tuple[str, ...]
) -> None:
    """Sort what a node declares into the program."""
    for child in node.children:
        if child.type == "template_declaration":
            _collect(program, path, child, owner, _template(child))
        elif child.type == "function_definition":
            if (function := _function(child, owner, path, template)) is not None:
                program.functions.append(function)
        elif child.type in ("struct_specifier", "class_specifier"):
            name = text_of(child.child_by_field_name("name")).partition("<")[0]
            if (body := child.child_by_field_name("body")) is not None:
                program.structs[name] = _struct(body)
                _collect(program, path, body, name, template)
        elif child.type == "type_definition" and not owner:
            _name_type(child, program.types)
            program.places[text_of(child.child_by_field_name("declarator"))] = path
        elif child.type == "declaration" and not owner:
            known = {d.name: d.value for d in declared_in(child) if d.constant and d.value}
            program.constants |= known
        elif child.type in ("namespace_definition", "declaration_list", "linkage_specification"):
            _collect(program, path, child, owner, ())


def _template(node: Node) -> tuple[str, ...]:
    parameters = node.child_by_field_name("parameters")
    if parameters is None:
        return ()
    names = (list(of_type(p, "identifier", "type_identifier")) for p in parameters.children)
    return tuple(text_of(found[-1]) for found in names if found)


def _function(node: Node, owner: str, path: Path, template: tuple[str, ...]) -> Function | None:
    head = next(of_type(node, "function_declarator"), None)
    name = None if head is None else head.child_by_field_name("declarator")
    if name is None or node.child_by_field_name("body") is None:
        return None
    return Function(text_of(name).rpartition("::")[2], owner, node, path, template)


def _struct(body: Node) -> Struct:
    types: dict[str, Node] = {}
    constants: dict[str, Node] = {}
    for child in body.children:
        if child.type == "type_definition":
            _name_type(child, types)
        elif child.type == "field_declaration":
            default = child.child_by_field_name("default_value")
            name = child.child_by_field_name("declarator")
            if default is not None:
                constants[text_of(name)] = default
    return Struct(constants, types)


def _name_type(definition: Node, types: dict[str, Node]) -> None:
    type = definition.child_by_field_name("type")
    name = definition.child_by_field_name("declarator")
    if type is not None:
        types[text_of(name)] = type
