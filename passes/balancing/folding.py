"""Folds all processes of a design for given numbers of cycles, with converters between widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import gcd, lcm, log

from xdsl.dialects.builtin import UnitAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, OpResult, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.foldings import Pin
from calocc.dialects.dataflow.gearbox import Gearbox
from calocc.dialects.dataflow.layout import SINGLE, Layout, image_of, least_parts
from calocc.dialects.dataflow.process import DataflowOp, Folding, ProcessOp, most_lanes
from calocc.dialects.dataflow.routing import LanesOp, WindowOp
from calocc.dialects.dataflow.stream import StreamType, port_stream, stream_of
from calocc.passes.balancing.choice import Share

Pins = Mapping[str, Mapping[str, int]]
PINNED = ("pe", "simd", "pixels", "reuse")
"""What a user may set for a layer."""
SINGLE_VALUES = "single_values"
"""Attribute of a function whose streams between layers carry one value per beat."""
NO_HURRY = 1 << 62
"""More cycles than any process takes."""


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
        return "pe is at most the layer's outputs, simd its inputs, pixels those of a row"


@dataclass(frozen=True, order=True)
class Pace:
    """Cycles that a process may take, and the place among matrix products of the one that it
    follows (none: -1)."""

    cycles: int
    leader: int = -1


@dataclass(frozen=True)
class Goal:
    """What each `matvec` gets, in their order, and the cycles that any other process may take."""

    matvecs: tuple[Share, ...]
    others: int

    def targets(self, function: FuncOp) -> dict[Operation, int]:
        """The cycles of each process."""
        return {op: pace.cycles for op, pace in self.paces(function).items()}

    def paces(self, function: FuncOp) -> dict[Operation, Pace]:
        """The cycles of each process, and which matrix product they follow. One that only moves
        elements costs little: it keeps up with the process that it feeds if that computes, else
        with the fastest one near it."""
        ops = [op for op in function.body.block.ops if isinstance(op, DataflowOp)]
        rest = Pace(self.others)
        own: dict[Operation, Pace] = {
            op: rest for op in ops if isinstance(op, ProcessOp) and op.products()
        }
        found = (Pace(share.cycles, k) for k, share in enumerate(self.matvecs))
        own.update(zip(matvecs(function), found, strict=True))
        before, behind = dict(own), dict(own)
        for op in (op for op in ops if op not in own):
            owners = [o.op for o in op.operands if isinstance(o, OpResult)]
            before[op] = min((before[p] for p in owners), default=rest)
        for op in (op for op in reversed(ops) if op not in own):
            users = [use.operation for r in op.results for use in r.uses]
            behind[op] = min((behind.get(u, rest) for u in users), default=rest)
            if users and all(user in own for user in users):
                before[op] = behind[op]
        return {op: own.get(op, min(before[op], behind[op])) for op in ops}


def leaders_of(function: FuncOp, goal: Goal) -> dict[Operation, int]:
    """The matrix product, by its place, that sets the pace of each process which has one.

    A converter that reads more beats than it writes is as slow as what it reads from.
    """
    leaders = {op: pace.leader for op, pace in goal.paces(function).items()}
    for op in function.body.block.ops:
        if isinstance(op, LanesOp) and isinstance(op.x, OpResult):
            taken, given = stream_of(op.x), op.result.type
            user = op.result.get_user_of_unique_use()
            slower = op.x.op if taken.beats >= given.beats else user
            leaders[op] = leaders.get(slower, -1) if slower else -1
    return {op: leader for op, leader in leaders.items() if leader >= 0}


def longest_loop(function: FuncOp) -> int:
    """The most iterations per event of any process."""
    processes = (op for op in function.body.block.ops if isinstance(op, ProcessOp))
    return max(op.schedule().trips for op in processes)


def matvecs(function: FuncOp) -> list[MatvecOp]:
    """The matrix products of a design in order."""
    return [op for op in function.body.block.ops if isinstance(op, MatvecOp)]


def refold(function: FuncOp, goal: Goal, pins: Pins) -> None:
    """Fold every process for a goal, with width converters where they are needed."""
    _drop_converters(function)
    for op, share in zip(matvecs(function), goal.matvecs, strict=True):
        op.in_logic = UnitAttr() if share.in_logic else None
    targets = goal.targets(function)
    for op in list(function.body.block.ops):
        if isinstance(op, ReturnOp):
            streams = (stream_of(o) for o in op.operands)
            layouts = tuple(port_stream(s.shape, s.format).layout for s in streams)
            _convert_operands(op, layouts, goal.others)
        elif isinstance(op, DataflowOp):
            target = targets[op]
            folding = _folding(op, target, pins)
            if single_values(function) and not _has_window(op):
                _convert_operands(op, (SINGLE,) * len(op.operands), target)
            _convert_operands(op, folding.inputs, target)
            _set_layouts(op, folding.outputs)
            op.fold_inside(folding)
    function.update_function_type()


def _drop_converters(function: FuncOp) -> None:
    for op in list(function.body.block.ops):
        if isinstance(op, LanesOp):
            op.result.replace_all_uses_with(op.x)
            op.detach()
            op.erase()


def _folding(op: DataflowOp, target: int, pins: Pins) -> Folding:
    offered = tuple(s.layout for s in op.inputs)
    if isinstance(op, MatvecOp):
        return op.fold_pinned(offered, target, pin_of(op, pins))
    if single_values(op.parent_op()) and not _has_window(op):
        return _single(op, target)
    if isinstance(op, WindowOp) and isinstance(user := op.consumer, MatvecOp):
        pinned = user.fold_pinned((Layout(offered[0].lanes),), target, pin_of(user, pins))
        return op.fold_for(pinned.inputs[0], offered, target)
    return op.fold(offered, target)


def pin_of(op: MatvecOp, pins: Pins) -> Pin:
    """What a user asks for a layer, and layouts leave; raise BadPin for more than it has."""
    asked = dict(pins.get(op.layer_name, {}))
    if (reuse := asked.pop("reuse", None)) is not None:
        if asked:
            raise BadPin(op.layer_name, f"reuse={reuse} fixes {' and '.join(asked)} as well")
        return _reused(op, reuse)
    pin = Pin(**asked)
    n, m = op.weights.shape
    sizes = (("simd", pin.simd, n), ("pe", pin.pe, m), ("pixels", pin.pixels, op.row))
    for key, value, most in sizes:
        if value is not None and value > most:
            raise BadPin(op.layer_name, f"{key}={value} is more than the {most} that there are")
    return replace(pin, pixels=pin.pixels or 1) if single_values(op.parent_op()) else pin


def single_values(function: Operation | None) -> bool:
    """Whether streams between layers carry one value per beat."""
    return function is not None and SINGLE_VALUES in function.attributes


def _has_window(op: DataflowOp) -> bool:
    """Whether the process in front is a window of the same layer."""
    before = op.operands[0].owner
    return isinstance(before, WindowOp) and before.layer_name == op.layer_name


def _single(op: DataflowOp, target: int) -> Folding:
    """One value per beat; but from a window to what works on it as many as are wanted."""
    slowest = op.fold((SINGLE,) * len(op.operands), NO_HURRY)
    if not isinstance(op, WindowOp):
        return slowest
    consumer = op.result.get_user_of_unique_use()
    if not isinstance(consumer, DataflowOp) or not _has_window(consumer):
        return slowest
    (wanted,) = op.fold(slowest.inputs, target).outputs
    return replace(slowest, outputs=(Layout(wanted.lanes),))


def _reused(op: MatvecOp, reuse: int) -> Pin:
    """The folding whose products at once are nearest to those of a reuse factor of hls4ml, which is
    products of a vector per multiplier; the fewest multipliers of equally near ones."""
    n, m = op.weights.shape
    if reuse > n * m:
        raise BadPin(op.layer_name, f"reuse={reuse} is more than the {n * m} products there are")
    pairs = [(simd, pe) for simd in least_parts(n) for pe in least_parts(m)]
    widest, highest = most_lanes(stream_of(op.x)), most_lanes(op.outputs[0])
    simd, pe = min(
        (pair for pair in pairs if pair[0] <= widest and pair[1] <= highest),
        key=lambda pair: (
            abs(log(pair[0] * pair[1] * reuse / (n * m))),
            op.multipliers(*pair),
            pair,
        ),
    )
    return Pin(simd, pe, 1)


def _convert_operands(op: Operation, layouts: tuple[Layout, ...], target: int) -> None:
    for k, wanted in enumerate(layouts):
        op.operands[k] = _converted(op, op.operands[k], wanted, target)


def _converted(op: Operation, value: SSAValue, wanted: Layout, target: int) -> SSAValue:
    """The stream in this layout, by the cheapest way that is fast enough."""
    stream = stream_of(value)
    if stream.layout == wanted:
        return value
    layer = op.layer_name if isinstance(op, DataflowOp) else "output"
    for layout in min(_ways(stream, wanted), key=lambda way: _price(stream, way, target)):
        converter = LanesOp(value, layout, layer)
        converter.result.name_hint = value.name_hint
        Rewriter.insert_op(converter, InsertPoint.before(op))
        value = converter.result
    return value


def _ways(stream: StreamType, wanted: Layout) -> list[tuple[Layout, ...]]:
    """Layouts one after the other: at once, or by way of a common divisor or multiple."""
    have, last = stream.layout, stream.shape[-1]
    steps = (gcd(have.lanes, wanted.lanes), lcm(have.lanes, wanted.lanes))
    between = [Layout(n, wanted.pixels) for n in steps if n <= last]
    useful = (y for y in between if y not in (have, wanted) and y.width <= most_lanes(stream))
    return [(wanted,), *((y, wanted) for y in useful)]


def _price(stream: StreamType, way: Sequence[Layout], target: int) -> tuple[int, int]:
    """Cycles beyond the target, then LUTs and flip-flops."""
    image, cycles, cost = image_of(stream.shape), 0, 0
    for taken, given in pairwise((stream.layout, *way)):
        box = Gearbox(image, taken, given)
        used = box.resources(stream.format.width)
        cycles, cost = max(cycles, box.trips), cost + used.lut + used.ff
    return max(cycles - target, 0), cost


def _set_layouts(op: DataflowOp, layouts: tuple[Layout, ...]) -> None:
    for result, layout in zip(op.results, layouts, strict=True):
        Rewriter.replace_value_with_new_type(result, stream_of(result).with_layout(layout))


def require_layers(function: FuncOp, pins: Pins) -> None:
    """Raise BadPin for a layer that has no matrix product, or none any more."""
    layers = {op.layer_name for op in function.body.block.ops if isinstance(op, MatvecOp)}
    for layer in pins:
        if layer not in layers:
            known = ", ".join(sorted(layers)) or "no layer"
            problem = "no matrix product is left to fold in a layer of this name"
            raise BadPin(layer, f"{problem}; there are those of {known}")


def parse_pins(texts: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """`layer.pe=N` and the like as {layer: {key: N}}; raise BadPin for anything else."""
    pins: dict[str, dict[str, int]] = {}
    for text in texts:
        place, _, value = text.partition("=")
        layer, _, key = place.rpartition(".")
        if key not in PINNED or not value.isdecimal() or int(value) < 1:
            raise BadPin(place, f"{text!r} is not LAYER.KEY=N with pe, simd, pixels or reuse")
        pins.setdefault(layer, {})[key] = int(value)
    return pins
