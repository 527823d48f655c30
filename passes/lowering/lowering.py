"""What rebuilds a function on fixed-point numbers, and the registry of rules for layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.ports import Port
from calocc.compiler.rules import Rules
from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.elementwise import ExactElementwiseOp, MultiplyOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.op import QnnOp, fixed_tensor, format_of, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp, common_quantizer
from calocc.dialects.qnn.step import LookupOp, ThresholdOp
from calocc.passes.lowering.chain import Chain, Stage
from calocc.passes.lowering.chain_deviation import form_of_chain, of_chain
from calocc.passes.lowering.constants import FLOAT32_BITS, FixedConstant
from calocc.passes.lowering.deviation import EXACT
from calocc.passes.lowering.errors import (
    DataDependent,
    InputWithoutFormat,
    NeedsQuantizer,
    NoCommonGrid,
    TooManySteps,
    TooWide,
)
from calocc.passes.lowering.proof import Columns, Fit, Oriented, Proof, fit, prove
from calocc.passes.lowering.rebuild import Rebuild
from calocc.passes.lowering.words import function_name, readers, why_no_format

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]

MOST_THRESHOLDS = 255
LARGEST_TABLE = 1 << 16


@dataclass
class Lowering(Rebuild):
    """Rebuilds one function, op by op: exact layers as they are, real ones in chains."""

    function: FuncOp
    coarse: Mapping[str, int] = field(default_factory=dict[str, int])
    """By how many steps a layer may be coarser than exactness asks for; see `budget`."""
    exact_argmax: bool = False
    """Whether the greatest operand of a softmax must have the greatest result, and no other."""
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
        quantizer = common_quantizer(argument)
        if quantizer is None:
            raise InputWithoutFormat(port.name, why_no_format(argument))
        quantizes = [q for use in argument.uses if isinstance(q := use.operation, QuantizeOp)]
        if quantizer.data_dependent:
            raise DataDependent(quantizes[0].layer_name, str(quantizer))
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

    def rounded(self, stage: Stage, constants: Sequence[FixedConstant]) -> list[SSAValue]:
        """Add the constants of a stage, which may differ from its reals."""
        pairs = zip(constants, stage.constants, strict=True)
        return [
            self.constant(c, stage.op.layer_name, np.abs(to_real(c.mantissas, c.frac) - real))
            for c, real in pairs
        ]

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
            self.deviate(result, chain, first, found.largest)
            _note_fit(result, proof.columns, found)
        return result

    def coarser(self, layer: str) -> int:
        """By how many steps a layer may be coarser."""
        self.adjustable.append(layer)
        return self.coarse.get(layer, 0)

    def deviate(self, result: SSAValue, chain: Chain, x: SSAValue, largest: int = 0) -> None:
        """Say how far the result of a chain deviates, whose own error is `largest` LSB at most."""
        bounds, deviation = self.bounds[x].broadcast(shape_of(x)).collapse(), self.deviations[x]
        self.forms.pop(result, None)
        self.deviations[result] = of_chain(chain, bounds, deviation, largest)
        if chain.last.inserted is not None and np.isfinite(self.deviations[result]).all():
            form = form_of_chain(chain, bounds, self.form(x), largest)
            self.refine(result, self.symbols.shared(form))

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
        result = self.add(op, op.interval(self.bounds[x]))
        self.deviate(result, chain, x)
        return _noted(result, columns)

    def thresholds(self, chain: Chain, x: SSAValue, proof: Oriented) -> SSAValue:
        """The chain as thresholds, which are always exact."""
        layer, kind = chain.last.layer_name, proof.columns.kind
        first = x
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
        result = self.add(op, op.interval(self.bounds[x]))
        self.deviate(result, chain, first)
        return _noted(result, proof.columns)

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
