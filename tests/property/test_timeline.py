"""The timeline: shares of time that add up, and a path that is the latency."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cycles import networks

from calocc.compiler.charts import ticks
from calocc.runtime.cycles import Course, Network, fifo_depths, simulate
from calocc.runtime.timeline import shares, timeline_of


def stepwise(course: Course) -> list[str]:
    """What a process does in each cycle of an event, one by one."""
    waits = dict(zip(course.marks.tolist(), range(len(course.marks)), strict=True))
    cycles: list[str] = []
    for iteration in range(course.trips):
        if (k := waits.get(iteration)) is not None:
            cycles += ["starved"] * int(course.starved[k]) + ["blocked"] * int(course.blocked[k])
        cycles.append("busy")
    return cycles


@settings(deadline=None, max_examples=60)
@given(networks(), st.integers(2, 6))
def test_every_cycle_is_told_for_what_it_is(network: Network, depth: int) -> None:
    depths = {name: n + depth for name, n in fifo_depths(network, simulate(network, 3)).items()}
    timeline = timeline_of(network, depths)
    for event in timeline.events:
        for course in event:
            told = stepwise(course)
            edges = np.arange(course.first + len(told) + 4, dtype=np.float64)
            parts = shares(course, edges)
            idle = ["idle"] * course.first
            names = [*idle, *told, *["idle"] * 3]
            for kind, part in zip(("busy", "starved", "blocked"), parts, strict=True):
                np.testing.assert_allclose(part, [name == kind for name in names])
            activity = course.activity()
            assert activity.finish == course.first + len(told) - 1 + course.depth


@settings(deadline=None, max_examples=60)
@given(networks())
def test_the_path_leads_from_the_first_beat_to_the_last(network: Network) -> None:
    timeline = timeline_of(network, fifo_depths(network, simulate(network, 3)))
    *_, last = timeline.path
    depth = network.processes[last.process].schedule.depth
    assert last.stop + depth + 1 == timeline.latency - 1
    for leg in timeline.path:
        first = timeline.events[0][leg.process].activity()
        assert first.start <= leg.start <= leg.stop <= first.finish


@given(st.floats(1e-3, 1e9))
def test_ticks_are_few_and_round(end: float) -> None:
    marks = ticks(end)
    assert marks[0] == 0
    assert 4 <= len(marks) <= 11
    assert marks[-1] <= end * (1 + 1e-9)
