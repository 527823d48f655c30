"""`balance`: choose how many elements each process handles per cycle.

Matrix products share what the device has: each gets a number of cycles, and multipliers in DSP
slices or in logic (`balancing/choice.py`). First the least interval is found by bisection, then the
division of least latency (`balancing/search.py`), or the smallest one that is as fast as required
(`balancing/requirement.py`). Everything else is folded to keep up. How far from optimal the result
can be is bounded (`balancing/relaxation.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp, UnitAttr, f64, i64
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from calocc.compiler.devices import load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ports import main_function
from calocc.compiler.stages import Stage
from calocc.passes.balancing.attempt import (
    Bounds,
    Fit,
    Nearest,
    Place,
    TooLarge,
    Wish,
    attempt,
    nearest,
    uniform,
)
from calocc.passes.balancing.folding import (
    SINGLE_VALUES,
    BadPin,
    longest_loop,
    matvecs,
    parse_pins,
    refold,
    require_layers,
)
from calocc.passes.balancing.requirement import Requirement

__all__ = ["BadPin", "Balance", "DoesNotFit", "NotFastEnough", "longest_loop", "uniform"]

GOALS = ("latency", "throughput")
LAYOUTS = ("mixed", "single")


@dataclass(eq=False)
class DoesNotFit(CaloccError):
    """Even the smallest design is too large.

    `lacking` are resources as (name, needed, in the budget), that which lacks most first.
    """

    device: str
    budget: float
    lacking: tuple[tuple[str, int, int], ...]
    nearest: Nearest | None
    clock_mhz: float

    @property
    def where(self) -> str:
        return f"device {self.device}"

    @property
    def what(self) -> str:
        rows = (f"{need:,} {name.upper()} of {limit:,}" for name, need, limit in self.lacking)
        return f"the smallest design needs {', '.join(rows)} in {_budget(self.budget)} of it"

    @property
    def hint(self) -> str:
        if self.nearest is None:
            return "no device that calocc knows would do; quantize the model to fewer bits"
        return _advice(self.device, self.nearest, self.clock_mhz, "or quantize it to fewer bits")


@dataclass(eq=False)
class NotFastEnough(CaloccError):
    """No design is found that meets a requirement: cycles that are `wanted`, those of the `best`
    design, and those that no folding is below."""

    device: str
    budget: float
    kind: str
    wanted: int
    best: int
    bound: int
    nearest: Nearest | None
    clock_mhz: float

    @property
    def where(self) -> str:
        return f"option {self.kind}-us={self.wanted / self.clock_mhz:g}"

    @property
    def what(self) -> str:
        best, bound = (f"{n / self.clock_mhz:,.2f} us" for n in (self.best, self.bound))
        place = f"{_budget(self.budget)} of {self.device} at {self.clock_mhz:g} MHz"
        above = f"{self.best / self.wanted - 1:.1%} above it"
        return (
            f"the least {self.kind} found within {place} is {best}, {above}; "
            f"no folding is below {bound}"
        )

    @property
    def hint(self) -> str:
        fewer = f"or ask for {self.best / self.clock_mhz:,.2f} us or more"
        if self.nearest is None:
            return f"no device that calocc knows would do; raise --clock, {fewer}"
        return _advice(self.device, self.nearest, self.clock_mhz, fewer)


def _budget(budget: float) -> str:
    return f"{budget:.4g}" if budget < 0.001 else f"{100 * budget:.4g} %"


def _advice(device: str, other: Nearest, clock_mhz: float, else_: str) -> str:
    """Where a design is possible, and how fast it is there."""
    option = f"--budget {other.budget:g}" if other.device == device else f"--target {other.device}"
    latency, interval = (n / clock_mhz for n in (other.latency, other.interval))
    return f"{option} will do ({latency:,.1f} us, an event every {interval:,.1f} us), {else_}"


@dataclass(eq=False)
class BadGoal(CaloccError):
    """An optimisation goal that does not exist."""

    goal: str

    @property
    def where(self) -> str:
        return f"option optimize={self.goal}"

    @property
    def what(self) -> str:
        return "this is not a goal"

    @property
    def hint(self) -> str:
        return f"choose one of {', '.join(GOALS)}"


@dataclass(eq=False)
class BadLayout(CaloccError):
    """A layout of streams that does not exist."""

    layout: str

    @property
    def where(self) -> str:
        return f"option layout={self.layout}"

    @property
    def what(self) -> str:
        return "this is not a layout of streams"

    @property
    def hint(self) -> str:
        return f"choose one of {', '.join(LAYOUTS)}"


@dataclass(frozen=True)
class Balance(ModulePass):
    """Choose the folding of every process, within the `budget`: a fraction of each resource of the
    device `target`.

    `optimize` says for what: the least `latency` of an event, or the greatest `throughput` and then
    the least latency. With `latency_us` or `interval_us` (at `clock` MHz) it is the fewest
    resources that meet them. `interval` instead folds everything for loops of this many iterations,
    whatever the device. `pins` are `layer.pe=N`, `layer.simd=N` or `layer.reuse=N`.

    `layout` is `mixed` where beats may be as wide as processes need, or `single`: between layers
    they then carry one value each. Without `packing` a DSP slice multiplies one pair of values.
    `rounds` of further search try more designs each.
    """

    name = "balance"
    takes = Stage.DATAFLOW
    target: str = "alveo-u50"
    budget: float = 0.8
    optimize: str = "latency"
    interval: int | None = None
    pins: tuple[str, ...] = ()
    latency_us: float | None = None
    interval_us: float | None = None
    clock: float = 250.0
    layout: str = "mixed"
    packing: bool = True
    rounds: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        if self.optimize not in GOALS:
            raise BadGoal(self.optimize)
        if self.layout not in LAYOUTS:
            raise BadLayout(self.layout)
        self._declare(main_function(op))
        pins = parse_pins(self.pins)
        require_layers(main_function(op), pins)
        if self.interval is not None:
            refold(main_function(op), uniform(op, self.interval), pins)
            return
        need = Requirement(*map(self._cycles, self._required))
        wish = Wish(self.optimize, need, pins, self.rounds)
        fit = self._fit(op, wish)
        refold(main_function(op), fit.goal, pins)
        _note(op, fit.bounds)

    def _declare(self, function: FuncOp) -> None:
        """Write down what restricts foldings."""
        function.attributes.pop(SINGLE_VALUES, None)
        if self.layout == "single":
            function.attributes[SINGLE_VALUES] = UnitAttr()
        for product in matvecs(function):
            product.unpacked = None if self.packing else UnitAttr()

    @property
    def _required(self) -> tuple[float | None, float | None]:
        return self.latency_us, self.interval_us

    def _cycles(self, micros: float | None) -> int | None:
        return None if micros is None else int(micros * self.clock * (1 + 1e-12))

    def _fit(self, module: ModuleOp, wish: Wish) -> Fit:
        """The best foldings; raise DoesNotFit or NotFastEnough."""
        place = Place(load_device(self.target), self.budget)
        found = attempt(module, place, wish)
        if isinstance(found, Fit):
            return found
        other = nearest(module, place, wish)
        if isinstance(found, TooLarge):
            raise DoesNotFit(self.target, self.budget, found.lacking, other, self.clock)
        facts = found.kind, found.wanted, found.best, found.bound
        raise NotFastEnough(self.target, self.budget, *facts, other, self.clock)


def _note(module: ModuleOp, bounds: Bounds) -> None:
    """Write bounds on the function, for the report."""
    attributes = main_function(module).attributes
    attributes["least_latency"] = IntegerAttr(bounds.latency, i64)
    attributes["least_interval"] = IntegerAttr(bounds.interval, i64)
    if bounds.part is not None:
        attributes["least_part"] = FloatAttr(bounds.part, f64)
