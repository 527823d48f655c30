"""Processes on dies: every contiguous assignment of small designs, tried one by one."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from qnn_networks import network, run_passes
from test_balance import TO_PROCESSES
from test_lowering import DRAWN, SEEDS

from calocc.compiler.devices import Device, Slr
from calocc.compiler.ports import main_function
from calocc.compiler.regions import SLACK, Edge, assign, regions_report
from calocc.compiler.report import RESOURCES, total_resources
from calocc.compiler.summary import crowded

Reals = NDArray[np.float64]


@st.composite
def placements(draw: st.DrawFn) -> tuple[Reals, list[Edge], Reals, float]:
    """Up to six processes in two resources, edges forwards, up to four dies."""
    count = draw(st.integers(1, 6))
    used = [[draw(st.integers(0, 40)), draw(st.integers(0, 40))] for _ in range(count)]
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    some = draw(st.lists(st.sampled_from(pairs), max_size=8)) if pairs else []
    edges = [(a, b, draw(st.integers(1, 64))) for a, b in some]
    dies = [[draw(st.integers(20, 100))] * 2 for _ in range(draw(st.integers(2, 4)))]
    return np.array(used, float), edges, np.array(dies, float), draw(st.floats(0.3, 1))


def measured(
    dies: tuple[int, ...], used: Reals, edges: list[Edge], room: Reals
) -> tuple[float, int]:
    """How full the fullest die is, and the bits across all boundaries."""
    sums = [used[np.array(dies) == d].sum(axis=0) for d in range(len(room))]
    bits = sum(width * abs(dies[b] - dies[a]) for a, b, width in edges)
    return max(float((s / r).max()) for s, r in zip(sums, room, strict=True)), bits


@given(placements())
def test_no_assignment_in_order_is_better(case: tuple[Reals, list[Edge], Reals, float]) -> None:
    used, edges, room, full = case
    found = assign(used, edges, room, full)
    part, bits = measured(found.dies, used, edges, room)
    assert part == max(found.parts)
    assert bits == sum(found.crossings)
    assert found.holds == (part <= 1)
    upwards = list(combinations_with_replacement(range(len(room)), len(used)))
    every = [measured(d, used, edges, room) for d in (*upwards, *(d[::-1] for d in upwards))]
    least = min(p for p, _ in every)
    limit = full if least <= full else max(least, min(least + SLACK, 1))
    assert part <= limit + 1e-9
    assert bits <= min(b for p, b in every if p <= limit)


def two_dies(size: int) -> Device:
    """A device of two small dies."""
    die = Slr(size, size, size, size, size)
    both = 2 * size
    return Device("pair", "part", 250, both, both, both, both, both, (die, die))


@given(SEEDS)
@DRAWN
def test_dies_take_all_of_a_design_together(seed: int) -> None:
    module = network(seed)
    run_passes(module, f"{TO_PROCESSES},balance{{interval=50}},size-fifos")
    function = main_function(module)
    used, size = total_resources(function), 1 + max(total_resources(function).ff // 2, 1)
    report = regions_report(function, two_dies(size), 0.8)
    assert report is not None
    for name in RESOURCES:
        assert sum(die["resources"][name]["used"] for die in report["dies"]) == getattr(used, name)
    full = [f["used"] > f["available"] for die in report["dies"] for f in die["resources"].values()]
    assert report["holds"] == (not any(full))
    lines = crowded({"regions": report})
    assert len(lines) == (not report["holds"])
    assert all("take a lower --budget" in line for line in lines)


def test_a_single_die_is_not_divided() -> None:
    module = network(1)
    run_passes(module, f"{TO_PROCESSES},balance{{interval=50}},size-fifos")
    die = Slr(1, 1, 1, 1, 1)
    device = Device("one", "part", 250, 1, 1, 1, 1, 1, (die,))
    assert regions_report(main_function(module), device, 0.8) is None
    assert crowded({"regions": None}) == []
