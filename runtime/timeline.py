"""What every process does, and when: events that stream back to back through FIFOs of given depths.

The first event meets an empty design, so it has the latency that is reported; the last one runs in
the steady state, in which an event follows the other by the interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calocc.runtime.critical_path import Chain, critical_path
from calocc.runtime.cycles import Activity, Course, Network, follow, simulate

EVENTS = 3
"""Events that are followed."""
Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Leg:
    """A part of the latency: cycles `start` to `stop` of the first event, in a process (its index).

    From the iteration that no longer waits to the one that keeps the next process waiting.
    """

    process: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Timeline:
    """`events[k]` are the processes in event k, in their order; `path` is the critical one."""

    latency: int
    interval: int
    events: tuple[tuple[Course, ...], ...]
    path: tuple[Leg, ...]

    @property
    def running(self) -> tuple[Activity, ...]:
        """The processes in an event of the running pipeline."""
        return tuple(course.activity() for course in self.events[-1])

    def share(self, process: int) -> int:
        """Cycles of the critical path that are spent in a process."""
        return sum(leg.stop - leg.start for leg in self.path if leg.process == process)


def timeline_of(network: Network, depths: Mapping[str, int]) -> Timeline:
    """Follow events through a network whose channels have these depths, by name.

    Raises Deadlock, or MalformedNetwork for depths that are missing.
    """
    free = simulate(network)
    path = _legs(network, critical_path(network, free))
    events = follow(network, depths, EVENTS)
    return Timeline(free.latency_cycles, free.interval_cycles, events, path)


def _legs(network: Network, chain: Chain) -> tuple[Leg, ...]:
    """The shares of a chain with the cycles in which they begin and end, first process first."""
    legs: list[Leg] = []
    now = chain.arrival - 1
    for share in reversed(chain.shares):
        legs.append(Leg(share.process, now, now + share.cycles))
        now += share.cycles + network.processes[share.process].schedule.depth + 1
    return tuple(legs)


def shares(course: Course, edges: Reals) -> Reals:
    """What part of the time between neighbouring `edges` (in cycles, ascending, (n + 1,)) a process
    is busy, starved and blocked, (3, n)."""
    waits = course.starved + course.blocked
    begin = course.first + course.marks + np.cumsum(waits) - waits
    # Before each mark: the wait begins, only room lacks, the iteration starts.
    instants = _ramp(begin, course.starved, course.blocked)
    end = course.first + course.trips + int(waits.sum())
    times = np.concatenate([[course.first], instants, [end]])
    nothing = np.zeros_like(waits)
    totals = (
        _total(course.marks, nothing, nothing, course.trips),
        _total(np.cumsum(course.starved) - course.starved, course.starved, nothing),
        _total(np.cumsum(course.blocked) - course.blocked, nothing, course.blocked),
    )
    passed = np.stack([np.interp(edges, times, total) for total in totals])
    return np.diff(passed, axis=1) / np.diff(edges)


def _ramp(start: Ints, first: Ints, second: Ints) -> Ints:
    """`start`, `start + first` and `start + first + second` in turns."""
    return np.stack([start, start + first, start + first + second], axis=1).ravel()


def _total(start: Ints, first: Ints, second: Ints, end: int | None = None) -> Ints:
    """A count at the first iteration, at all instants and at the end."""
    counts = _ramp(start, first, second)
    return np.concatenate([[0], counts, [counts[-1] if end is None else end]])
