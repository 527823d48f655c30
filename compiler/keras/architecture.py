"""Reads the JSON of an architecture, of Keras 2 and Keras 3, into graphs of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.dialect import normalised, renamed_activation
from calocc.compiler.keras.errors import (
    AmbiguousCalls,
    UnknownInputShape,
    UnsupportedCall,
    UnsupportedModelClass,
)
from calocc.compiler.keras.json_tree import Node
from calocc.compiler.keras.model import TensorRef
from calocc.compiler.keras.refusals import refused_class

MODELS = ("Sequential", "Functional", "Model")
_KERAS_TENSOR = "__keras_tensor__"
_SHAPE = "batch_input_shape"

Refs = tuple[TensorRef, ...]
Keys = tuple[str, ...] | None


@dataclass(frozen=True)
class Operands:
    """The tensors of one call, or the inputs of a model; `keys` if a dictionary was given.

    Those of a dictionary are in the order of the keys, as Keras flattens it.
    """

    refs: Refs
    keys: Keys = None


@dataclass(frozen=True, eq=False)
class Member:
    """One layer of a graph with its calls; `graph` is there if it is a nested model."""

    name: str
    class_name: str
    config: Mapping[str, Any]
    inbound: tuple[Operands, ...] = ()
    graph: Graph | None = None

    @property
    def count(self) -> int:
        """How often it is called; an input layer once."""
        return 1 if self.class_name == "InputLayer" else len(self.inbound)


@dataclass(frozen=True, eq=False)
class Graph:
    """A model: references count the calls of every layer from 0, those of nested models too."""

    name: str
    class_name: str
    members: tuple[Member, ...]
    inputs: Operands
    outputs: Refs


def read_architecture(root: Node) -> Graph:
    """The model in the JSON that `model.to_json()` or `model.save` writes.

    Raises MalformedConfig, UnsupportedModelClass, UnsupportedCall, UnknownInputShape,
    AmbiguousCalls or Keras1Config.
    """
    class_name = root.entry("class_name").text()
    config = root.entry("config")
    name = config.entry("name").text() if config.has("name") else "sequential"
    if class_name not in MODELS:
        raise UnsupportedModelClass(name, class_name)
    graph = _graph(name, class_name, config)
    first = graph.members[0]
    if class_name == "Sequential" and _SHAPE not in first.config:
        raise UnknownInputShape(root.path, graph.members[1 % len(graph.members)].name)
    return _renamed(graph) if any(_has_shape_of_keras_3(node) for node in _nodes(config)) else graph


def _nodes(config: Node) -> Iterable[Node]:
    return (config.entry("layers") if config.is_dictionary else config).items()


def _has_shape_of_keras_3(node: Node) -> bool:
    """Whether this is an input layer as Keras 3 writes it, in every model."""
    config = node.entry("config")
    return config.is_dictionary and config.has("batch_shape")


def _renamed(graph: Graph) -> Graph:
    """With names of their own for the activations that Keras 3 defines in another way."""
    members = (
        replace(m, config=renamed_activation(m.config), graph=m.graph and _renamed(m.graph))
        for m in graph.members
    )
    return replace(graph, members=tuple(members))


def _graph(name: str, class_name: str, config: Node) -> Graph:
    if class_name == "Sequential":
        return _sequential(name, config)
    return _functional(name, class_name, config)


def _member(node: Node) -> Member:
    """A layer without its calls."""
    class_name = node.entry("class_name").text()
    config = node.entry("config")
    named = config if config.is_dictionary else node  # Sequential of old has a list for a config
    name = named.entry("name").text()
    if class_name in MODELS:
        return Member(name, class_name, {}, graph=_graph(name, class_name, config))
    return Member(name, class_name, normalised(name, class_name, config.dictionary()))


# ---- Sequential --------------------------------------------------------------------------------


def _sequential(name: str, config: Node) -> Graph:
    nodes = config.entry("layers") if config.is_dictionary else config
    members = [_member(node) for node in nodes.items()]
    if not members:
        raise nodes.fail("a list of layers")
    if members[0].class_name != "InputLayer":
        members.insert(0, _implied_input(config, members[0]))
    results = [(TensorRef(member.name, 0, 0),) for member in members]
    chain = [
        replace(member, inbound=(Operands(source),))
        for member, source in zip(members[1:], results, strict=False)
    ]
    inputs = Operands(results[0])
    return Graph(name, "Sequential", (members[0], *chain), inputs, results[-1])


def _implied_input(config: Node, first: Member) -> Member:
    """The input layer that Keras makes from the input shape of the first layer.

    It lacks a shape if the file has none, as nested models need none.
    """
    name = f"{first.name}_input"
    source = _first_config(first)
    shape = source.get(_SHAPE)
    if shape is None and config.has("build_input_shape"):
        shape = config.dictionary()["build_input_shape"]
    entries = {"name": name, "dtype": source.get("dtype", "float32")}
    known = {} if shape is None else {_SHAPE: shape}
    return Member(name, "InputLayer", entries | known)


def _first_config(member: Member) -> Mapping[str, Any]:
    """The config that holds the input shape: a nested model has it in its input layer."""
    while member.graph is not None:
        member = member.graph.members[0]
    return member.config


# ---- Functional --------------------------------------------------------------------------------


def _functional(name: str, class_name: str, config: Node) -> Graph:
    nodes = list(config.entry("layers").items())
    if not nodes:
        raise config.entry("layers").fail("a list of layers")
    members = [replace(_member(node), inbound=tuple(_calls(node))) for node in nodes]
    inputs = _endpoints(config.entry("input_layers"))
    if len(set(inputs.refs)) < len(inputs.refs):
        raise config.entry("input_layers").fail("a list of different tensors")
    outputs = _endpoints(config.entry("output_layers")).refs
    graph = Graph(name, class_name, tuple(members), inputs, outputs)
    new = any(_is_keras_3(call) for node in nodes for call in node.entry("inbound_nodes").items())
    return _counted_from_0(graph, _offsets_of_keras_3(graph) if new else _offsets(graph), new)


def _calls(layer: Node) -> Iterator[Operands]:
    """The operands of each call of the layer."""
    for node in layer.entry("inbound_nodes").items():
        operands = _call_of_keras_3(node, layer) if _is_keras_3(node) else _call(node, layer)
        if not operands.refs:
            raise node.fail("a list of tensors")
        yield operands


def _call(node: Node, layer: Node) -> Operands:
    if node.is_dictionary:
        keys = tuple(sorted(node.dictionary()))
        return Operands(tuple(_ref(node.entry(key), layer) for key in keys), keys)
    return Operands(tuple(_ref(entry, layer) for entry in _entries(node)))


def _is_keras_3(node: Node) -> bool:
    return node.is_dictionary and set(node.dictionary()) == {"args", "kwargs"}


def _call_of_keras_3(node: Node, layer: Node) -> Operands:
    """Read `{"args": [operands], "kwargs": {...}}`."""
    _check_arguments(node.entry("kwargs"), layer)
    arguments = list(node.entry("args").items())
    for index, more in enumerate(arguments[1:], 1):
        raise _refusal(layer, f"args[{index}]", more.value)
    return _structure(arguments[0]) if arguments else Operands(())


def _structure(node: Node) -> Operands:
    """A tensor, or a list or dictionary of tensors."""
    if not node.is_dictionary:
        return Operands(tuple(_history(entry) for entry in node.items()))
    if node.has("class_name"):
        return Operands((_history(node),))
    keys = tuple(sorted(node.dictionary()))
    return Operands(tuple(_history(node.entry(key)) for key in keys), keys)


def _history(node: Node) -> TensorRef:
    if node.entry("class_name").text() != _KERAS_TENSOR:
        raise node.fail("a tensor")
    return _ref(node.entry("config").entry("keras_history"))


def _entries(node: Node) -> Iterator[Node]:
    """References in a list; a single one may stand without its list."""
    entries = list(node.items())
    single = bool(entries) and isinstance(entries[0].value, str)
    return iter([node] if single else entries)


def _ref(node: Node, layer: Node | None = None) -> TensorRef:
    """Read `[layer, call, tensor]`, with the keyword arguments of the call as fourth entry."""
    parts = list(node.items())
    if len(parts) not in (3, 4):
        raise node.fail("[layer, call, tensor]")
    if layer is not None and len(parts) == 4:
        _check_arguments(parts[3], layer)
    return TensorRef(parts[0].text(), parts[1].index(), parts[2].index())


def _check_arguments(arguments: Node, layer: Node) -> None:
    """Refuse call arguments other than those that say what holds anyway."""
    for key, value in arguments.dictionary().items():
        if not _is_nothing(value) and not (key == "training" and value is False):
            raise _refusal(layer, key, value)


def _is_nothing(value: object) -> bool:
    """null, or a list of them, as Keras 3 calls models of several inputs with."""
    if isinstance(value, list):
        return all(map(_is_nothing, cast(list[object], value)))
    return value is None


def _refusal(layer: Node, argument: str, value: object) -> CaloccError:
    member = _member(layer)
    name, class_name = member.name, member.class_name
    return refused_class(name, class_name) or UnsupportedCall(name, class_name, argument, value)


def _endpoints(node: Node) -> Operands:
    """The inputs or outputs of the model."""
    if node.is_dictionary:
        keys = tuple(sorted(node.dictionary()))
        return Operands(tuple(_ref(node.entry(key)) for key in keys), keys)
    refs = tuple(_ref(entry) for entry in _entries(node))
    if not refs:
        raise node.fail("a list of tensors")
    return Operands(refs)


# ---- the numbers of calls ----------------------------------------------------------------------


def _nested(graph: Graph) -> Iterator[Member]:
    return (member for member in graph.members if member.graph is not None)


def _offsets(graph: Graph) -> dict[str, int]:
    """The number of the first call of each nested model, as Keras 2 counts.

    A nested model with an input layer has been called once before the outer model was made, so
    its calls count from 1; others count from 0. Each call that Keras saves is also read, so the
    references cover all numbers and show which of the two holds.
    """
    used: dict[str, set[int]] = {}
    for ref in _all_refs(graph):
        used.setdefault(ref.layer, set()).add(ref.node)
    return {m.name: _offset(m, used.get(m.name, set())) for m in _nested(graph)}


def _all_refs(graph: Graph) -> Iterator[TensorRef]:
    yield from (ref for m in graph.members for call in m.inbound for ref in call.refs)
    yield from graph.inputs.refs + graph.outputs


def _offset(member: Member, used: set[int]) -> int:
    if not used or 0 in used:
        return 0
    if max(used) < member.count:
        raise AmbiguousCalls(member.name, member.class_name)
    return 1


def _offsets_of_keras_3(graph: Graph) -> dict[str, int]:
    """Keras 3 counts from 1 in the list of outputs alone, and for Functional models alone."""
    ends = {ref.layer for ref in graph.outputs if ref.node}
    return {m.name: int(m.class_name != "Sequential" and m.name in ends) for m in _nested(graph)}


def _counted_from_0(graph: Graph, offsets: Mapping[str, int], only_outputs: bool) -> Graph:
    outputs = _shifted(graph.outputs, offsets)
    if only_outputs:
        return replace(graph, outputs=outputs)
    members = [
        replace(m, inbound=tuple(replace(c, refs=_shifted(c.refs, offsets)) for c in m.inbound))
        for m in graph.members
    ]
    inputs = replace(graph.inputs, refs=_shifted(graph.inputs.refs, offsets))
    return replace(graph, members=tuple(members), inputs=inputs, outputs=outputs)


def _shifted(refs: Iterable[TensorRef], offsets: Mapping[str, int]) -> Refs:
    return tuple(replace(ref, node=ref.node - offsets.get(ref.layer, 0)) for ref in refs)
