"""Folds all processes of a design for given numbers of cycles, with converters between widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, lcm

from xdsl.dialects.builtin import UnitAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, OpResult, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.process import DataflowOp, Folding, ProcessOp, divisors, most_lanes
from calocc.dialects.dataflow.routing import LanesOp
from calocc.dialects.dataflow.stream import StreamType, port_stream, stream_of
from calocc.passes.balancing.choice import Share

Pins = Mapping[str, Mapping[str, int]]


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


@dataclass(frozen=True)
class Goal:
    """What each `matvec` gets, in their order, and the cycles that any other process may take."""

    matvecs: tuple[Share, ...]
    others: int

    def targets(self, function: FuncOp) -> dict[Operation, int]:
        """The cycles of each process. One that only moves elements costs little: it keeps up with
        the process that it feeds if that computes, else with the fastest one near it."""
        ops = [op for op in function.body.block.ops if isinstance(op, DataflowOp)]
        own: dict[Operation, int] = {
            op: self.others for op in ops if isinstance(op, ProcessOp) and op.products()
        }
        cycles = (share.cycles for share in self.matvecs)
        own.update(zip(matvecs(function), cycles, strict=True))
        before, behind = dict(own), dict(own)
        for op in (op for op in ops if op not in own):
            owners = [o.op for o in op.operands if isinstance(o, OpResult)]
            before[op] = min((before[p] for p in owners), default=self.others)
        for op in (op for op in reversed(ops) if op not in own):
            users = [use.operation for r in op.results for use in r.uses]
            behind[op] = min((behind.get(u, self.others) for u in users), default=self.others)
            if users and all(user in own for user in users):
                before[op] = behind[op]
        return {op: own.get(op, min(before[op], behind[op])) for op in ops}


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
            lanes = tuple(port_stream(s.shape, s.format).width for s in streams)
            _convert_operands(op, lanes, goal.others)
        elif isinstance(op, DataflowOp):
            target = targets[op]
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


def require_layers(function: FuncOp, pins: Pins) -> None:
    """Raise BadPin for a layer that has no folding."""
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
