"""The search for foldings: shares that fit, chains of waits that add up, bits that stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qnn_networks import as_mantissas, network, run_passes
from test_lowering import DRAWN, SEEDS, inputs_for, same

from calocc.compiler.network import network_of
from calocc.compiler.ports import main_function
from calocc.compiler.report import total_resources
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.foldings import Pin
from calocc.dialects.dataflow.layout import least_parts
from calocc.dialects.dataflow.process import DataflowOp, ProcessOp
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.routing import LanesOp
from calocc.dialects.dataflow.stream import stream_of
from calocc.passes.balance import BadGoal, BadLayout, BadPin, DoesNotFit, uniform
from calocc.passes.balancing.choice import Market, Options, Share, amounts
from calocc.passes.balancing.division import Division
from calocc.passes.balancing.folding import pin_of
from calocc.passes.balancing.pixels import FEATURES, Pixels
from calocc.passes.balancing.rounding import SUM
from calocc.passes.balancing.search import Search
from calocc.passes.size_fifos import set_depths
from calocc.runtime.critical_path import critical_path
from calocc.runtime.cycles import simulate
from calocc.runtime.emulator import execute

TO_PROCESSES = (
    "fold-batch-norm,factor-scales,hoist-quantize,lower-to-fixed,dce,canonicalize,cse,"
    "narrow-widths,partition-streams,fuse"
)


@given(SEEDS, st.integers(1, 500))
@DRAWN
def test_the_shares_of_a_chain_are_the_latency(seed: int, interval: int) -> None:
    module = network(seed)
    run_passes(module, f"{TO_PROCESSES},balance{{interval={interval}}}")
    design = network_of(main_function(module))
    timing = simulate(design)
    chain = critical_path(design, timing)
    depths = [design.processes[s.process].schedule.depth + 1 for s in chain.shares]
    cycles = [s.cycles for s in chain.shares]
    assert chain.arrival + sum(cycles) + sum(depths) == timing.latency_cycles


@given(SEEDS, st.sampled_from(["latency", "throughput"]), st.sampled_from([0.002, 0.02, 0.8]))
@DRAWN
def test_a_balanced_design_fits_and_keeps_its_bits(seed: int, goal: str, budget: float) -> None:
    module = network(seed)
    x = inputs_for(module, seed)
    run_passes(module, TO_PROCESSES)
    mantissas = as_mantissas(module, x)
    expected = execute(module, mantissas)
    limits = Resources(*(int(n * budget) for n in (5952, 2688, 640, 871_680, 1_743_360)))
    try:
        run_passes(module, f'balance{{optimize="{goal}" budget={budget}}}')
    except DoesNotFit:
        slowest = Search(module, {}, limits).trial(uniform(module, 1 << 20))
        set_depths(slowest)
        assert np.any(amounts(total_resources(slowest)) > amounts(limits))
        return
    same(expected, execute(module, mantissas), f"{goal} {budget}\n{module}")
    function = main_function(module)
    set_depths(function)
    assert np.all(amounts(total_resources(function)) <= amounts(limits))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Layers with a few foldings each: more cycles, fewer resources."""
    layers: list[Options] = []
    for _ in range(draw(st.integers(1, 3))):
        work, count = draw(st.integers(1, 40)), draw(st.integers(1, 4))
        shares = [Share(work * (k + 1), logic) for logic in (False, True) for k in range(count)]
        costs = [
            [0, 0, 0, 600 // (k + 1), 0] if logic else [60 // (k + 1), 0, 0, 60 // (k + 1), 0]
            for logic in (False, True)
            for k in range(count)
        ]
        cycles = np.array([s.cycles for s in shares], np.float64)
        features = np.zeros((len(shares), FEATURES))
        layers.append(Options(shares, cycles, features, np.array(costs, np.float64)))
    limits = Resources(dsp=draw(st.integers(0, 200)), lut=draw(st.integers(0, 2000)))
    return Market.of(layers, amounts(limits))


@given(markets(), st.integers(1, 200))
@settings(max_examples=200)
def test_the_smallest_shares_are_above_the_bound_and_no_layer_can_save(
    market: Market, most: int
) -> None:
    device = np.maximum(market.available, 1)
    division = Division(market, Pixels((), (), (), len(market.shares)))
    choice = division.smallest(most, np.zeros(5), device)
    picks = [own.index(s) for own, s in zip(market.shares, choice.shares, strict=True)]

    def worth(picks: list[int]) -> float:
        parts = sum((market.costs[k, p] for k, p in enumerate(picks)), np.zeros(5)) / device
        return float(parts.max() + SUM * parts.sum())

    assert worth(picks) >= choice.bound - 1e-9
    assert choice.bound == pytest.approx(division.least_parts(np.zeros(5), device)(most))
    for layer, option in zip(*np.nonzero(market.within(most)), strict=True):
        other = [int(option) if k == layer else p for k, p in enumerate(picks)]
        assert worth(other) >= worth(picks) - 1e-6


@given(SEEDS)
@DRAWN
def test_every_folding_on_offer_takes_what_it_says(seed: int) -> None:
    """Cycles and resources of an option are those of the folded process."""
    module = network(seed)
    run_passes(module, TO_PROCESSES)
    search = Search(module, {}, Resources())
    for op in (op for op in module.walk() if isinstance(op, MatvecOp)):
        options = Options.of(op, Pin())
        for k in range(0, len(options.shares), 3):
            goal = uniform(module, 1 << 20)
            ops = [o for o in module.walk() if isinstance(o, MatvecOp)]
            goal = type(goal)(
                tuple(options.shares[k] if o is op else Share(1 << 20) for o in ops), 1 << 20
            )
            folded = [o for o in search.trial(goal).walk() if isinstance(o, MatvecOp)]
            own = folded[ops.index(op)]
            before = op.x.owner
            floors = before.least_cycles([own.pixels]) if isinstance(before, DataflowOp) else ()
            beats = own.inputs[0].beats
            slower = max((f + beats - own.groups for f in floors), default=0)
            assert max(own.schedule().trips, slower) == options.shares[k].cycles
            assert own.resources().dsp == options.costs[k, 0]


@given(SEEDS)
@DRAWN
def test_single_values_and_single_products_keep_the_bits(seed: int) -> None:
    """Between layers a beat is one value; a DSP slice takes one product."""
    module = network(seed)
    x = inputs_for(module, seed)
    run_passes(module, TO_PROCESSES)
    mantissas = as_mantissas(module, x)
    expected = execute(module, mantissas)
    run_passes(module, 'balance{layout="single" packing=false}')
    same(expected, execute(module, mantissas), str(module))
    for op in (op for op in module.walk() if isinstance(op, ProcessOp)):
        if isinstance(op, MatvecOp):
            assert op.packing.count == 1
        for value in op.operands:
            before = value.owner
            between_layers = isinstance(before, DataflowOp) and before.layer_name != op.layer_name
            if between_layers and not isinstance(op, LanesOp):
                assert stream_of(value).width == 1, f"{op}\n{module}"


def test_an_unknown_layout_is_refused() -> None:
    module = network(1)
    run_passes(module, TO_PROCESSES)
    with pytest.raises(BadLayout, match="this is not a layout"):
        run_passes(module, 'balance{layout="double"}')


def test_an_unknown_goal_is_refused() -> None:
    module = network(1)
    run_passes(module, TO_PROCESSES)
    with pytest.raises(BadGoal, match="this is not a goal"):
        run_passes(module, 'balance{optimize="beauty"}')


@given(SEEDS, st.integers(1, 400))
@DRAWN
def test_a_reuse_factor_is_met_as_nearly_as_foldings_allow(seed: int, reuse: int) -> None:
    """A multiplier takes `reuse` products of a vector, by hls4ml's definition."""
    module = network(seed)
    run_passes(module, TO_PROCESSES)
    for op in (op for op in module.walk() if isinstance(op, MatvecOp)):
        n, m = op.weights.shape
        if reuse > n * m:
            with pytest.raises(BadPin, match="products there are"):
                pin_of(op, {op.layer_name: {"reuse": reuse}})
            continue
        pin = pin_of(op, {op.layer_name: {"reuse": reuse}})
        assert pin.simd is not None
        assert pin.pe is not None
        wanted, got = n * m / reuse, pin.simd * pin.pe
        if reuse in (1, n * m):
            assert got == wanted or pin.simd < n or pin.pe < m
        others = [s * p for s in least_parts(n) for p in least_parts(m)]
        if max(pin.simd, pin.pe) <= 64 >= max(n, m):
            distance = max(got / wanted, wanted / got)
            assert distance <= min(max(o / wanted, wanted / o) for o in others) + 1e-9


def test_a_reuse_factor_leaves_nothing_to_pin() -> None:
    modules = [network(seed) for seed in range(8)]
    for module in modules:
        run_passes(module, TO_PROCESSES)
    op = next(op for m in modules for op in m.walk() if isinstance(op, MatvecOp))
    with pytest.raises(BadPin, match="fixes pe as well"):
        pin_of(op, {op.layer_name: {"reuse": 1, "pe": 1}})
