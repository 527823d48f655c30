"""Where a model of reals needs quantizers before it can become an integer program.

Products want few bits on both sides; functions want few different operands; and a real constant,
such as the scale of a batch normalisation, is met exactly only in a chain that ends in a
quantizer. A quantizer stands behind a value, for all its readers, so that no two of them see
different numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.inputs import brings_format
from calocc.compiler.ports import main_function
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import ExactElementwiseOp, MultiplyOp, ReluOp
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.layer_norm import LayerNormOp
from calocc.dialects.qnn.movement import ConcatOp, MovementOp
from calocc.dialects.qnn.op import QnnOp, is_constant
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.recurrent import RecurrentOp
from calocc.dialects.qnn.softmax import SoftmaxOp
from calocc.passes.lowering.constants import FLOAT32_BITS, exact_width

WeightedOp = ConvOp | DenseOp | DepthwiseOp


class Role(StrEnum):
    """What a quantized value is for."""

    FACTOR = "factor"
    """An operand of products: every bit costs in the multipliers."""
    ARGUMENT = "argument"
    """The operand of a function, which may become a table."""
    TERM = "term"
    """A term of a sum, or a result: bits are cheap."""


class Kind(IntEnum):
    """What is known of the number of bits of a value; the greater, the less."""

    NARROW = 0
    """It is quantized."""
    EXACT = 1
    """A sum or a product of such values."""
    REAL = 2
    """It has met a real constant."""
    CURVED = 3
    """It has met a function."""


@dataclass
class Needs:
    """What has to be quantized in a module."""

    weighted: list[WeightedOp] = field(default_factory=list[WeightedOp])
    """Layers with weights of more bits than a float32 has significant ones."""
    points: dict[SSAValue, Role] = field(default_factory=dict[SSAValue, Role])
    """Values that need a quantizer behind them."""
    forced: bool = False
    """Whether the module cannot be lowered without."""
    _kinds: dict[SSAValue, Kind] = field(default_factory=dict[SSAValue, Kind])
    _rows: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    """What the gates of steps are parts of."""

    @staticmethod
    def of(module: ModuleOp) -> Needs:
        """Look through a module on reals, whose batch normalisations are affine already."""
        block = main_function(module).body.block
        needs = Needs()
        for argument in block.args:
            if brings_format(argument):
                needs._kinds[argument] = Kind.REAL
            else:
                needs.mark(argument, Role.TERM)
        for op in block.ops:
            needs._visit(op)
        return needs

    def mark(self, value: SSAValue, role: Role) -> None:
        """Quantize a value; the most demanding role counts. Gates are quantized all at once."""
        if value in self._rows:
            self.mark(self._rows[value], role)
            self._kinds |= dict.fromkeys(self._gates_of(self._rows[value]), Kind.NARROW)
            return
        known = self.points.get(value, role)
        self.points[value] = min(known, role, key=tuple(Role).index)
        self.forced |= self._kinds.get(value) is Kind.CURVED
        self._kinds[value] = Kind.NARROW

    def _visit(self, op: Operation) -> None:
        computed = [o for o in op.operands if not is_constant(o)]
        if isinstance(op, ReturnOp):
            self._limit(computed, Kind.EXACT, Role.TERM)
            return
        if not isinstance(op, QnnOp) or is_constant(op.result):
            return
        kind = self._kind(op, computed)
        self._kinds[op.result] = kind
        if kind >= Kind.REAL and len(list(op.result.uses)) > 1:
            self.mark(op.result, Role.TERM)

    def _limit(self, values: Sequence[SSAValue], most: Kind, role: Role) -> None:
        """Quantize those of the values that are of a higher kind than `most`.

        What has a quantizer already may have to serve a more demanding role.
        """
        for value in values:
            if self._kinds[value] > most:
                self.mark(value, role)
            for source in _sources(value):
                if source in self.points:
                    self.mark(source, role)

    def _kind(self, op: QnnOp, computed: Sequence[SSAValue]) -> Kind:
        """The kind of an op's result, after its operands were quantized as it needs them."""
        highest = max(self._kinds[value] for value in computed)
        if isinstance(op, QuantizeOp | SoftmaxOp):
            if isinstance(op, SoftmaxOp):
                self._limit(computed, Kind.EXACT, Role.TERM)
            return Kind.NARROW
        if isinstance(op, LayerNormOp):  # whose spread has twice the bits of a row's sum
            self._limit(computed, Kind.NARROW, Role.TERM)
            return Kind.EXACT
        if isinstance(op, EmbeddingOp):
            return self._embedding(op)
        if isinstance(op, WeightedOp):
            return self._weighted(op, computed)
        if isinstance(op, RecurrentOp):
            return self._recurrent(op)
        if isinstance(op, FunctionOp):
            self._limit(computed, Kind.NARROW, Role.ARGUMENT)
            return Kind.CURVED
        if _moves(op):
            return highest
        if isinstance(op, ExactElementwiseOp) and len(computed) == 1:
            return self._elementwise(op, computed)
        if isinstance(op, MultiplyOp):
            self._limit(computed, Kind.NARROW, Role.FACTOR)
        self._limit(computed, Kind.EXACT, Role.TERM)
        return Kind.EXACT

    def _embedding(self, op: EmbeddingOp) -> Kind:
        """A quantizer behind all readers of a real table, which moves into it."""
        readers = (use.operation for use in op.result.uses)
        if not _is_real(op.w) or all(isinstance(reader, QuantizeOp) for reader in readers):
            return Kind.EXACT
        self.mark(op.result, Role.TERM)
        self.forced = True
        return Kind.NARROW

    def _weighted(self, op: WeightedOp, computed: Sequence[SSAValue]) -> Kind:
        self._limit(computed, Kind.NARROW, Role.FACTOR)
        quantize = op.w.owner
        if isinstance(quantize, QuantizeOp):
            assert quantize.quantizer is not None
            real = quantize.quantizer.quantizer.format is None
            return Kind.REAL if real else Kind.EXACT
        if not _is_real(op.w):
            return Kind.EXACT
        self.weighted.append(op)
        self.forced = True
        return Kind.REAL

    def _recurrent(self, op: RecurrentOp) -> Kind:
        """Look through a step: states need formats, since they are what the step begins with."""
        self._limit([op.x], Kind.EXACT, Role.TERM)
        self._rows |= dict.fromkeys(op.gates, op.x)
        self._kinds |= dict.fromkeys(op.gates, self._kinds[op.x])
        self._kinds |= dict.fromkeys(op.states, Kind.NARROW)
        for layer in op.layers():
            self._visit(layer)
        output, *nexts = op.ending.args
        for state, value in zip(op.states, nexts, strict=True):
            if not isinstance(value.owner, QuantizeOp):
                self.forced = True
                self.mark(value, _role_of_state(state))
        self._limit([output], Kind.EXACT, Role.TERM)
        return self._kinds[output]

    def _gates_of(self, rows: SSAValue) -> list[SSAValue]:
        return [gate for gate, x in self._rows.items() if x is rows]

    def _elementwise(self, op: ExactElementwiseOp, computed: Sequence[SSAValue]) -> Kind:
        constants = [o for o in op.operands if is_constant(o)]
        if any(_is_real(c) for c in constants):
            if not isinstance(computed[0].owner, WeightedOp | ExactElementwiseOp | FunctionOp):
                self._limit(computed, Kind.EXACT, Role.TERM)  # its bits are not met in one chain
            return max(self._kinds[computed[0]], Kind.REAL)
        highest = self._kinds[computed[0]]
        return highest if isinstance(op, ReluOp) else max(highest, Kind.EXACT)


def _moves(op: QnnOp) -> bool:
    """Whether the results are elements of the operands."""
    largest = isinstance(op, PoolOp) and op.kind.data is Pooling.MAX
    return largest or isinstance(op, MovementOp | ConcatOp)


def _role_of_state(state: SSAValue) -> Role:
    """One product for each unit costs little; those with recurrent weights do not."""
    weighted = any(isinstance(use.operation, WeightedOp) for use in state.uses)
    return Role.FACTOR if weighted else Role.ARGUMENT


def _sources(value: SSAValue) -> Iterator[SSAValue]:
    """The values whose elements another one has."""
    yield value
    owner = value.owner
    if isinstance(owner, ReluOp) or (isinstance(owner, QnnOp) and _moves(owner)):
        for operand in owner.operands:
            yield from _sources(operand)


def _is_real(value: SSAValue) -> bool:
    """Whether a constant has more bits than the significant ones of a float32."""
    owner = value.owner
    return isinstance(owner, ConstantOp) and exact_width(owner.evaluate_real()) > FLOAT32_BITS
