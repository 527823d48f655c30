"""What rebuilds a function on fixed-point numbers, and the registry of rules for layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from calocc.compiler.ports import (
    Port,
)
from calocc.compiler.rules import Rules
from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.types import MAX_WIDTH
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import (
    ElementwiseOp,
    ExactElementwiseOp,
    GateOp,
    MultiplyOp,
)
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.op import QnnOp, fixed_tensor, format_of, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.step import LookupOp, ThresholdOp
from calocc.passes.lowering.chain import Chain, Stage
from calocc.passes.lowering.chain_deviation import of_cast, of_chain
from calocc.passes.lowering.constants import (
    FLOAT32_BITS,
    FixedConstant,
    exact_constant,
    exact_width,
)
from calocc.passes.lowering.deviation import EXACT, UNKNOWN, Operand, through
from calocc.passes.lowering.errors import (
    DataDependent,
    InputWithoutFormat,
    NeedsQuantizer,
    NoCommonGrid,
    TooManySteps,
    TooWide,
    UnquantizedConstant,
)
from calocc.passes.lowering.proof import Columns, Fit, Oriented, Proof, fit, prove
from calocc.passes.lowering.words import function_name, readers, why_no_format

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]

MOST_THRESHOLDS = 255
LARGEST_TABLE = 1 << 16


@dataclass
class Lowering:
    """Rebuilds one function, op by op, on fixed-point numbers."""

    function: FuncOp
    coarse: Mapping[str, int] = field(default_factory=dict[str, int])
    """By how many steps a layer may be coarser than exactness asks for; see `budget`."""
    exact_argmax: bool = False
    """Whether the greatest operand of a softmax must have the greatest result, and no other."""
    block: Block = field(default_factory=Block)
    values: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    bounds: dict[SSAValue, Interval] = field(default_factory=dict[SSAValue, Interval])
    deviations: dict[SSAValue, Reals] = field(default_factory=dict[SSAValue, Reals])
    """How far new values are from the reals of the model at most; see `deviation`."""
    done: set[Operation] = field(default_factory=set[Operation])
    adjustable: list[str] = field(default_factory=list[str])
    """Layers with constants that may be coarser, in order."""

    def run(self, inputs: Sequence[Port]) -> list[Port]:
        """Fill the new block; return the inputs with their formats."""
        ports = [self.input(*pair) for pair in zip(self.function.args, inputs, strict=True)]
        for op in self.function.body.block.ops:
            if op not in self.done:
                self.lower(op)
        return ports

    def bound(self, value: SSAValue) -> float | None:
        """How far a value of the model is from its fixed-point number; None if that is unknown."""
        largest = float(self.deviations[self.operand(value)].max())
        return largest if np.isfinite(largest) else None

    def input(self, argument: SSAValue, port: Port) -> Port:
        """Give an input the format of the quantizer that follows it; the host quantizes."""
        quantizes = [use.operation for use in argument.uses]
        first = quantizes[0] if quantizes else None
        if not isinstance(first, QuantizeOp) or any(
            not isinstance(q, QuantizeOp) or q.quantizer != first.quantizer for q in quantizes
        ):
            raise InputWithoutFormat(port.name, why_no_format(argument))
        assert first.quantizer is not None
        quantizer = first.quantizer.quantizer
        if quantizer.data_dependent:
            raise DataDependent(first.layer_name, str(quantizer))
        if quantizer.format is None or quantizer.rule is None:
            raise InputWithoutFormat(port.name, why_no_format(argument))
        type = fixed_tensor(port.shape, quantizer.format)
        new = self.block.insert_arg(type, len(self.block.args))
        new.name_hint = argument.name_hint
        # Whatever the host sends: a stream may hold what a symmetric quantizer never yields.
        self.bounds[new] = Interval.of_format(quantizer.format, port.shape)
        self.deviations[new] = EXACT
        for quantize in quantizes:
            self.values[quantize.results[0]] = new
            self.done.add(quantize)
        return Port(port.name, port.shape, quantizer.format, *quantizer.rule)

    def lower(self, op: Operation) -> None:
        """Lower one op, or the chain that begins with it."""
        if isinstance(op, ReturnOp):
            self.block.add_op(ReturnOp(*(self.operand(o) for o in op.operands)))
        elif rule := RULES.find(op):
            rule(self, op)
        elif isinstance(op, QnnOp) and not self.is_constant(op.result):
            if self.is_exact(op):
                self.exact(op)
            else:
                self.chain(op)

    # Constants are lowered where they are used, since the use decides how.

    def is_constant(self, value: SSAValue) -> bool:
        """Whether a value of the real function is a constant, perhaps quantized."""
        owner = value.owner
        if isinstance(owner, QuantizeOp):
            return self.is_constant(owner.x)
        return isinstance(owner, ConstantOp)

    def constant_values(self, value: SSAValue) -> Reals:
        """The reals that a constant value holds."""
        owner = value.owner
        if isinstance(owner, QuantizeOp):
            return owner.evaluate_real(self.constant_values(owner.x))
        assert isinstance(owner, ConstantOp)
        return owner.evaluate_real()

    def operand(self, value: SSAValue) -> SSAValue:
        """The fixed-point value for an operand; constants become exact constants."""
        if value in self.values:
            return self.values[value]
        owner = value.owner
        assert isinstance(owner, QnnOp)
        reals = self.constant_values(value)
        if (width := exact_width(reals)) > FLOAT32_BITS:
            layer, quantizer = _consumer(value), _quantizer_of(owner)
            raise UnquantizedConstant(layer, width, quantizer, FLOAT32_BITS)
        constant = exact_constant(reals)
        self.values[value] = self.constant(constant, owner.layer_name, self.lost(owner))
        return self.values[value]

    def lost(self, owner: QnnOp) -> Reals:
        """How far a constant is from that of the model."""
        if isinstance(owner, QuantizeOp) and owner.inserted is not None:
            exact = self.constant_values(owner.x)
            return np.abs(owner.evaluate_real(exact) - exact)
        if isinstance(owner, ConstantOp) and owner.deviation is not None:
            return owner.deviation.numpy()
        return EXACT

    def constant(self, constant: FixedConstant, layer: str, deviation: Reals = EXACT) -> SSAValue:
        """Add a constant."""
        op = ConstantOp.fixed(constant.mantissas, constant.format, layer)
        return self.add(op, Interval.constant(constant.mantissas, constant.frac), deviation)

    def rounded(self, stage: Stage, constants: Sequence[FixedConstant]) -> list[SSAValue]:
        """Add the constants of a stage, which may differ from its reals."""
        pairs = zip(constants, stage.constants, strict=True)
        return [
            self.constant(c, stage.op.layer_name, np.abs(to_real(c.mantissas, c.frac) - real))
            for c, real in pairs
        ]

    def add(self, op: QnnOp, bounds: Interval, deviation: Reals = UNKNOWN) -> SSAValue:
        """Append an op whose results lie in `bounds` and deviate by no more than `deviation`."""
        self.block.add_op(op)
        self.bounds[op.result] = bounds.compact()
        self.deviations[op.result] = deviation
        return op.result

    # Exact ops.

    def is_exact(self, op: QnnOp) -> bool:
        """Whether all constants have few bits and the op loses none but by a plain cast."""
        if isinstance(op, QuantizeOp):
            assert op.quantizer is not None
            return op.quantizer.quantizer.rule is not None
        if isinstance(op, FunctionOp):
            return False
        if not isinstance(op, ElementwiseOp):
            return True
        constants = [o for o in op.operands if self.is_constant(o)]
        widths = [exact_width(self.constant_values(c)) for c in constants]
        # A gate multiplies its threshold with its slope.
        widest = sum(widths) if isinstance(op, GateOp) else max(widths, default=0)
        return widest <= FLOAT32_BITS

    def exact(self, op: QnnOp) -> None:
        """Lower one op on exact operands."""
        if isinstance(op, QuantizeOp):
            self.values[op.result] = self.cast(op, self.operand(op.x))
        else:
            operands = [self.operand(o) for o in op.operands]
            self.values[op.result] = self.apply(op, operands)

    def apply(self, op: QnnOp, operands: Sequence[SSAValue]) -> SSAValue:
        """The op on fixed-point operands, in the format that its interval needs."""
        try:
            bounds = op.interval(*(self.bounds[o] for o in operands))
        except OverflowError:
            raise TooWide(op.layer_name) from None
        format = format_of(operands[0]) if op.keeps_format else bounds.format()
        if format.width > MAX_WIDTH:
            raise TooWide(op.layer_name)
        new = type(op).create(
            operands=operands,
            result_types=[fixed_tensor(shape_of(op.result), format)],
            properties=dict(op.properties),
        )
        new.results[0].name_hint = op.result.name_hint
        known = [Operand.of(self.bounds[o], self.deviations[o]) for o in operands]
        return self.add(new, bounds, through(op, known))

    def cast(self, op: QuantizeOp, x: SSAValue) -> SSAValue:
        """A plain quantizer as a cast; nothing where it would change no value."""
        assert op.quantizer is not None
        quantizer = op.quantizer.quantizer
        assert quantizer.format is not None
        assert quantizer.rule is not None
        deviation = of_cast(op, self.bounds[x], self.deviations[x])
        if format_of(x) == quantizer.format and self.unchanged(x, quantizer.rule):
            self.deviations[x] = np.maximum(self.deviations[x], deviation)
            return x
        new = QuantizeOp.fixed(x, quantizer.format, *quantizer.rule, layer=op.layer_name)
        new.result.name_hint = op.result.name_hint
        return self.add(new, self.bounds[x].quantize(quantizer.format, *quantizer.rule), deviation)

    def unchanged(self, x: SSAValue, rule: tuple[Rounding, Overflow]) -> bool:
        """Whether a cast of `x` to its own format changes no value (a symmetric one may)."""
        bounds = self.bounds[x]
        cast = bounds.quantize(format_of(x), *rule)
        return np.array_equal(cast.lo, bounds.lo) and np.array_equal(cast.hi, bounds.hi)

    # Chains of real functions.

    def chain(self, op: QnnOp) -> None:
        """Lower the element-wise ops from `op` to the next quantizer together."""
        chain = self.collect(op)
        x = self.operand(self.variable(op))
        if chain is None:
            self.unproved(op, x)
            return
        bounds = self.bounds[x].broadcast(shape_of(x)).collapse()
        columns = Columns.of(chain, bounds.lo, bounds.hi)
        proof = prove(chain, columns)
        if chain.computable:
            self.values[chain.last.result] = self.computed(chain, x, proof)
        elif isinstance(proof, Oriented) and _few_thresholds(proof):
            self.values[chain.last.result] = self.thresholds(chain, x, proof)
        else:
            self.values[chain.last.result] = self.table(chain, x, columns)
        self.done |= {stage.op for stage in chain.stages} | {chain.last}

    def variable(self, op: QnnOp) -> SSAValue:
        """The first operand that is not constant."""
        return next(o for o in op.operands if not self.is_constant(o))

    def collect(self, op: QnnOp) -> Chain | None:
        """The chain that starts with `op`; None if it meets no quantizer."""
        stages: list[Stage] = []
        link: Operation = op
        frac = format_of(self.operand(self.variable(op))).frac
        while isinstance(link, ExactElementwiseOp | FunctionOp):
            constants = [o for o in link.operands if self.is_constant(o)]
            if len(constants) != len(link.operands) - 1 or self.is_constant(link.operands[0]):
                return None
            values = [self.constant_values(c) for c in constants]
            if shape_of(link.result) != shape_of(link.operands[0]) or not _per_channel(values):
                return None
            stages.append(Stage(link, tuple(v.reshape(-1) for v in values)))
            user = link.result.get_user_of_unique_use()
            if user is None:
                return None
            link = user
        if not isinstance(link, QuantizeOp) or link.quantizer is None:
            return None
        quantizer = link.quantizer.quantizer
        if quantizer.data_dependent:
            raise DataDependent(link.layer_name, str(quantizer))
        if quantizer.format is None:
            raise NoCommonGrid(link.layer_name, str(quantizer))
        return Chain(tuple(stages), link, frac)

    def computed(self, chain: Chain, x: SSAValue, proof: Proof | None) -> SSAValue:
        """The chain as arithmetic with the narrowest constants; thresholds where none are exact."""
        layer = chain.last.layer_name
        coarser = self.coarser(layer)
        try:
            found = fit(chain, proof, coarser) if proof else None
            rounded = chain.constants(found.bits if found else FLOAT32_BITS - coarser)
        except OverflowError:
            raise TooWide(layer) from None
        tie = found and found.differing and not coarser
        if tie and isinstance(proof, Oriented) and _few_thresholds(proof):
            return self.thresholds(chain, x, proof)
        first = x
        for stage, constants in zip(chain.stages, rounded, strict=True):
            x = self.apply(stage.op, [x, *self.rounded(stage, constants)])
        result = self.cast(chain.last, x)
        if found and proof:
            self.deviations[result] = self.deviation(chain, first, found.largest)
            _note_fit(result, proof.columns, found)
        return result

    def coarser(self, layer: str) -> int:
        """By how many steps a layer may be coarser."""
        self.adjustable.append(layer)
        return self.coarse.get(layer, 0)

    def deviation(self, chain: Chain, x: SSAValue, largest: int = 0) -> Reals:
        """That of the result of a chain which is `largest` LSB off at most."""
        bounds = self.bounds[x].broadcast(shape_of(x)).collapse()
        return of_chain(chain, bounds, self.deviations[x], largest)

    def table(self, chain: Chain, x: SSAValue, columns: Columns) -> SSAValue:
        """The chain as a table of all operands, for each channel unless they are alike."""
        lo, hi = int(columns.lo.min()), int(columns.hi.max())
        rows = columns.rows if chain.differs_by_channel else 1
        if (entries := (hi - lo + 1) * rows) > LARGEST_TABLE:
            raise TooManySteps(chain.last.layer_name, entries, LARGEST_TABLE)
        format = chain.quantizer.format
        assert format is not None
        points = np.arange(lo, hi + 1)[:, None].repeat(len(columns.first), axis=1)
        tables = chain.channels(columns.first).reference(points).T
        alike = (tables == tables[:1]).all()
        table = tables[0] if alike else tables[columns.kind]
        op = LookupOp(x, table, lo, format, chain.last.layer_name)
        result = self.add(op, op.interval(self.bounds[x]), self.deviation(chain, x))
        return _noted(result, columns)

    def thresholds(self, chain: Chain, x: SSAValue, proof: Oriented) -> SSAValue:
        """The chain as thresholds, which are always exact."""
        layer, kind = chain.last.layer_name, proof.columns.kind
        deviation = self.deviation(chain, x)
        if (proof.sign < 0).any():
            sign = self.constant(FixedConstant.holding(proof.sign[kind], 0), layer)
            turn = MultiplyOp((x, sign), layer=layer)
            x = self.apply(turn, [x, sign])
            turn.erase()  # or else it stays a user of x
        rows = proof.steps.first.T
        rows = rows[:1] if (rows == rows[:1]).all() else rows[kind]
        format = chain.quantizer.format
        assert format is not None
        op = ThresholdOp(x, rows, proof.steps.base, format, layer)
        return _noted(self.add(op, op.interval(self.bounds[x]), deviation), proof.columns)

    def unproved(self, op: QnnOp, x: SSAValue) -> None:
        """A real affine that no quantizer follows: constants as wide as float32 has them."""
        if not isinstance(op, ExactElementwiseOp) or self.is_constant(op.operands[0]):
            raise NeedsQuantizer(op.layer_name, function_name(op), readers(op.result))
        stage = Stage(op, tuple(self.constant_values(c) for c in op.operands[1:]))
        bits = FLOAT32_BITS - self.coarser(op.layer_name)
        try:
            constants = stage.rounded(format_of(x).frac, bits)
        except OverflowError:
            raise TooWide(op.layer_name) from None
        result = self.apply(op, [x, *self.rounded(stage, constants)])
        note(result, "rounded_to_bits", bits)
        self.values[op.result] = result


RULES = Rules[Lowering, None]()
lowers = RULES.on
"""Register how ops of a class are lowered that are neither exact nor part of a chain."""


def _few_thresholds(proof: Oriented) -> bool:
    return proof.steps.count <= min(MOST_THRESHOLDS, LARGEST_TABLE // proof.columns.rows)


def _per_channel(constants: Sequence[Reals]) -> bool:
    """Whether each constant is one value, or one for each channel."""
    return all(c.size in (1, *c.shape[-1:]) for c in constants)


def _consumer(value: SSAValue) -> str:
    user = next(iter(value.uses)).operation
    return user.layer_name if isinstance(user, QnnOp) else user.name


def _quantizer_of(owner: QnnOp) -> str | None:
    quantizer = owner.quantizer if isinstance(owner, QuantizeOp) else None
    return None if quantizer is None else str(quantizer.quantizer)


def _noted(result: SSAValue, columns: Columns) -> SSAValue:
    """Note on an op how many operands were compared with the reference, which it equals."""
    note(result, "points", columns.points)
    note(result, "differing_points", 0)
    return result


def _note_fit(result: SSAValue, columns: Columns, found: Fit) -> None:
    """Note the bits of the constants besides, how many operands differ, and how far."""
    _noted(result, columns)
    note(result, "constant_bits", found.bits)
    if found.differing:
        note(result, "differing_points", found.differing)
        note(result, "largest_lsb", found.largest)


def note(result: SSAValue, name: str, number: int) -> None:
    """Note a number on the op behind a result, for the report."""
    assert isinstance(result.owner, Operation)
    result.owner.attributes[name] = IntegerAttr(number, i64)
