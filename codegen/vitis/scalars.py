"""Epilogues as C++ functions: one line per scalar op."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from xdsl.ir import Operation, Region, SSAValue

from calocc.codegen.vitis.cpp import fixed_type, literals, rows
from calocc.dialects.dataflow.process import epilogue_ops
from calocc.dialects.fixed import ops
from calocc.dialects.fixed.format import Format

INDENT = " " * 8


@dataclass
class FunctionBody:
    """The lines of one function; values are named after what they are."""

    lanes: int
    names: dict[SSAValue, str] = field(default_factory=dict[SSAValue, str])
    lines: list[str] = field(default_factory=list[str])
    uses_channel: bool = False
    _taken: Counter[str] = field(default_factory=Counter[str])

    def name(self, base: str) -> str:
        """A name that is not taken yet."""
        self._taken[base] += 1
        return base if self._taken[base] == 1 else f"{base}_{self._taken[base]}"

    def operands(self, op: ops.ScalarOp) -> list[str]:
        """The names of an op's operands."""
        return [self.names[o] for o in op.operands]

    def value(self, op: ops.ScalarOp, base: str, expression: str) -> None:
        """Define the op's result."""
        self.names[op.result] = self.name(base)
        self.lines.append(f"const {fixed_type(op.out)} {self.names[op.result]} = {expression};")

    def table(self, base: str, type: str, texts: list[str], per_channel: int | None = None) -> str:
        """A constant table with an entry for each channel, or an array of `per_channel`, one bank
        per lane; zeros where the last fold has more lanes than channels.

        Returns the expression for the channel's entry or array.
        """
        name, inner = self.name(base), "" if per_channel is None else f"[{per_channel}]"
        per_channel = per_channel or 1
        texts = [*texts, *["0"] * (-len(texts) % (per_channel * self.lanes))]
        size = f"[{len(texts) // per_channel // self.lanes}][{self.lanes}]"
        self.lines.append(
            f"static const {type} {name}{size}{inner} = {{\n"
            f"{INDENT}    {rows(texts, INDENT + '    ')}}};"
        )
        self.lines.append(f"#pragma HLS ARRAY_PARTITION variable={name} complete dim=2")
        self.uses_channel = True
        return f"{name}[at.fold][at.lane]"


Emitter = Callable[[FunctionBody, ops.ScalarOp], None]
EMITTERS: dict[type[ops.ScalarOp], Emitter] = {}


def emits(kind: type[ops.ScalarOp]) -> Callable[[Emitter], Emitter]:
    """Register how a scalar op is written."""

    def register(emitter: Emitter) -> Emitter:
        EMITTERS[kind] = emitter
        return emitter

    return register


def _simple(kind: type[ops.ScalarOp], base: str, template: str) -> None:
    """An op that is one expression; {0}, {1}, ... are operands, {type} is the result's type."""

    def emitter(body: FunctionBody, op: ops.ScalarOp) -> None:
        body.value(op, base, template.format(*body.operands(op), type=fixed_type(op.out)))

    EMITTERS[kind] = emitter


_simple(ops.AddOp, "sum", "{0} + {1}")
_simple(ops.SubtractOp, "difference", "{0} - {1}")
_simple(ops.MultiplyOp, "product", "{0} * {1}")
_simple(ops.AffineOp, "scaled", "{0} * {1} + {2}")
_simple(ops.MaximumOp, "greater", "{0} > {1} ? {type}({0}) : {type}({1})")
_simple(ops.MinimumOp, "lesser", "{0} < {1} ? {type}({0}) : {type}({1})")
_simple(ops.ReluOp, "rectified", "{0} > 0 ? {type}({0}) : {type}(0)")
_simple(ops.IsZeroOp, "is_zero", "{0} == 0 ? 1 : 0")
_simple(ops.LeakyReluOp, "rectified", "{0} < 0 ? {type}({0} * {1}) : {type}({0})")
_simple(ops.GateOp, "gated", "{0} > {1} ? {type}({0}) : {type}(({0} - {1}) * {2})")


ROLES: dict[type[Operation], tuple[str, ...]] = {
    ops.AddOp: ("bias", "bias"),
    ops.SubtractOp: ("minuend", "bias"),
    ops.MultiplyOp: ("scale", "scale"),
    ops.AffineOp: ("constant", "scale", "offset"),
    ops.LeakyReluOp: ("constant", "slope"),
    ops.GateOp: ("constant", "threshold", "slope"),
    ops.MaximumOp: ("floor", "floor"),
    ops.MinimumOp: ("ceiling", "ceiling"),
}
"""What a constant operand of an op is called."""


@emits(ops.ConstantOp)
def _constant(body: FunctionBody, op: ops.ScalarOp) -> None:
    """Named after what the first op that takes it does with it."""
    assert isinstance(op, ops.ConstantOp)
    use = next(iter(op.result.uses), None)
    if use is None:
        return
    names = ROLES.get(type(use.operation))
    base = names[use.index] if names else "constant"
    values = op.value.numpy()
    texts = literals(values, op.out.frac)
    if values.size == 1:
        body.value(op, base, texts[0])
    else:
        body.names[op.result] = body.table(base, fixed_type(op.out), texts)


@emits(ops.QuantizeOp)
def _quantize(body: FunctionBody, op: ops.ScalarOp) -> None:
    """A conversion to a type with the modes.

    `ap_fixed` wants to lose fewer bits than the source has: a source of few bits far below the
    LSB is widened first.
    """
    assert isinstance(op, ops.QuantizeOp)
    source, (x,) = ops.format_of(op.x), body.operands(op)
    lost = source.frac - op.out.frac
    if lost >= source.width:
        wide = Format(source.signed, lost + 1, lost + 1 - source.frac)
        x = f"{fixed_type(wide)}({x})"
    type = fixed_type(op.out, op.rounding.data, op.overflow.data)
    body.names[op.result] = body.name("quantized")
    body.lines.append(f"const {type} {body.names[op.result]} = {x};")


@emits(ops.ThresholdOp)
def _threshold(body: FunctionBody, op: ops.ScalarOp) -> None:
    """Count the thresholds that x reaches; the level is the mantissa of the result."""
    assert isinstance(op, ops.ThresholdOp)
    (x,), values, frac = body.operands(op), op.thresholds.numpy(), ops.format_of(op.x).frac
    if not values.size:  # one level is all there is
        level = body.name("level")
        body.lines.append(f"const ap_int<{op.out.width + 1}> {level} = {op.base.value.data};")
        _from_mantissa(body, op, level)
        return
    type = fixed_type(Format.holding(int(values.min()), int(values.max()), frac))
    texts, count = literals(values, frac), values.shape[1]
    if len(values) == 1:
        table = body.name("thresholds")
        body.lines.append(
            f"static const {type} {table}[{count}] = {{\n"
            f"{INDENT}    {rows(texts, INDENT + '    ')}}};"
        )
        body.lines.append(f"#pragma HLS ARRAY_PARTITION variable={table} complete")
    else:
        table = body.table("thresholds", type, texts, count)
    level = body.name("level")
    body.lines.append(f"ap_int<{op.out.width + 1}> {level} = {op.base.value.data};")
    body.lines.append(f"for (unsigned k = 0; k < {count}; k++) {{")
    body.lines.append("    #pragma HLS UNROLL")
    body.lines.append(f"    {level} += {x} >= {table}[k] ? 1 : 0;")
    body.lines.append("}")
    _from_mantissa(body, op, level)


def _from_mantissa(
    body: FunctionBody, op: ops.ScalarOp, mantissa: str, base: str = "quantized"
) -> None:
    name = body.name(base)
    body.names[op.result] = name
    body.lines.append(f"{fixed_type(op.out)} {name};")
    body.lines.append(f"{name}.range() = {mantissa}.range({op.out.width - 1}, 0);")


@emits(ops.LookupOp)
def _lookup(body: FunctionBody, op: ops.ScalarOp) -> None:
    """A read-only memory of mantissas indexed by the mantissa of x."""
    assert isinstance(op, ops.LookupOp)
    (x,), source, values = body.operands(op), ops.format_of(op.x), op.table.numpy()
    width = op.out.width + (not op.out.signed)
    texts, type = [str(v) for v in values.ravel().tolist()], f"nnet::entry<{width}>::type"
    if values.ndim == 1:
        table = body.name("table")
        body.lines.append(
            f"static const {type} {table}[{len(values)}] = {{\n"
            f"{INDENT}    {rows(texts, INDENT + '    ')}}};"
        )
    else:
        table = body.table("table", type, texts, values.shape[1])
    index = body.name("mantissa")
    sign = "" if source.signed else "u"
    body.lines.append(f"ap_{sign}int<{source.width}> {index};")
    body.lines.append(f"{index}.range() = {x}.range();")
    origin = op.origin.value.data
    shift = f" {'-' if origin > 0 else '+'} {abs(origin)}" if origin else ""
    entry = body.name("entry")
    body.lines.append(f"const ap_int<{width}> {entry} = nnet::looked_up({table}, {index}{shift});")
    _from_mantissa(body, op, entry, "looked_up")


def function_lines(region: Region, arguments: list[str], lanes: int) -> tuple[list[str], bool]:
    """The body of the C++ function for an epilogue, and whether it asks for the channel."""
    body = FunctionBody(lanes)
    body.names.update(zip(region.block.args, arguments, strict=True))
    operations, result = epilogue_ops(region)
    for op in operations:
        EMITTERS[type(op)](body, op)
    return [*body.lines, f"return {body.names[result]};"], body.uses_channel


def is_identity(region: Region) -> bool:
    """Whether an epilogue yields its argument."""
    return region.block.first_op is region.block.last_op
