"""Cycles of calls and of tasks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

Place = TypeVar("Place", bound=Hashable)


def cycles(edges: Iterable[tuple[Place, Place]]) -> list[list[Place]]:
    """The elementary cycles of a graph, each as its places in order."""
    edges = list(edges)
    order: TopologicalSorter[Place] = TopologicalSorter()
    for start, end in edges:
        order.add(end, start)
    try:
        order.prepare()
    except CycleError:
        return _all(edges)
    return []


def _all(edges: list[tuple[Place, Place]]) -> list[list[Place]]:
    import networkx as nx  # a tenth of a second, for programs that are refused

    return list(nx.simple_cycles(nx.DiGraph(edges)))
