"""`balance`: choose how many elements each process handles per cycle.

A target interval decides every folding: each process takes the cheapest one that is fast enough.
The smallest target whose design fits the device is found by bisection. Layers on single vectors
have nothing to overlap with: what they take adds to the latency. So they are then sped up, as
long as that fits too, and the version of least latency wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, lcm

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.devices import Device, load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.network import network_of
from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.process import DataflowOp, Folding, ProcessOp, divisors, most_lanes
from calocc.dialects.dataflow.resources import Resources
from calocc.dialects.dataflow.routing import LanesOp
from calocc.dialects.dataflow.stream import StreamType, port_stream, stream_of
from calocc.passes.check_dataflow import find_obstacle
from calocc.runtime.cycles import simulate


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
class BadPin(CaloccError):
    """A folding that a user asks for and a layer cannot have."""

    layer: str
    problem: str

    @property
    def where(self) -> str:
        return f"option --set {self.layer}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "pe divides the layer's outputs, simd the inputs of one output"


RESOURCES = ("dsp", "bram18", "uram", "lut", "ff")
Pins = Mapping[str, Mapping[str, int]]


SPEED_UPS = (1, 2, 4, 8, 16, 32)
"""How much faster than the interval layers on single vectors may become."""


@dataclass(frozen=True)
class Goal:
    """Cycles per event: of every process, and of matrix products with a single vector."""

    interval: int
    single: int

    def of(self, op: DataflowOp) -> int:
        """The cycles that a process may take."""
        alone = isinstance(op, MatvecOp) and op.positions == 1
        return self.single if alone else self.interval


def refold(function: FuncOp, goal: Goal, pins: Pins) -> None:
    """Fold every process for a goal, with width converters where they are needed."""
    _drop_converters(function)
    for op in list(function.body.block.ops):
        if isinstance(op, ReturnOp):
            streams = (stream_of(o) for o in op.operands)
            lanes = tuple(port_stream(s.shape, s.format).width for s in streams)
            _convert_operands(op, lanes, goal.interval)
        elif isinstance(op, DataflowOp):
            target = goal.of(op)
            folding = _folding(op, target, pins)
            _convert_operands(op, folding.inputs, target)
            _set_lanes(op, folding.outputs)
            op.fold_inside(folding)
    function.update_function_type()


def _drop_converters(function: FuncOp) -> None:
    for op in list(function.body.block.ops):
        if isinstance(op, LanesOp):
            op.result.replace_all_uses_with(op.x)
            op.detach()
            op.erase()


def _folding(op: DataflowOp, target: int, pins: Pins) -> Folding:
    offered = tuple(s.width for s in op.inputs)
    pin = pins.get(op.layer_name)
    if pin is None or not isinstance(op, MatvecOp):
        return op.fold(offered, target)
    n, m = op.weights.shape
    simd, pe = pin.get("simd", 1), pin.get("pe", 1)
    if n % simd or m % pe:
        raise BadPin(op.layer_name, f"pe={pe}, simd={simd} do not divide {m} outputs, {n} inputs")
    if "simd" not in pin:
        simd = _fast_enough(n, op.positions * (m // pe), target)
    if "pe" not in pin:
        pe = _fast_enough(m, op.positions * (n // simd), target)
    return Folding((simd,), (pe,))


def _fast_enough(size: int, repeats: int, target: int) -> int:
    """The least divisor of `size` whose share of a loop is done in time, or else `size`."""
    return next((d for d in divisors(size) if repeats * (size // d) <= target), size)


def _convert_operands(op: Operation, lanes: tuple[int, ...], target: int) -> None:
    for k, wanted in enumerate(lanes):
        op.operands[k] = _converted(op, op.operands[k], wanted, target)


def _converted(op: Operation, value: SSAValue, lanes: int, target: int) -> SSAValue:
    """The stream with these lanes, in two steps if neither width divides the other."""
    have = stream_of(value).width
    if have == lanes:
        return value
    layer = op.layer_name if isinstance(op, DataflowOp) else "output"
    direct = max(have, lanes) % min(have, lanes) == 0
    step = lanes if direct else _between(stream_of(value), lanes, target)
    converter = LanesOp(value, step, layer)
    converter.result.name_hint = value.name_hint
    Rewriter.insert_op(converter, InsertPoint.before(op))
    return _converted(op, converter.result, lanes, target)


def _between(stream: StreamType, lanes: int, target: int) -> int:
    """Lanes on the way: the common divisor is small, the common multiple never slower."""
    narrow, wide = gcd(stream.width, lanes), lcm(stream.width, lanes)
    slow = stream.size // narrow > target
    return wide if slow and wide <= most_lanes(stream) else narrow


def _set_lanes(op: DataflowOp, lanes: tuple[int, ...]) -> None:
    for result, width in zip(op.results, lanes, strict=True):
        Rewriter.replace_value_with_new_type(result, stream_of(result).with_lanes(width))


def total_resources(function: FuncOp) -> Resources:
    """The sum over all processes."""
    total = Resources()
    for op in function.body.block.ops:
        if isinstance(op, ProcessOp):
            total = total + op.resources()
    return total


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
    """Choose the folding of every process: the least interval that fits the device.

    `budget` is the fraction of each of the device's resources that may be used; `interval`, if
    given, is met with the fewest resources instead; `pins` are `layer.pe=N` or `layer.simd=N`.
    """

    name = "balance"
    target: str = "alveo-u50"
    budget: float = 0.8
    interval: int | None = None
    pins: tuple[str, ...] = ()

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        pins = parse_pins(self.pins)
        _require_layers(main_function(op), pins)
        device = load_device(self.target)
        goal = Goal(self.interval, self.interval) if self.interval else None
        goal = goal or self._least_latency(op, self._least_interval(op, pins, device), pins, device)
        refold(main_function(op), goal, pins)

    def _least_interval(self, module: ModuleOp, pins: Pins, device: Device) -> int:
        """Bisect for the smallest target interval that fits."""
        slowest = longest_loop(main_function(module))
        if lacking := self._lacking(_trial(module, Goal(slowest, slowest), pins), device):
            raise lacking
        low, high = 0, slowest  # `high` fits, `low` does not
        while high - low > max(1, high // 256):
            middle = (low + high) // 2
            if self._lacking(_trial(module, Goal(middle, middle), pins), device):
                low = middle
            else:
                high = middle
        return high

    def _least_latency(self, module: ModuleOp, interval: int, pins: Pins, device: Device) -> Goal:
        """Of the speed-ups that fit, the one with which the first event is out soonest."""
        latencies: dict[Goal, int] = {}
        for factor in SPEED_UPS:
            goal = Goal(interval, max(interval // factor, 1))
            trial = _trial(module, goal, pins)
            if self._lacking(trial, device):
                break
            latencies[goal] = simulate(network_of(trial)).latency_cycles
        return min(latencies, key=lambda goal: latencies[goal])

    def _lacking(self, trial: FuncOp, device: Device) -> CaloccError | None:
        """What keeps a folded design from being built."""
        lacking = shortage(total_resources(trial), device, self.budget)
        return DoesNotFit(self.target, *lacking) if lacking else find_obstacle(trial)


def _trial(module: ModuleOp, goal: Goal, pins: Pins) -> FuncOp:
    """A copy of the design, folded for a goal."""
    trial = main_function(module.clone())
    refold(trial, goal, pins)
    return trial


def _require_layers(function: FuncOp, pins: Pins) -> None:
    layers = {op.layer_name for op in function.body.block.ops if isinstance(op, MatvecOp)}
    for layer in pins:
        if layer not in layers:
            known = ", ".join(sorted(layers))
            raise BadPin(layer, f"no dense layer or convolution has this name; there are {known}")


def parse_pins(texts: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """`layer.pe=N` and `layer.simd=N` as {layer: {key: N}}; raise BadPin for anything else."""
    pins: dict[str, dict[str, int]] = {}
    for text in texts:
        place, _, value = text.partition("=")
        layer, _, key = place.rpartition(".")
        if key not in ("pe", "simd") or not value.isdecimal() or int(value) < 1:
            raise BadPin(place, f"{text!r} is not LAYER.pe=N or LAYER.simd=N")
        pins.setdefault(layer, {})[key] = int(value)
    return pins
