"""For authors of passes: does a pass keep every bit?"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from calocc.compiler.data import to_mantissas
from calocc.compiler.pipeline import verify
from calocc.compiler.ports import input_ports
from calocc.runtime.emulator import execute
from calocc.runtime.fuzzing.events import drawn_events
from calocc.runtime.fuzzing.explain import first_difference, output_difference
from calocc.runtime.fuzzing.trial import CONTEXT, passes_of, run_passes
from calocc.testing.strategies import qnn_modules

EVENTS = 16
SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example)
"""What hypothesis says of everything that is as large as a model."""


@dataclass(frozen=True)
class Watched:
    """What a pass has done to a module, on events drawn from a seed."""

    before: ModuleOp
    after: ModuleOp
    seed: int

    def require_equal(self, what: str) -> None:
        """Raise AssertionError with the first value that is another one."""
        ports = input_ports(self.before)
        events = drawn_events(ports, self.seed, EVENTS)
        mantissas = [to_mantissas(p, x) for p, x in zip(ports, events, strict=True)]
        expected, found = execute(self.before, mantissas), execute(self.after, mantissas)
        different = output_difference(self.before, self.after, expected, found)
        if different is None:
            return
        event = different.index[0]
        one = [m[event : event + 1] for m in mantissas]
        first = first_difference(self.before, self.after, one) or different
        raise AssertionError(f"{what} changes a bit: {first}\n{self.before}")


def assert_preserves_bits(
    step: str | ModulePass,
    before: str | ModuleOp = "",
    examples: int = 50,
    layers: int = 4,
    start: int = 0,
) -> None:
    """Raise AssertionError unless a pass keeps every output of a module, or of drawn ones, bit for
    bit.

    `step` is a pass or a pipeline as text, which may name passes of plug-ins. `before` is a module
    to try it on, with as many sets of events as `examples`; or the passes that bring a fixed-point
    `qnn` module to where it can run ("partition-streams,fuse" for one on processes). Then so many
    `examples` of up to so many `layers` are drawn from the seed `start`, and the smallest module
    that fails is shown with the first value that differs. What the pass refuses with a
    CaloccError, or leaves invalid, is raised as it is.
    """
    passes = passes_of(step) if isinstance(step, str) else (step,)
    name = step if isinstance(step, str) else step.name
    if isinstance(before, ModuleOp):
        after = _applied(before, passes, CONTEXT)
        for number in range(start, start + examples):
            Watched(before, after, number).require_equal(name)
        return

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=SLOW,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,  # the assertion tells all, and modules are long
    )
    @given(qnn_modules(layers), st.integers(0, 2**16))
    def check(module: ModuleOp, number: int) -> None:
        run_passes(module, before)
        after = _applied(module, passes, CONTEXT)
        Watched(module, after, number).require_equal(name)

    check()


def _applied(module: ModuleOp, passes: tuple[ModulePass, ...], context: Context) -> ModuleOp:
    after = module.clone()
    for step in passes:
        step.apply(context, after)
        verify(after)
    return after
