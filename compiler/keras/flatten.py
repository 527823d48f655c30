"""Puts the layers of nested models into the outer model, and orders the calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import Any

from numpy.typing import NDArray

from calocc.compiler.keras.architecture import Graph, Member, Operands, Refs
from calocc.compiler.keras.errors import (
    CyclicModel,
    DanglingEndpoint,
    DanglingReference,
    DuplicateLayer,
    NestedOperands,
    TooManyCalls,
    UnlistedInput,
)
from calocc.compiler.keras.model import Call, KerasLayer, KerasModel, TensorRef

Weights = Mapping[str, Mapping[str, NDArray[Any]]]
"""The weights of each layer by their short names; inner layers are named `outer/inner`."""

_MOST_CALLS = 100_000


def flatten(graph: Graph, weights: Weights) -> KerasModel:
    """The model without nested ones; layers that nothing calls are left out.

    Raises DuplicateLayer, DanglingReference, DanglingEndpoint, NestedOperands, UnlistedInput,
    TooManyCalls or CyclicModel.
    """
    plain = _inlined(graph)
    calls = _call_order(plain.members)
    by_name = _by_name(plain.members)
    called = dict.fromkeys(call.layer for call in calls)
    layers = tuple(_layer(by_name[name], weights.get(name, {})) for name in called)
    return KerasModel(graph.name, layers, calls, plain.inputs.refs, plain.outputs)


def _layer(member: Member, weights: Mapping[str, NDArray[Any]]) -> KerasLayer:
    inbound = tuple(operands.refs for operands in member.inbound)
    return KerasLayer(member.name, member.class_name, member.config, inbound, weights)


def _by_name(members: tuple[Member, ...]) -> dict[str, Member]:
    result: dict[str, Member] = {}
    for member in members:
        if member.name in result:
            raise DuplicateLayer(member.name)
        result[member.name] = member
    return result


# ---- nested models -----------------------------------------------------------------------------


def _inlined(graph: Graph) -> Graph:
    """The graph without nested models, whose depth the JSON limits."""
    inner = {m.name: _inlined(m.graph) for m in graph.members if m.graph is not None}
    graph = replace(graph, members=tuple(_with_graph(m, inner) for m in graph.members))
    members = _by_name(graph.members)
    _check_references(graph, members)
    if not inner:
        return graph
    _check_size(graph)
    links = _Links(members)
    new = tuple(chain.from_iterable(_leaves(member, links) for member in graph.members))
    _by_name(new)
    inputs = replace(graph.inputs, refs=links.resolve_all(graph.inputs.refs))
    return replace(graph, members=new, inputs=inputs, outputs=links.resolve_all(graph.outputs))


def _with_graph(member: Member, graphs: Mapping[str, Graph]) -> Member:
    return replace(member, graph=graphs[member.name]) if member.graph is not None else member


def _check_references(graph: Graph, members: Mapping[str, Member]) -> None:
    for member in graph.members:
        for operands in member.inbound:
            _check_operands(member, operands)
            for ref in operands.refs:
                if not _exists(ref, members):
                    raise DanglingReference(member.name, ref.layer, ref.node, ref.tensor)
    for ref in graph.inputs.refs + graph.outputs:
        if not _exists(ref, members):
            raise DanglingEndpoint(graph.name, ref.layer, ref.node, ref.tensor)


def _exists(ref: TensorRef, members: Mapping[str, Member]) -> bool:
    if ref.layer not in members or not 0 <= ref.node < members[ref.layer].count:
        return False
    graph = members[ref.layer].graph
    if graph is None:  # how many results layers have is known to their importers only
        return members[ref.layer].class_name != "InputLayer" or ref.tensor == 0
    return ref.tensor < len(graph.outputs)


def _check_operands(member: Member, operands: Operands) -> None:
    """The operands of a call are those that a nested model takes; layers take no dictionary."""
    inputs = member.graph.inputs if member.graph is not None else Operands(operands.refs)
    if len(inputs.refs) != len(operands.refs) or inputs.keys != operands.keys:
        found, expected = _described(operands), _described(inputs)
        raise NestedOperands(member.name, member.class_name, found, expected)


def _described(operands: Operands) -> str:
    if operands.keys is not None:
        return f"a dictionary of {', '.join(operands.keys)}"
    return "one tensor" if len(operands.refs) == 1 else f"a list of {len(operands.refs)} tensors"


def _check_size(graph: Graph) -> None:
    """Nested models that call nested models can grow exponentially."""
    total = 0
    for member in graph.members:
        inner = member.graph.members if member.graph is not None else ()
        total += member.count * max(1, sum(leaf.count for leaf in inner))
        if total > _MOST_CALLS:
            raise TooManyCalls(member.name, _MOST_CALLS)


def _leaves(member: Member, links: _Links) -> Iterator[Member]:
    """The layer itself, or those of the nested model with all their calls."""
    if member.graph is None:
        inbound = tuple(Operands(links.resolve_all(call.refs)) for call in member.inbound)
        yield replace(member, inbound=inbound)
        return
    inputs = {ref.layer for ref in member.graph.inputs.refs}
    for leaf in member.graph.members:
        if leaf.class_name == "InputLayer":
            if leaf.name not in inputs:
                raise UnlistedInput(f"{member.name}/{leaf.name}")
            continue
        inbound = tuple(
            Operands(tuple(links.inner(member, call, ref) for ref in operands.refs))
            for call in range(member.count)
            for operands in leaf.inbound
        )
        yield replace(leaf, name=f"{member.name}/{leaf.name}", inbound=inbound)


class _Links:
    """Follows references through nested models to the layers that compute the tensors.

    Call j of an inner layer that is called m times is call i * m + j in the i-th call of its model.
    """

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._known: dict[TensorRef, TensorRef] = {}
        self._counts = {
            (outer.name, leaf.name): leaf.count
            for outer in members.values()
            for leaf in (outer.graph.members if outer.graph is not None else ())
        }
        self._inputs = {
            outer.name: {ref: index for index, ref in enumerate(outer.graph.inputs.refs)}
            for outer in members.values()
            if outer.graph is not None
        }

    def resolve_all(self, refs: Refs) -> Refs:
        """References to layers in the place of those to nested models."""
        return tuple(self.resolve(ref) for ref in refs)

    def resolve(self, ref: TensorRef) -> TensorRef:
        """Raise CyclicModel if nested models only hand a tensor round."""
        passed: dict[TensorRef, None] = {}
        while ref.layer in self._inputs and ref not in self._known:
            if ref in passed:
                raise CyclicModel(ref.layer)
            passed[ref] = None
            ref, inside = self._step(ref)
            if inside:
                break
        else:
            ref = self._known.get(ref, ref)
        self._known.update(dict.fromkeys(passed, ref))
        return ref

    def _step(self, ref: TensorRef) -> tuple[TensorRef, bool]:
        """From an output of a nested model to what it stands for; whether that is inside."""
        member = self._members[ref.layer]
        outputs = member.graph.outputs if member.graph is not None else ()
        return self._enter(member, ref.node, outputs[ref.tensor])

    def _enter(self, member: Member, call: int, ref: TensorRef) -> tuple[TensorRef, bool]:
        """A tensor of the inner model during a call, from outside; whether it is inside."""
        index = self._inputs[member.name].get(ref)
        if index is not None:
            return member.inbound[call].refs[index], False
        node = call * self._counts[member.name, ref.layer] + ref.node
        return TensorRef(f"{member.name}/{ref.layer}", node, ref.tensor), True

    def inner(self, member: Member, call: int, ref: TensorRef) -> TensorRef:
        """The layer that computes an inner tensor during a call."""
        entered, inside = self._enter(member, call, ref)
        return entered if inside else self.resolve(entered)


# ---- order -------------------------------------------------------------------------------------


def _call_order(members: tuple[Member, ...]) -> tuple[Call, ...]:
    sorter: TopologicalSorter[Call] = TopologicalSorter()
    for member in members:
        for node in range(member.count):
            refs = member.inbound[node].refs if member.inbound else ()
            sorter.add(Call(member.name, node), *(Call(ref.layer, ref.node) for ref in refs))
    try:
        return tuple(sorter.static_order())
    except CycleError as error:
        cycle: list[Call] = error.args[1]
        raise CyclicModel(cycle[0].layer) from None
