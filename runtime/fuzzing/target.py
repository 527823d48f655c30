"""Attacks one model: many events, levels, orders of passes and foldings, until the time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic

from xdsl.dialects.builtin import ModuleOp

from calocc.runtime.fuzzing.cases import Case, Tally, simulate_trials
from calocc.runtime.fuzzing.configurations import pins
from calocc.runtime.fuzzing.models import Drawn
from calocc.runtime.fuzzing.plans import plan_for
from calocc.runtime.fuzzing.source import Seeded
from calocc.runtime.fuzzing.trial import Failure, Trial, run_passes

EVENTS, SEARCHED = 24, 512
"""Events of each round, and those that a search for a large distance may try."""


def attack_model(
    drawn: Drawn,
    seed: int,
    examples: int | None,
    seconds: float | None,
    told: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Rounds of `EVENTS` events until there are `examples` or the time is up.

    Raises CaloccError for a model that calocc refuses.
    """
    tally = Tally()
    tally.coverage.see_model(drawn.model)
    tally.coverage.see_hls4ml(drawn.hls4ml)
    module, kept = drawn.module(), pins(drawn)
    for number in _rounds(examples, seconds):
        case = Case(drawn, plan_for(Seeded("attack", seed, number), EVENTS, SEARCHED, kept))
        trial, failures = run_round(module, case)
        if trial.result.refusal is not None:
            run_passes(module.clone(), case.plan.numerics)  # raises it again, with its advice
        tally.cases += EVENTS
        tally.thorough += EVENTS
        tally.through += trial.result.through
        tally.runs += trial.result.runs
        tally.emulated += trial.result.emulated
        tally.simulated += int(bool(trial.result.finished))
        tally.coverage.add(trial.result.coverage)
        tally.failures += [(number, case, failure) for failure in failures]
        told(tally)
        if failures:
            break
    return tally


def run_round(module: ModuleOp, case: Case) -> tuple[Trial, list[Failure]]:
    """One plan on a module, the generated C++ of its last design included."""
    trial = Trial(module, case.plan)
    trial.run()
    simulate_trials([trial])
    return trial, trial.result.failures


def _rounds(examples: int | None, seconds: float | None) -> Iterator[int]:
    started, number = monotonic(), 0
    while (examples is None or number * EVENTS < examples) and (
        seconds is None or monotonic() - started < seconds
    ):
        yield number
        number += 1
