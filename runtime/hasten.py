"""Where beats should wait: in which FIFO of a chain of processes, in front of it or behind.

`postpone` lets every process run as late as its consumers allow, so that beats wait as far upstream
as they can. That is wrong for beats that nobody needs: a process that drops most of its operand
then takes it late, and the FIFO behind a fork holds nearly a whole tensor for it. So in each chain
of processes with one input and one output the first ones, as many as is best, run as early as
their inputs allow. In the others iterations that write stay as late as they are, and those that
only read, which can keep no one waiting, run as early as they can.

Times only move between those of the earliest and of the latest schedule, so outputs keep theirs,
and depths that hold the beats in flight still delay none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calocc.runtime.cycles import Network, Timing, in_flight

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Link:
    """A process of a chain: its node, and the channels in front of it and behind it."""

    node: int
    before: int
    behind: int


@dataclass(frozen=True, eq=False)
class _Moves:
    """When a process takes and gives its beats, all events one after the other."""

    consumed: Ints
    reserved: Ints


def hasten(network: Network, timing: Timing) -> Timing:
    """The same outputs at the same times, and never more bits in flight, for a timing that
    `postpone` gives; bits count as the channels' `width` says."""
    reserved, consumed = list(timing.reserved), list(timing.consumed)
    for chain in _chains(network):
        for link, moves in zip(chain, _best(network, chain, reserved, consumed), strict=True):
            consumed[link.before], reserved[link.behind] = moves.consumed, moves.reserved
    return replace(timing, reserved=tuple(reserved), consumed=tuple(consumed))


def _chains(network: Network) -> Iterator[list[_Link]]:
    """The longest chains of processes with one input and one output, upstream ones first."""
    graph = network.graph
    links = {
        n: _Link(n, node.inputs[0][0], node.outputs[0][0])
        for n, node in enumerate(graph.nodes)
        if (len(node.inputs), len(node.outputs)) == (1, 1)
    }
    for n in graph.order:
        if n in links and graph.edges[links[n].before].producer not in links:
            chain = [links[n]]
            while (after := graph.edges[chain[-1].behind].consumer) in links:
                chain.append(links[after])
            yield chain


def _best(
    network: Network, chain: Sequence[_Link], reserved: Sequence[Ints], consumed: Sequence[Ints]
) -> list[_Moves]:
    """The first processes of a chain early, the others late, with the fewest bits in flight."""
    late: list[_Moves] = []
    cut: list[_Moves] = []
    early: list[_Moves] = []
    first, last = chain[0].before, chain[-1].behind
    ahead = behind = reserved[first]
    for link in chain:
        own = _Moves(consumed[link.before], reserved[link.behind])
        late.append(_move(network, link, ahead, own))
        cut.append(_move(network, link, behind, own))
        early.append(_move(network, link, behind, None))
        ahead, behind = late[-1].reserved, early[-1].reserved

    def bits(givers: list[_Moves], takers: list[_Moves]) -> list[int]:
        """In flight in front of each process and behind the last one."""
        arriving = [reserved[first], *(m.reserved for m in givers)]
        leaving = [*(m.consumed for m in takers), consumed[last]]
        channels = (network.channels[c] for c in (*(link.before for link in chain), last))
        streams = zip(channels, arriving, leaving, strict=True)
        return [channel.width * in_flight(given, taken) for channel, given, taken in streams]

    running, queued, waiting = bits(early, early), bits(early, cut), bits(late, late)
    totals = [sum(running[:k]) + queued[k] + sum(waiting[k + 1 :]) for k in range(len(queued))]
    k = totals.index(min(totals))
    return [*early[:k], *cut[k : k + 1], *late[k + 1 :]]


def _move(network: Network, link: _Link, reserved: Ints, late: _Moves | None) -> _Moves:
    """A process whose input beats are `reserved`: as early as it can, or writing when `late` does.

    Iteration for iteration the times are between the earliest and those of `late`.
    """
    graph = network.graph
    node, before, behind = (
        graph.nodes[link.node],
        graph.edges[link.before],
        graph.edges[link.behind],
    )
    (_, takes), (_, gives) = node.inputs[0], node.outputs[0]
    frames = len(reserved) // len(before.reads)
    arrivals = reserved.reshape(frames, -1) + graph.nodes[before.producer].depth + 1 - before.reads
    moves: list[tuple[Ints, Ints]] = []
    floor = 0
    for frame in range(frames):
        slack = np.full(len(node.marks), floor, np.int64)
        slack[takes] = np.maximum(slack[takes], arrivals[frame])
        if late is not None:
            slack[gives] = late.reserved.reshape(frames, -1)[frame] - behind.writes
        np.maximum.accumulate(slack, out=slack)
        moves.append((slack[takes] + before.reads, slack[gives] + behind.writes))
        floor = int(slack[-1]) + node.interval
    taken, given = zip(*moves, strict=True)
    return _Moves(np.concatenate(taken), np.concatenate(given))
