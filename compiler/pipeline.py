"""The pass pipelines of the optimisation levels, as text.

What decides numerics comes first, and is the same at every level; all else keeps every bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.universe import Universe

from calocc.compiler.pass_options import instantiate
from calocc.compiler.plugins import RULES, load_modules
from calocc.compiler.stages import WrongStage, stage_of
from calocc.compiler.verification import verify

PREPARE = "fold-batch-norm,factor-scales,hoist-quantize"
"""Reals as lowering wants them, at every level."""

NUMERICS = f"{PREPARE},lower-to-fixed,dce"
"""All that decides numbers, with default options."""


def to_fixed(max_error: float | None = None, exact_argmax: bool = False) -> str:
    """The passes from reals to fixed-point numbers, with a policy for exactness or a budget."""
    options = [] if max_error is None else ["policy=budget", f"max-error={max_error:.20f}"]
    options += ["exact-argmax=true"] if exact_argmax else []
    return f"lower-to-fixed{{{' '.join(options)}}},dce" if options else "lower-to-fixed,dce"


SIMPLIFY = {
    0: "",
    1: "canonicalize,cse,narrow-widths",
    2: "canonicalize,cse,exact-algebra,narrow-widths,thresholds",
    3: "canonicalize,cse,exact-algebra,narrow-widths,thresholds",
}
"""Fewer and narrower operations on tensors."""

DATAFLOW = {
    0: "partition-streams,size-fifos,check-dataflow",
    1: "partition-streams,fuse,size-fifos,check-dataflow",
    2: "partition-streams,fuse,{balance},size-fifos,check-dataflow",
    3: "partition-streams,fuse,{balance},size-fifos,check-dataflow",
}
"""From layers to balanced processes; `{balance}` is the balance pass with its options."""
ROUNDS = {0: 0, 1: 0, 2: 0, 3: 1}
"""Of further search for a balance."""


def is_balanced(level: int) -> bool:
    """Whether foldings are chosen at an optimisation level."""
    return "{balance}" in DATAFLOW[level]


Watch = Callable[[ModulePass, ModuleOp], None]
"""Sees the module after each pass."""


@cache
def universe() -> Universe:
    """All dialects, passes and targets, those of installed plug-ins included, with the rules for
    their ops."""
    load_modules(RULES)
    return Universe.get_multiverse()


def new_context() -> Context:
    """A context that knows all dialects."""
    context = Context()
    for name, dialect in universe().all_dialects.items():
        context.register_dialect(name, dialect)
    return context


def passes_of(pipeline: str) -> tuple[ModulePass, ...]:
    """The passes of a pipeline, plug-ins' included; raise BadPipeline."""
    return instantiate(universe().all_passes, pipeline)


@dataclass
class Runner:
    """Runs passes; measures, verifies and shows the module after every one.

    A pass may say in `takes` at which stage a module has to be.
    """

    context: Context
    seconds: dict[str, float]
    watch: Watch | None = None
    check: Callable[[ModuleOp], None] = verify

    def run(self, module: ModuleOp, pipeline: str) -> None:
        """Run the passes of a pipeline on a module, in place."""
        for step in passes_of(pipeline):
            self.apply(step, module)

    def apply(self, step: ModulePass, module: ModuleOp) -> None:
        """Run one pass on a module, in place; raise WrongStage if it is not for this one."""
        stage, taken = stage_of(module), getattr(step, "takes", None)
        if stage is not None and taken is not None and stage != taken:
            raise WrongStage(step.name, stage, taken)
        started = perf_counter()
        step.apply(self.context, module)
        self.check(module)
        self.seconds[step.name] = self.seconds.get(step.name, 0.0) + perf_counter() - started
        if self.watch is not None:
            self.watch(step, module)
