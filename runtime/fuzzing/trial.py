"""One model through the compiler: every stage runs and is compared with the one before.

A trial starts from a module on reals. The passes that decide numerics give the integers that all
else is compared with; pipelines that begin alike share what they have in common.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.passes import ModulePass

from calocc.compiler.data import to_mantissas, to_reals
from calocc.compiler.design import Design
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.pass_options import instantiate
from calocc.compiler.pipeline import new_context, universe, verify
from calocc.compiler.ports import Port, input_ports, main_function, output_ports
from calocc.compiler.ranges import check_formats, intervals
from calocc.compiler.stages import Stage, stage_of
from calocc.compiler.text import module_text
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import QnnOp, format_of, is_fixed
from calocc.passes.lowering.constants import FLOAT64_BITS
from calocc.runtime.attack import Attack
from calocc.runtime.emulator import execute
from calocc.runtime.fuzzing.coverage import Coverage
from calocc.runtime.fuzzing.data import Data
from calocc.runtime.fuzzing.events import drawn_events
from calocc.runtime.fuzzing.explain import (
    Difference,
    element_format,
    first_difference,
    output_difference,
)
from calocc.runtime.fuzzing.figures import broken_figures
from calocc.runtime.fuzzing.folding import RandomFolding
from calocc.runtime.fuzzing.properties import broken_order, directions

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

CONTEXT = new_context()
FLOAT64_NOISE = 2.0**-40
"""What float64 itself rounds on the way through a small model, relative to its values."""


MOST_FLIPPED = {"hoist-quantize": 0.0, "fold-batch-norm": 0.75, "factor-scales": 0.75}
"""Passes on reals, and the share of events that may change. Those that do arithmetic move the last
bit of a float64, which may round a number on a boundary the other way."""


_BETWEEN_PASSES = re.compile(r",(?![^{]*\})")
"""A comma that is not among the options of a pass."""


@lru_cache(maxsize=256)
def passes_of(pipeline: str) -> tuple[ModulePass, ...]:
    """The passes of a pipeline; besides those of calocc there is `random-folding{seed=N}`.

    Raises BadPipeline.
    """
    return tuple(step for part in _BETWEEN_PASSES.split(pipeline) for step in _instances(part))


@lru_cache(maxsize=1024)
def _instances(part: str) -> tuple[ModulePass, ...]:
    """Pipelines are all different; their passes are mostly those of others."""
    known = {**universe().all_passes, RandomFolding.name: lambda: RandomFolding}
    return instantiate(known, part)


@lru_cache(maxsize=1024)
def spec_of(step: ModulePass) -> str:
    """A pass as it stands in a pipeline."""
    return str(step.spec())


def strides(steps: Sequence[ModulePass]) -> list[tuple[ModulePass, ...]]:
    """Passes on layers in one stride, then those from `partition-streams` on."""
    names = [step.name for step in steps]
    at = names.index("partition-streams") if "partition-streams" in names else len(steps)
    return [tuple(part) for part in (steps[:at], steps[at:]) if part]


def run_passes(module: ModuleOp, pipeline: str) -> ModuleOp:
    """Run a pipeline in place, verifying after every pass; return the module."""
    for step in passes_of(pipeline):
        step.apply(CONTEXT, module)
        verify(module)
    return module


@dataclass(frozen=True)
class Plan:
    """What is done with a model.

    `numerics` leads from reals to integers, each of `pipelines` from there on. `events` are drawn
    from `seed`, and `search` more are spent on inputs that are far from the model. `emulate` runs
    the compiled emulator, `text` parses modules back, `simulate` asks for the generated C++.
    With `data` formats that the model lacks come from a calibration. A `brief` plan compares after
    several passes at once, and one by one only where that fails.
    """

    numerics: str
    pipelines: tuple[str, ...]
    seed: int = 0
    events: int = 16
    search: int = 0
    emulate: bool = True
    text: bool = False
    simulate: bool = False
    data: Data | None = None
    brief: bool = False


@dataclass(frozen=True)
class Failure:
    """Something that must not be.

    `check` says what kind, `stage` where: the passes that had run. `events` are the inputs, as
    reals (1, *shape), that show it; none where the compiler itself failed.
    """

    check: str
    stage: str
    message: str
    difference: Difference | None = None
    events: tuple[Reals, ...] = ()

    @property
    def kind(self) -> str:
        """What shrinking must keep: the check, and the exception or pass behind it."""
        last = self.stage.rpartition(",")[2].partition("{")[0]
        detail = self.message.partition(":")[0] if self.check == "exception" else last
        return f"{self.check}/{detail}"

    def __str__(self) -> str:
        where = f"{self.check} after {self.stage}" if self.stage else self.check
        shown = [where, f"  {self.message}"]
        return "\n".join([*shown, f"  {self.difference}"] if self.difference else shown)


@dataclass(eq=False)
class Result:
    """What came of a trial: a refusal, or failures; and designs that wait for their C++."""

    refusal: str | None = None
    failures: list[Failure] = field(default_factory=list[Failure])
    coverage: Coverage = field(default_factory=Coverage)
    runs: int = 0
    """Executions that were compared."""
    stages: set[Stage] = field(default_factory=set[Stage])
    """At which the module was executed, and the results were compared."""
    emulated: int = 0
    finished: list[tuple[str, ModuleOp]] = field(default_factory=list[tuple[str, ModuleOp]])
    """Dataflow modules by pipeline."""
    inputs: list[Reals] = field(default_factory=list[Reals])
    expected: list[Ints] = field(default_factory=list[Ints])

    @property
    def through(self) -> bool:
        """Whether every stage was executed and compared."""
        return len(self.stages) == len(Stage)


def is_dataflow(module: ModuleOp) -> bool:
    """Whether a module is one of processes."""
    return any(isinstance(a.type, StreamType) for a in main_function(module).args)


class Stop(Exception):
    """A trial has no more to say."""


def described(error: Exception) -> str:
    """An exception on one line."""
    text = error.what if isinstance(error, CaloccError) else str(error)
    lines = text.splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1].strip() or lines[0]}"


def _events_apart(a: Reals, b: Reals) -> NDArray[np.bool_]:
    """The events whose results differ by more than float64 rounds."""
    noise = FLOAT64_NOISE * (1 + np.abs(a).max(initial=0))
    apart = (np.abs(a - b) > noise) | (np.isnan(a) != np.isnan(b))
    return apart.reshape(len(a), -1).any(axis=1)


def _changed(before: Sequence[Reals], after: Sequence[Reals]) -> NDArray[np.bool_]:
    """The events for which outputs are apart."""
    with np.errstate(all="ignore"):
        pairs = zip(before, after, strict=True)
        return np.any([_events_apart(*pair) for pair in pairs], axis=0)


def _is_beyond_float64(module: ModuleOp) -> bool:
    """Whether a fixed-point value has more bits than float64, which rounds what integers hold."""
    formats = (element_format(value.type) for op in module.walk() for value in op.results)
    return any(format is not None and format.width > FLOAT64_BITS for format in formats)


def _outside(array: Ints, bounds: Interval, frac: int) -> tuple[int, int] | None:
    """The event and the mantissa of a value outside of bounds, if there is one."""
    aligned = bounds.aligned(frac)
    wrong = (array < aligned.lo) | (array > aligned.hi)
    if not wrong.any():
        return None
    index = tuple(np.argwhere(wrong)[0])
    return int(index[0]), int(array[index])


def _verify_ends(module: ModuleOp) -> None:
    """What follows takes layers that are wrong to processes that are, or to none; but formats that
    are too narrow it takes as they are."""
    stage = stage_of(module)
    if stage is Stage.FIXED:
        check_formats(module)
    elif stage is Stage.DATAFLOW:
        verify(module)


@dataclass
class Trial:
    """Runs a plan on a module on reals."""

    module: ModuleOp
    plan: Plan
    given: Sequence[Reals] = ()
    """Events to try before any that are drawn."""
    result: Result = field(default_factory=Result)
    ports: tuple[Port, ...] = ()
    """The inputs, once their formats are known."""
    _stages: dict[tuple[str, ...], ModuleOp] = field(
        default_factory=dict[tuple[str, ...], ModuleOp]
    )

    def run(self) -> Result:
        """All checks of the plan; what numpy warns of, as of infinity times zero, is a failure."""
        with suppress(Stop), catch_warnings():
            simplefilter("error", RuntimeWarning)
            self._run()
        return self.result

    def _run(self) -> None:
        result, plan = self.result, self.plan
        exact = self._calibrated()
        result.coverage.see(self.module)
        reals, lowered = self._lowered(exact)
        result.coverage.see(lowered)
        ports = self.ports = input_ports(lowered)
        drawn = drawn_events(ports, plan.seed, plan.events)
        result.inputs = [
            np.concatenate(pair) if self.given else pair[1]
            for pair in zip(self.given or drawn, drawn, strict=True)
        ]
        mantissas = [to_mantissas(p, x) for p, x in zip(ports, result.inputs, strict=True)]
        result.expected = self._base(lowered, mantissas)
        wanted = self._on_reals(reals, mantissas)
        self._preparation(wanted if exact is None else None, mantissas)
        self._properties(lowered, mantissas)
        self._bound(reals, lowered, mantissas, wanted)
        for pipeline in plan.pipelines:
            self._pipeline(lowered, pipeline, mantissas)

    # ---- numerics --------------------------------------------------------------------------------

    def _calibrated(self) -> ModuleOp | None:
        """Take formats from data, if the plan says so; return the model on reals that the result is
        compared with, if that is not the module itself."""
        if self.plan.data is None:
            self.result.coverage.count("formats", "given by the model")
            return None
        try:
            self.module, exact = self.plan.data.formats(self.module)
        except CaloccError as error:
            self.result.refusal = f"{type(error).__name__}: {error.what}"
        except Exception as error:
            self.fail("exception", "calibration", described(error))
        else:
            self.result.coverage.count("formats", "found from data")
            return exact
        raise Stop

    def _lowered(self, exact: ModuleOp | None) -> tuple[ModuleOp, ModuleOp]:
        """The module as it is lowered, or what it is compared with, and the same on integers."""
        before, name, behind = self.plan.numerics.rpartition("lower-to-fixed")
        prepared = self._applied(self.module, before.rstrip(","))
        lowered = self._applied(prepared, name + behind)
        return prepared if exact is None else self._applied(exact, before.rstrip(",")), lowered

    def _on_reals(self, module: ModuleOp, mantissas: Sequence[Ints]) -> list[Reals]:
        """What a module on reals computes from the values of mantissas."""
        inputs = [to_reals(p, m) for p, m in zip(self.ports, mantissas, strict=True)]
        with np.errstate(all="ignore"):
            return execute(module, inputs)

    def _preparation(self, prepared: Sequence[Reals] | None, mantissas: Sequence[Ints]) -> None:
        """Passes on reals leave what the model computes, up to what float64 rounds on the way.

        `prepared` is what the module computes after all of them, if that is known: where it is the
        same, they need not be looked at one by one.
        """
        module, found = self.module, self._on_reals(self.module, mantissas)
        if prepared is not None and not _changed(found, prepared).any():
            return
        for step in passes_of(self.plan.numerics.rpartition("lower-to-fixed")[0].rstrip(",")):
            module, before = self._applied(module, spec_of(step)), found
            found = self._on_reals(module, mantissas)
            most = MOST_FLIPPED.get(step.name)
            if most is None:
                continue
            changed = _changed(before, found)
            if changed.mean() > most:
                event = int(np.argmax(changed))
                what = f"it changes what the model computes for {changed.sum()} of {len(changed)}"
                self.fail("reals", step.name, f"{what} events", mantissas, event)

    def _applied(self, module: ModuleOp, pipeline: str) -> ModuleOp:
        """A copy after some passes; what they refuse ends the trial."""
        steps = passes_of(pipeline) if pipeline else ()
        try:
            return self._run_steps(module, steps)
        except CaloccError as error:
            self.result.refusal = f"{type(error).__name__}: {error.what}"
        except Exception as error:
            self.fail("exception", pipeline, described(error))
        raise Stop

    def _run_steps(self, module: ModuleOp, steps: Sequence[ModulePass]) -> ModuleOp:
        """A copy after some passes; raise what they and the verifier raise."""
        copy = module.clone()
        for step in steps:
            step.apply(CONTEXT, copy)
            if not self.plan.brief:
                verify(copy)
        if self.plan.brief:
            _verify_ends(copy)
        return copy

    def _base(self, lowered: ModuleOp, mantissas: Sequence[Ints]) -> list[Ints]:
        """What the lowered module returns; every value within its format and its interval."""
        bounds = intervals(main_function(lowered))

        def observe(op: Operation, results: tuple[NDArray[np.int64], ...]) -> None:
            self._within_format(lowered, "lower-to-fixed", op, results, mantissas)
            for value, array in zip(op.results, results, strict=True):
                if value in bounds and isinstance(op, QnnOp) and is_fixed(value):
                    outside = _outside(array, bounds[value], format_of(value).frac)
                    if outside is not None:
                        what = (
                            f"{op.layer_name}: {op.name} yields {outside[1]} outside its interval"
                        )
                        self.fail("interval", "lower-to-fixed", what, mantissas, outside[0])

        self.result.runs += 1
        self.result.stages.add(Stage.FIXED)
        return execute(lowered, mantissas, observe)

    def _within_format(
        self,
        module: ModuleOp,
        stage: str,
        op: Operation,
        results: tuple[NDArray[np.int64], ...],
        mantissas: Sequence[Ints],
    ) -> None:
        for value, array in zip(op.results, results, strict=True):
            format = element_format(value.type)
            if format is None or not array.size:
                continue
            lo, hi = int(array.min()), int(array.max())
            if not format.holds(lo, hi):
                beyond = hi if hi > format.max_mantissa else lo
                event = int(np.argwhere(array == beyond)[0][0])
                layer = getattr(op, "layer_name", op.name)
                what = f"{layer}: {op.name} yields the mantissa {beyond}, beyond {format}"
                self.fail("overflow", stage, what, mantissas, event)

    def _bound(
        self,
        reals: ModuleOp,
        lowered: ModuleOp,
        mantissas: Sequence[Ints],
        wanted: Sequence[Reals],
    ) -> None:
        """No output is further from the model than its certified bound, on the grid of the port;
        of the events given, the model computes what is `wanted`."""
        attack = Attack(reals, lowered, np.random.default_rng(self.plan.seed), kept=4)
        with np.errstate(all="ignore"):
            attack.note(mantissas, self.result.expected, wanted)
            if self.plan.search:
                attack.run(self.plan.search)
        found = zip(output_ports(lowered), attack.worst, attack.culprits, strict=True)
        for port, worst, culprit in found:
            if port.bound is None or not np.isfinite(port.bound):
                continue
            self.result.stages.add(Stage.QNN)
            if worst <= port.bound:
                continue
            exact = port.bound == 0 and not _is_beyond_float64(lowered)
            noise = 0.0 if exact else FLOAT64_NOISE * (1 + port.bound + attack.largest)
            if not worst <= port.bound + noise:
                what = f"output {port.name!r} is {worst:.9g} away, certified are {port.bound:.9g}"
                self.fail("bound", self.plan.numerics, what, culprit, 0)

    def _properties(self, lowered: ModuleOp, mantissas: Sequence[Ints]) -> None:
        """What holds of monotone outputs, and of the order of what a softmax takes."""
        ways = directions(lowered)
        if any(way for way in ways):
            lower = [np.minimum(m, m[::-1]) for m in mantissas]
            upper = [np.maximum(m, m[::-1]) for m in mantissas]
            both = execute(
                lowered, [np.concatenate(pair) for pair in zip(lower, upper, strict=True)]
            )
            for k, (way, found) in enumerate(zip(ways, both, strict=True)):
                below, above = np.split(found, 2)
                if way and ((above - below) * way < 0).any():
                    self.fail("monotone", "lower-to-fixed", f"output {k} is not monotone")
        self.result.runs += 1
        what = broken_order(lowered, mantissas)
        if what is not None:
            self.fail("argmax", "lower-to-fixed", what)

    # ---- passes that keep bits -------------------------------------------------------------------

    def _pipeline(self, lowered: ModuleOp, pipeline: str, mantissas: Sequence[Ints]) -> None:
        """Pass after pass, or stride after stride, each compared."""
        steps = passes_of(pipeline)
        taken = strides(steps) if self.plan.brief else [(step,) for step in steps]
        module = self._through(lowered, taken, (), mantissas)
        if module is None or not is_dataflow(module):
            return
        self.result.finished.append((pipeline, module))
        self._figures(module, pipeline)
        if self.plan.emulate:
            self._emulate(module, pipeline)
        if self.plan.text:
            self._reparse(module, pipeline)

    def _through(
        self,
        module: ModuleOp | None,
        taken: Sequence[tuple[ModulePass, ...]],
        done: tuple[str, ...],
        mantissas: Sequence[Ints],
    ) -> ModuleOp | None:
        """The module after all strides, if it is right; `done` had run before."""
        for stride in taken:
            before, done = module, (*done, *map(spec_of, stride))
            module = self._stages.get(done)
            if module is None and before is not None:
                module = self._step(before, stride, done, mantissas)
            if module is None:
                return None
            self._stages[done] = module
        return module

    def _figures(self, module: ModuleOp, pipeline: str) -> None:
        """The time and the resources of a design whose FIFOs have depths."""
        steps = passes_of(pipeline)
        if not any(step.name == "size-fifos" for step in steps):
            return  # a shrunk pipeline
        try:
            problem = broken_figures(module, steps)
        except Exception as error:
            self.fail("exception", f"{pipeline},figures", described(error))
            return
        if problem is not None:
            self.fail("figures", pipeline, problem)

    def _step(
        self,
        before: ModuleOp,
        stride: tuple[ModulePass, ...],
        done: tuple[str, ...],
        mantissas: Sequence[Ints],
    ) -> ModuleOp | None:
        """The module after some passes, if it is right; of several, the one that is wrong is
        looked for."""
        failures = self.result.failures
        known = len(failures)
        after = self._compared(before, stride, ",".join(done), mantissas)
        if after is not None or len(stride) == 1:
            return after
        noted = failures[known:]
        del failures[known:]
        one_by_one = [(step,) for step in stride]
        after = self._through(before, one_by_one, done[: -len(stride)], mantissas)
        if len(failures) == known:
            failures += noted
        return after if not noted else None

    def _compared(
        self,
        before: ModuleOp,
        steps: tuple[ModulePass, ...],
        stage: str,
        mantissas: Sequence[Ints],
    ) -> ModuleOp | None:
        """The module after some passes, if it is valid and computes the same."""
        try:
            module = self._run_steps(before, steps)
        except CaloccError as error:
            refused = f"{steps[-1].name}: {type(error).__name__}"
            if len(steps) == 1:
                self.result.coverage.count("refused by passes", refused)
            return None
        except Exception as error:
            self.fail("exception", stage, described(error))
            return None
        self.result.coverage.see(module)
        for step in steps:
            self.result.coverage.count("passes", step.name)
        failures = len(self.result.failures)
        found = self._executed(module, stage, mantissas)
        if found is not None and len(self.result.failures) == failures:
            self._compare(before, module, found, stage, mantissas)
        if len(self.result.failures) > failures:
            return None
        if is_dataflow(module):
            self.result.stages.add(Stage.DATAFLOW)
        return module

    def _executed(
        self, module: ModuleOp, stage: str, mantissas: Sequence[Ints]
    ) -> list[Ints] | None:
        def observe(op: Operation, results: tuple[NDArray[np.int64], ...]) -> None:
            self._within_format(module, stage, op, results, mantissas)

        self.result.runs += 1
        try:
            return execute(module, mantissas, observe)
        except Exception as error:
            self.fail("exception", stage, described(error))
            return None

    def _compare(
        self,
        before: ModuleOp,
        after: ModuleOp,
        found: Sequence[Ints],
        stage: str,
        mantissas: Sequence[Ints],
    ) -> None:
        different = output_difference(before, after, self.result.expected, found)
        if different is None:
            return
        event = different.index[0]
        one = [m[event : event + 1] for m in mantissas]
        culprit = first_difference(before, after, one) or different
        self.fail("bits", stage, "a pass that keeps bits has changed one", mantissas, event,
                   culprit)  # fmt: skip

    def _emulate(self, module: ModuleOp, pipeline: str) -> None:
        """The compiled emulator on reals, as a user runs it."""
        try:
            outcome = Design("net", module, {}).predict(self.result.inputs, threads=1)
        except Exception as error:
            self.fail("exception", f"{pipeline},emulator", described(error))
            return
        self.result.emulated += 1
        outputs = outcome if isinstance(outcome, list) else [outcome]
        self.compare_reals("emulator", pipeline, module, outputs)

    def compare_reals(
        self, stage: str, pipeline: str, module: ModuleOp, outputs: Sequence[Reals]
    ) -> None:
        """Values of the outputs for the first events against those of the integers."""
        for port, y, m in zip(output_ports(module), outputs, self.result.expected, strict=True):
            assert port.format is not None
            wanted = to_real(m[: len(y)], port.format.frac)
            if np.array_equal(wanted, y):
                continue
            index = tuple(int(n) for n in np.argwhere(wanted != y)[0])
            scale = 2.0**port.format.frac
            difference = Difference(
                port.name, stage, index, float(wanted[index]), float(y[index]),
                int(wanted[index] * scale), int(y[index] * scale) if np.isfinite(y[index]) else 0,
                str(port.format),
            )  # fmt: skip
            one = tuple(x[index[0] : index[0] + 1] for x in self.result.inputs)
            what = f"the {stage} disagrees with the integer program"
            self.result.failures.append(Failure(stage, pipeline, what, difference, one))
            return

    def _reparse(self, module: ModuleOp, pipeline: str) -> None:
        """The text of a module parses back to an equal one."""
        text = module_text(module)
        try:
            parsed = Parser(CONTEXT, text).parse_module()
        except Exception as error:
            self.fail("exception", f"{pipeline},text", described(error))
            return
        if not module.is_structurally_equivalent(parsed):
            self.fail("text", pipeline, "the text of the module parses to another one")

    def fail(
        self,
        check: str,
        stage: str,
        message: str,
        mantissas: Sequence[Ints] = (),
        event: int = 0,
        difference: Difference | None = None,
    ) -> None:
        """Note a failure, with the event that shows it."""
        events: tuple[Reals, ...] = ()
        if mantissas:
            pairs = zip(self.ports, mantissas, strict=True)
            events = tuple(to_reals(p, m[event : event + 1]) for p, m in pairs)
        self.result.failures.append(Failure(check, stage, message, difference, events))
