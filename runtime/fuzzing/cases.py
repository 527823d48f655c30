"""A case: a model, what is done with it, and what came of that.

Cases are numbered; a number and the seed of the run say all about a case, whichever process runs
it. Cases run in chunks, whose C++ is compiled together. A chunk may end early and be gone on with:
how many of its cases have run says which.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from time import process_time, time

from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.diagnostics import CaloccError
from calocc.runtime.fuzzing.configurations import configured, pins
from calocc.runtime.fuzzing.coverage import Coverage
from calocc.runtime.fuzzing.draw import draw_model
from calocc.runtime.fuzzing.models import Drawn
from calocc.runtime.fuzzing.plans import brief_plan, draw_plan
from calocc.runtime.fuzzing.simulations import Simulated, simulate_all
from calocc.runtime.fuzzing.source import Seeded
from calocc.runtime.fuzzing.trial import Failure, Plan, Reals, Trial, described
from calocc.runtime.fuzzing.widening import widened
from calocc.runtime.gxx import CompilerFailed

SIMULATED_EVENTS = 8
CONFIGURED = 8
"""Once in so many models there is a configuration of hls4ml."""
WIDENED = 16
"""Once in so many models formats are wide."""
BRIEF_LAYERS = 3
"""Most layers of the model of a brief case."""


@dataclass(frozen=True)
class Options:
    """What a run of random cases is made of: the same for all its chunks."""

    seed: int = 0
    layers: int = 6
    events: int = 16
    chunk: int = 200
    """Cases that one job runs."""
    compiled: int = 4
    """Of so many chunks one has cases whose generated C++ is compiled and run: most of its work g++
    does once for all of them."""
    simulated: int = 10
    """Cases of such a chunk; 0 for none."""
    thorough: int = 300
    """One case in so many goes through all levels pass by pass; the others are brief. 0: none."""
    classes: tuple[str, ...] = ()

    def together(self, index: int) -> int:
        """How many cases of a chunk, the first ones, have their C++ compiled in one program."""
        return min(self.simulated, self.chunk) if index % self.compiled == 0 else 0

    def is_thorough(self, number: int) -> bool:
        """Whether the case of this number is."""
        return self.thorough > 0 and number % self.thorough == 0


@dataclass(frozen=True)
class Case:
    """A model with its plan, and events to try before any that are drawn."""

    drawn: Drawn
    plan: Plan
    given: tuple[Reals, ...] = ()


@dataclass
class Tally:
    """What came of some cases; seconds are those of the processor."""

    cases: int = 0
    thorough: int = 0
    refused: int = 0
    through: int = 0
    """Models executed and compared at every stage."""
    runs: int = 0
    emulated: int = 0
    simulated: int = 0
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    coverage: Coverage = field(default_factory=Coverage)
    failures: list[tuple[int, Case, Failure]] = field(
        default_factory=list[tuple[int, Case, Failure]]
    )

    def add(self, other: Tally) -> None:
        """Another tally behind this one."""
        for name in ("cases", "thorough", "refused", "through", "runs", "emulated", "simulated"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.coverage.add(other.coverage)
        self.failures += other.failures

    def took(self, stage: str, since: float) -> None:
        """Processor time of a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + process_time() - since


def case_of(options: Options, number: int) -> Case:
    """The case of this number."""
    source = Seeded("calocc-fuzz", options.seed, number)
    thorough = options.is_thorough(number)
    layers = options.layers if thorough else min(options.layers, BRIEF_LAYERS)
    drawn = draw_model(source, layers, options.classes or None)
    if source.once_in(WIDENED):
        drawn = widened(source, drawn)
    if source.once_in(CONFIGURED):
        drawn = configured(source, drawn)
    index, offset = divmod(number, options.chunk)
    draw = draw_plan if thorough else brief_plan
    plan = draw(source, options.events, offset < options.together(index), pins(drawn))
    return Case(drawn if plan.data is None else Drawn(drawn.model), plan)


def import_case(case: Case, stored: bool) -> ModuleOp:
    """The module of a case; through a file, or a JSON architecture, if `stored`."""
    if not stored:
        return case.drawn.imported
    with tempfile.TemporaryDirectory(prefix="calocc_fuzz_") as place:
        path = case.drawn.write(Path(place) / "model.h5")
        return case.drawn.module(path)


def run_trial(case: Case) -> Trial:
    """All stages of a case but the generated C++; failures of the importer count as well."""
    trial = Trial(ModuleOp([]), case.plan, case.given)
    try:
        trial.module = import_case(case, stored=not case.plan.brief)
    except CaloccError as error:
        trial.result.refusal = f"{type(error).__name__}: {error.what}"
        return trial
    except Exception as error:
        trial.result.failures.append(Failure("exception", "import", described(error)))
        return trial
    trial.run()
    return trial


def simulate_trials(trials: Sequence[Trial]) -> int:
    """Run the generated C++ of trials and compare; how many were compared.

    Designs that g++ rejects together are tried alone.
    """
    waiting = [t for t in trials if t.result.finished and t.plan.simulate]
    designs = [_simulated(t) for t in waiting]
    if not designs:
        return 0
    try:
        results = simulate_all(designs)
    except (CompilerFailed, ValueError, TypeError, KeyError, AssertionError) as error:
        if len(waiting) > 1:
            return sum(simulate_trials([trial]) for trial in waiting)
        waiting[0].fail("exception", f"{_pipeline(waiting[0])},csim", described(error))
        return 1
    for trial, design, outputs in zip(waiting, designs, results, strict=True):
        if outputs is None:
            trial.fail("exception", f"{_pipeline(trial)},csim", "Crash: the C++ ended the program")
        else:
            trial.compare_reals("csim", _pipeline(trial), design.module, outputs)
    return len(waiting)


def _pipeline(trial: Trial) -> str:
    return trial.result.finished[-1][0]


def _simulated(trial: Trial) -> Simulated:
    """The last design of a trial, which is folded at random."""
    events = slice(0, SIMULATED_EVENTS)
    return Simulated(trial.result.finished[-1][1], [x[events] for x in trial.result.inputs])


@dataclass(frozen=True)
class Deadline:
    """When a run is to end, in seconds since the epoch, by which clocks of several machines agree;
    in the last seconds before that, `margin` of them, no chunk begins that compiles C++."""

    end: float = inf
    margin: float = 0.0

    def is_near(self, compiles: bool) -> bool:
        """Whether no chunk begins any more that compiles, or that does not."""
        return time() >= self.end - (self.margin if compiles else min(self.margin, 0.0))

    def is_over(self) -> bool:
        """Whether no case begins any more."""
        return time() >= self.end


def run_chunk(
    options: Options, index: int, part: range | None = None, deadline: Deadline = Deadline()
) -> Tally:
    """All checks on the cases of one chunk, or of a part of it, until the deadline.

    The tally counts the cases that have run, which are the first ones. Those whose C++ is compiled
    together come before others, and are all run if any is.
    """
    tally, simulated = Tally(), list[tuple[int, Case, Trial]]()
    part = range(options.chunk) if part is None else part
    together = min(options.together(index), part.stop)
    if deadline.is_near(compiles=part.start < together):
        return tally
    for offset in part:
        if offset > part.start and offset >= together and deadline.is_over():
            break
        number = index * options.chunk + offset
        case, trial = _run_case(options, number, tally)
        if case.plan.simulate:
            simulated.append((number, case, trial))
        if offset == together - 1:
            _simulate_chunk(tally, simulated)
    return tally


def _run_case(options: Options, number: int, tally: Tally) -> tuple[Case, Trial]:
    """A case, and what came of all of it but the generated C++, which is counted."""
    since = process_time()
    case = case_of(options, number)
    tally.coverage.see_model(case.drawn.model)
    tally.coverage.see_hls4ml(case.drawn.hls4ml)
    tally.took("draw", since)
    since = process_time()
    trial = run_trial(case)
    tally.took("stages", since)
    tally.cases += 1
    tally.thorough += not case.plan.brief
    tally.through += trial.result.through
    tally.runs += trial.result.runs
    tally.emulated += trial.result.emulated
    _count(tally, number, case, trial)
    return case, trial


def _count(tally: Tally, number: int, case: Case, trial: Trial) -> None:
    result = trial.result
    tally.coverage.add(result.coverage)
    if result.refusal is not None:
        tally.refused += 1
        tally.coverage.count("refused models", result.refusal.partition(":")[0])
    tally.failures += [(number, case, failure) for failure in result.failures[:1]]


def _simulate_chunk(tally: Tally, trials: Sequence[tuple[int, Case, Trial]]) -> None:
    """The generated C++ of the trials that are to be simulated."""
    before = children_time()
    known = {id(trial): len(trial.result.failures) for _, _, trial in trials}
    tally.simulated += simulate_trials([trial for _, _, trial in trials])
    tally.seconds["g++"] = children_time() - before
    for number, case, trial in trials:
        new = trial.result.failures[known[id(trial)] :]
        tally.failures += [(number, case, failure) for failure in new[:1]]


def children_time() -> float:
    """Processor time of the programs that this process has run."""
    from resource import RUSAGE_CHILDREN, getrusage

    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def failures_of(case: Case) -> list[Failure]:
    """All failures of a case, those of its C++ if the plan asks for it included."""
    trial = run_trial(case)
    if case.plan.simulate and not trial.result.failures:
        simulate_trials([trial])
    return trial.result.failures
