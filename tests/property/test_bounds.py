"""What no folding is below, and what is asked of a design: bounds hold, requirements are met."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from qnn_networks import as_mantissas, network, run_passes
from test_balance import TO_PROCESSES
from test_lowering import SEEDS, inputs_for, same

from calocc.compiler.network import network_of
from calocc.compiler.ports import main_function
from calocc.compiler.report import total_resources
from calocc.dialects.dataflow.resources import Resources
from calocc.passes.balance import NotFastEnough
from calocc.passes.balancing.choice import amounts
from calocc.passes.balancing.folding import Goal
from calocc.passes.balancing.program import Limits, Program, least, proved
from calocc.passes.balancing.relaxation import Relaxation
from calocc.passes.balancing.requirement import Requirement
from calocc.passes.balancing.search import Search
from calocc.passes.size_fifos import set_depths
from calocc.runtime.cycles import simulate
from calocc.runtime.emulator import execute

FEW = settings(max_examples=12, phases=[Phase.generate])


@given(SEEDS, st.integers(0, 1 << 30), st.integers(1, 3000))
@settings(max_examples=40, phases=[Phase.generate])
def test_no_folding_is_below_the_bounds_for_what_it_takes(
    seed: int, choice: int, others: int
) -> None:
    """Foldings drawn from all that are on offer, those with the pace of no neighbour included."""
    module = network(seed)
    run_passes(module, TO_PROCESSES)
    search = Search(module, {}, Resources())
    relaxed = Relaxation.of(search)
    random_ = random.Random(choice)
    shares = tuple(random_.choice(own) for own in search.market.shares)
    goal = Goal(shares, others)
    function = search.trial(goal)
    trial = search.measured(function, goal)
    set_depths(function)
    used = amounts(total_resources(function))
    assert relaxed.latency(used) <= trial.latency
    assert relaxed.interval(used) <= trial.interval
    quick = Relaxation.of(search, trial.latency)
    assert quick.latency(used) <= trial.latency
    assert quick.interval(used) <= trial.interval
    need = Requirement(trial.latency, trial.interval)
    parts = used / np.maximum(used, 1)
    assert relaxed.part(np.maximum(used, 1), need) <= parts.max() + 1e-9


@given(SEEDS, st.floats(1, 8), st.sampled_from(["latency", "interval"]))
@FEW
def test_a_required_time_is_kept_with_the_same_bits(seed: int, slack: float, kind: str) -> None:
    module = network(seed)
    x = inputs_for(module, seed)
    run_passes(module, TO_PROCESSES)
    mantissas = as_mantissas(module, x)
    expected = execute(module, mantissas)
    fast = module.clone()
    run_passes(fast, "balance")
    timing = simulate(network_of(main_function(fast)))
    cycles = timing.latency_cycles if kind == "latency" else timing.interval_cycles
    micros = cycles * slack / 250
    run_passes(module, f"balance{{{kind}-us={micros}}}")
    same(expected, execute(module, mantissas), f"{kind} {micros}\n{module}")
    kept = simulate(network_of(main_function(module)))
    taken = kept.latency_cycles if kind == "latency" else kept.interval_cycles
    assert taken <= round(micros * 250)
    device = np.array([5952, 2688, 640, 871_680, 1_743_360])
    before, after = (
        float((amounts(total_resources(main_function(m))) / device).max()) for m in (fast, module)
    )
    assert after <= max(before, 0.8)


def test_what_cannot_be_is_refused_with_its_distance() -> None:
    module = network(1)
    run_passes(module, TO_PROCESSES)
    with pytest.raises(NotFastEnough, match="no folding is below") as caught:
        run_passes(module, "balance{latency-us=0.004}")
    assert caught.value.wanted == 1
    assert 1 < caught.value.bound <= caught.value.best
    assert caught.value.nearest is None


@st.composite
def programs(draw: st.DrawFn) -> tuple[np.ndarray, Limits]:
    """A few layers with a few options each, in two resources and a wait."""
    layer = np.repeat(np.arange(draw(st.integers(1, 3))), draw(st.integers(1, 4)))
    values = st.integers(0, 50)
    rows = [[draw(values) for _ in layer] for _ in range(3)]
    fixed = [draw(st.integers(0, 120)), draw(st.integers(0, 120)), 0]
    return layer, Limits(np.array(rows, float), np.array(fixed, float), np.array([0.0, 0.0, 1.0]))


@given(programs(), st.lists(st.floats(0, 10), min_size=3, max_size=3))
def test_no_choice_is_below_what_prices_prove(
    program: tuple[np.ndarray, Limits], prices: list[float]
) -> None:
    layer, limits = program
    count = int((layer == 0).sum())
    layers = int(layer[-1]) + 1
    chosen = np.array(list(product(*(range(k * count, (k + 1) * count) for k in range(layers)))))
    sums = limits.amounts[:, chosen].sum(axis=2)
    fit = np.all(sums[:2] <= limits.fixed[:2, None], axis=0)
    best = sums[2, fit].min(initial=np.inf)
    mixture = least(layer, limits)
    assert mixture is not None or not fit.any()
    assert _known_bit_by_bit(layer, limits) == pytest.approx(mixture.bound if mixture else None)
    assert (mixture.bound if mixture else np.inf) <= best + 1e-6 or not fit.any()
    assert proved(layer, limits, np.array(prices)) <= best + 1e-6


def _known_bit_by_bit(layer: np.ndarray, limits: Limits) -> float | None:
    """The bound where rows join one after the other, and options are barred in between."""
    first, *others = ((limits.amounts[k], limits.fixed[k], limits.scale[k]) for k in (2, 0, 1))
    program = Program(layer, Limits(*(np.array([x]) for x in first)))
    for row in others:
        program.allow(np.arange(len(layer)) == np.searchsorted(layer, layer))
        program.least()
        program.add(Limits(*(np.array([x]) for x in row)))
    program.allow(np.ones(len(layer), np.bool_))
    mixture = program.least()
    return mixture.bound if mixture else None
