"""`balance`: choose how many elements each process handles per cycle.

Matrix products share what the device has: each gets a number of cycles, and multipliers in DSP
slices or in logic (`balancing/choice.py`). First the least interval is found by bisection, then the
division of least latency (`balancing/search.py`). Everything else is folded to keep up.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from calocc.compiler.devices import Device, load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ports import main_function
from calocc.compiler.report import RESOURCES, total_resources
from calocc.compiler.stages import Stage
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.resources import Resources
from calocc.passes.balancing.choice import Share
from calocc.passes.balancing.folding import (
    BadPin,
    Goal,
    Pins,
    matvecs,
    parse_pins,
    refold,
    require_layers,
)
from calocc.passes.balancing.search import CAPS, Search
from calocc.passes.check_dataflow import find_obstacle

__all__ = ["BadPin", "Balance", "DoesNotFit", "longest_loop"]


@dataclass(eq=False)
class DoesNotFit(CaloccError):
    """Even the slowest design is too large."""

    device: str
    resource: str
    used: int
    available: int

    @property
    def where(self) -> str:
        return f"device {self.device}"

    @property
    def what(self) -> str:
        return (
            f"the smallest design needs {self.used} {self.resource.upper()}, "
            f"{self.available} are in the budget"
        )

    @property
    def hint(self) -> str:
        return "take a larger device with --target, or quantize the model to fewer bits"


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


GOALS = ("latency", "throughput")


def longest_loop(function: FuncOp) -> int:
    """The most iterations per event of any process."""
    processes = (op for op in function.body.block.ops if isinstance(op, ProcessOp))
    return max(op.schedule().trips for op in processes)


def shortage(used: Resources, device: Device, budget: float) -> tuple[str, int, int] | None:
    """The first resource of which there is not enough: name, needed, in the budget."""
    for name in RESOURCES:
        need, limit = getattr(used, name), int(getattr(device, name) * budget)
        if need > limit:
            return name, need, limit
    return None


@dataclass(frozen=True)
class Balance(ModulePass):
    """Choose the folding of every process, within the `budget`: a fraction of each resource of the
    device `target`.

    `optimize` says for what: the least `latency` of an event, or the greatest `throughput` and then
    the least latency. `interval`, if given, is met with the fewest resources instead; `pins` are
    `layer.pe=N` or `layer.simd=N`.
    """

    name = "balance"
    takes = Stage.DATAFLOW
    target: str = "alveo-u50"
    budget: float = 0.8
    optimize: str = "latency"
    interval: int | None = None
    pins: tuple[str, ...] = ()

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        if self.optimize not in GOALS:
            raise BadGoal(self.optimize)
        pins = parse_pins(self.pins)
        require_layers(main_function(op), pins)
        if self.interval is not None:
            goal = uniform(op, self.interval)
        else:
            goal = self._search(op, pins)
        refold(main_function(op), goal, pins)

    def _search(self, module: ModuleOp, pins: Pins) -> Goal:
        """The best foldings that fit the device."""
        device = load_device(self.target)
        limits = Resources(**{name: int(getattr(device, name) * self.budget) for name in RESOURCES})
        slowest = uniform(module, longest_loop(main_function(module)))
        search = Search(module, pins, limits)
        smallest = search.trial(slowest)
        if lacking := shortage(total_resources(smallest), device, self.budget):
            raise DoesNotFit(self.target, *lacking)
        if obstacle := find_obstacle(smallest):
            raise obstacle
        fastest = search.least_interval(slowest)
        return search.least_latency(fastest, CAPS if self.optimize == "latency" else (1.0,))


def uniform(module: ModuleOp, cycles: int) -> Goal:
    """The goal that no process takes more than these cycles."""
    return Goal((Share(cycles),) * len(matvecs(main_function(module))), cycles)
