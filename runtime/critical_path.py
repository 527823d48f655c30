"""What the latency of a network consists of: the chain of waits that ends with the last output.

Going back from the last beat of the design, each process is asked which input made it so late; the
iterations from there on are its share of the latency. The shares, the pipeline depths between
them (and a cycle in each FIFO) and the arrival of the first beat add up to the latency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calocc.runtime.cycles import Network, Timing


@dataclass(frozen=True)
class Share:
    """`cycles` that a process (its index) needed once it no longer had to wait."""

    process: int
    cycles: int


@dataclass(frozen=True)
class Chain:
    """The longest chain of waits, from the last process to the first.

    `arrival` are the cycles until the beat of an input that is waited for is there, or the one
    cycle in which a process starts that waits for none.
    """

    shares: tuple[Share, ...]
    arrival: int


def critical_path(network: Network, timing: Timing) -> Chain:
    """What the first event's latency consists of; `timing` is that of unbounded FIFOs."""
    graph = network.graph
    ends = [c for c, edge in enumerate(graph.edges) if edge.consumer in graph.sinks]
    last = {c: len(graph.edges[c].reads) - 1 for c in ends}
    channel = max(ends, key=lambda c: int(timing.consumed[c][last[c]]))
    beat, shares = last[channel], list[Share]()
    while (node := graph.edges[channel].producer) < graph.processes:
        written = int(graph.edges[channel].writes[beat])
        slack = int(timing.reserved[channel][beat]) - written
        binding = _binding(network, timing, node, written, slack)
        if binding is None:
            return Chain((*shares, Share(node, written)), 1)
        channel, beat = binding
        shares.append(Share(node, written - int(graph.edges[channel].reads[beat])))
    return Chain(tuple(shares), int(timing.reserved[channel][beat]) + 2)


def _binding(
    network: Network, timing: Timing, node: int, written: int, slack: int
) -> tuple[int, int] | None:
    """The first beat, as (channel, beat), whose arrival kept iteration `written` that late."""
    graph = network.graph
    first: tuple[int, int, int] | None = None
    for c, _ in graph.nodes[node].inputs:
        edge = graph.edges[c]
        arrivals = timing.reserved[c][: len(edge.reads)] + graph.nodes[edge.producer].depth + 1
        late = np.flatnonzero((arrivals - edge.reads == slack) & (edge.reads <= written))
        if late.size and (first is None or edge.reads[late[0]] < first[0]):
            first = int(edge.reads[late[0]]), c, int(late[0])
    return first[1:] if first else None
