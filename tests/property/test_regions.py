"""Processes on dies: every contiguous assignment of small designs, tried one by one."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from qnn_networks import network, run_passes
from test_balance import TO_PROCESSES
from test_lowering import DRAWN, SEEDS
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from calocc.compiler.devices import Device, Slr, UnknownDevice
from calocc.compiler.dies import TRIES, held_by_dies
from calocc.compiler.ports import main_function
from calocc.compiler.regions import SLACK, Edge, assign, division, regions_report
from calocc.compiler.report import RESOURCES, total_resources
from calocc.compiler.summary import crowded
from calocc.dialects.dataflow.packing import DSP48E2

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
    if least > 1:  # then any order will do
        anyhow = product(range(len(room)), repeat=len(used))
        assert found.holds == any(measured(d, used, edges, room)[0] <= 1 for d in anyhow)
        return
    limit = full if least <= full else max(least, min(least + SLACK, 1))
    assert part <= limit + 1e-9
    assert bits <= min(b for p, b in every if p <= limit)


def test_processes_of_a_die_need_not_be_neighbours() -> None:
    """Three of 60, 70 and 40 on two dies of 105: the middle one is alone, and both its streams
    cross."""
    used, room = np.array([[60.0], [70.0], [40.0]]), np.array([[105.0], [105.0]])
    found = assign(used, [(0, 1, 8), (1, 2, 4)], room, 0.8)
    assert found.holds
    assert found.dies in ((0, 1, 0), (1, 0, 1))
    assert found.crossings == (12,)


def two_dies(size: int) -> Device:
    """A device of two small dies."""
    die = Slr(size, size, size, size, size)
    both = 2 * size
    return Device("pair", "part", 250, both, both, both, both, both, (die, die), DSP48E2)


@given(SEEDS)
@DRAWN
def test_dies_take_all_of_a_design_together(seed: int) -> None:
    module = network(seed)
    run_passes(module, f"{TO_PROCESSES},balance{{interval=50}},size-fifos")
    function = main_function(module)
    used, size = total_resources(function), 1 + max(total_resources(function).ff // 2, 1)
    device = two_dies(size)
    report = regions_report(function, device, division(function, device, 0.8))
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
    device = Device("one", "part", 250, 1, 1, 1, 1, 1, (die,), DSP48E2)
    assert division(main_function(module), device, 0.8) is None
    assert regions_report(main_function(module), device, None) is None
    assert crowded({"regions": None}) == []


def rebalanced(interval: float) -> ModuleOp:
    """A small network for an event every so many cycles at most."""
    module = network(3)
    run_passes(module, f"{TO_PROCESSES},balance{{interval={int(interval)}}},size-fifos")
    return module


def holds(function: FuncOp, device: Device) -> bool:
    found = division(function, device, 1.0)
    return found is not None and found.holds


def test_a_smaller_budget_is_tried_until_the_dies_hold() -> None:
    """Here a tenth less of the device takes twice the time."""
    asked: list[float] = []

    def build(budget: float) -> ModuleOp:
        asked.append(budget)
        return rebalanced(4 / budget**7)

    fast = main_function(rebalanced(4))
    sizes = (total_resources(fast).ff * k // 50 for k in range(50, 0, -1))
    device = next(d for d in map(two_dies, sizes) if not holds(fast, d))
    held = held_by_dies(build, device, 1.0)
    assert holds(main_function(held.module), device)
    assert asked == sorted(asked, reverse=True)
    assert held.budget == asked[-1] < 1
    assert f"{held.budget:.3f} of it" in held.notes(1.0)[0]


def test_a_design_that_dies_hold_is_the_first() -> None:
    module = rebalanced(50)
    held = held_by_dies(lambda _: module, two_dies(10**6), 0.8)
    assert (held.module, held.budget, held.notes(0.8)) == (module, 0.8, ())


def test_what_no_budget_helps_is_the_design_that_was_asked_for() -> None:
    built: list[ModuleOp] = []

    def build(budget: float) -> ModuleOp:
        built.append(rebalanced(50))
        return built[-1]

    held = held_by_dies(build, two_dies(10), 0.8)
    assert len(built) == 1 + TRIES
    assert (held.module, held.budget) == (built[0], 0.8)


def test_a_smaller_budget_may_be_too_small() -> None:
    first = rebalanced(50)

    def build(budget: float) -> ModuleOp:
        if budget < 0.8:
            raise UnknownDevice("whatever")
        return first

    assert held_by_dies(build, two_dies(10), 0.8).module is first
