"""Budgets: fewer bits than exactness takes, within a certified bound."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from qnn_networks import FLOAT64_NOISE, network, run_passes

from calocc.compiler.pipeline import PREPARE, to_fixed
from calocc.compiler.ports import output_ports
from calocc.compiler.report import exactness
from calocc.passes.lowering.budget import BudgetNotReached
from calocc.runtime.attack import Attack


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-5, 0.3, 2.0]))
@settings(max_examples=40, phases=[Phase.generate])
def test_a_budget_is_kept(seed: int, most: float) -> None:
    model = run_passes(network(seed, plain=False, loose=True), PREPARE)
    exact = run_passes(model.clone(), to_fixed(None))
    bounds = [port.bound for port in output_ports(exact)]
    cheap = model.clone()
    try:
        run_passes(cheap, to_fixed(most))
    except BudgetNotReached:
        assert any(bound is None or bound > most for bound in bounds)
        return
    worst = Attack(model, cheap, np.random.default_rng(seed), kept=1).run(64)
    for port, distance in zip(output_ports(cheap), worst, strict=True):
        assert port.bound is not None
        assert distance <= port.bound + FLOAT64_NOISE <= most + 2 * FLOAT64_NOISE
    assert bits(exactness(cheap)) <= bits(exactness(exact))


def bits(rows: list[dict[str, int]]) -> int:
    """The bits of all constants."""
    return sum(row.get("constant_bits", row.get("rounded_to_bits", 0)) for row in rows)
