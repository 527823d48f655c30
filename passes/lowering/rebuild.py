"""A function in the making on fixed-point numbers: constants, exact layers and casts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Block, SSAValue

from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.types import MAX_WIDTH
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import ElementwiseOp, GateOp
from calocc.dialects.qnn.function import FunctionOp
from calocc.dialects.qnn.op import QnnOp, fixed_tensor, format_of, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.passes.lowering import forms
from calocc.passes.lowering.chain_deviation import of_cast
from calocc.passes.lowering.constants import (
    FLOAT32_BITS,
    FixedConstant,
    exact_constant,
    exact_width,
)
from calocc.passes.lowering.deviation import EXACT, UNKNOWN, Operand, through
from calocc.passes.lowering.errors import TooWide, UnquantizedConstant
from calocc.passes.lowering.forms import Form, Symbols

Reals = NDArray[np.float64]


@dataclass(kw_only=True)
class Rebuild:
    """The new block, and what is known of its values.

    `values` are the new values by the old ones. `bounds` are what they can be, `deviations` how
    far they are from the reals of the model at most; see `deviation`, and `forms` for what several
    of them share.
    """

    block: Block = field(default_factory=Block)
    values: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    bounds: dict[SSAValue, Interval] = field(default_factory=dict[SSAValue, Interval])
    deviations: dict[SSAValue, Reals] = field(default_factory=dict[SSAValue, Reals])
    forms: dict[SSAValue, Form] = field(default_factory=dict[SSAValue, Form])
    symbols: Symbols = field(default_factory=Symbols)

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
        deviation = through(op, known)
        result = self.add(new, bounds, deviation)
        if deviation.any() and all(np.isfinite(self.deviations[o]).all() for o in operands):
            self.refine(result, forms.through(op, [self.known(o) for o in operands]))
        return result

    def known(self, value: SSAValue) -> forms.Known:
        """What forms need to know of a new value, whose deviation is finite."""
        bounds, deviation = self.bounds[value], self.deviations[value]
        least, most = (to_real(b, bounds.frac) for b in (bounds.lo, bounds.hi))
        is_constant = isinstance(value.owner, ConstantOp)
        # Bounds have one entry for elements that are all alike.
        constant = np.broadcast_to(least, shape_of(value)) if is_constant else np.zeros(0)
        return forms.Known(self.form(value), least - deviation, most + deviation, constant)

    def form(self, value: SSAValue) -> Form:
        """The form of a new value, of which perhaps only the deviation is known."""
        plain = Form.plain(self.deviations[value], shape_of(value))
        return self.forms.get(value, plain)

    def refine(self, value: SSAValue, form: Form | None) -> None:
        """Keep the form of a value, and what it says of the deviation of each channel."""
        if form is not None:
            self.forms[value] = form
            radius = form.radius()
            channels = radius.max(axis=tuple(range(radius.ndim - 1)))
            self.deviations[value] = np.minimum(self.deviations[value], channels)

    def cast(self, op: QuantizeOp, x: SSAValue) -> SSAValue:
        """A plain quantizer as a cast; nothing where it would change no value."""
        assert op.quantizer is not None
        quantizer = op.quantizer.quantizer
        assert quantizer.format is not None
        assert quantizer.rule is not None
        deviation = of_cast(op, self.bounds[x], self.deviations[x])
        form = self.rounded_form(op, x)
        if format_of(x) == quantizer.format and self.unchanged(x, quantizer.rule):
            self.deviations[x] = np.maximum(self.deviations[x], deviation)
            self.refine(x, form)
            return x
        new = QuantizeOp.fixed(x, quantizer.format, *quantizer.rule, layer=op.layer_name)
        new.result.name_hint = op.result.name_hint
        bounds = self.bounds[x].quantize(quantizer.format, *quantizer.rule)
        result = self.add(new, bounds, deviation)
        self.refine(result, form)
        return result

    def rounded_form(self, op: QuantizeOp, x: SSAValue) -> Form | None:
        """The form of what an inserted quantizer yields; what it rounds becomes shared."""
        if op.inserted is None or not np.isfinite(self.deviations[x]).all():
            return None
        taken = of_cast(op, self.bounds[x], EXACT)
        return self.symbols.shared(self.form(x).widened(np.broadcast_to(taken, shape_of(x))))

    def unchanged(self, x: SSAValue, rule: tuple[Rounding, Overflow]) -> bool:
        """Whether a cast of `x` to its own format changes no value (a symmetric one may)."""
        bounds = self.bounds[x]
        cast = bounds.quantize(format_of(x), *rule)
        return np.array_equal(cast.lo, bounds.lo) and np.array_equal(cast.hi, bounds.hi)


def _consumer(value: SSAValue) -> str:
    user = next(iter(value.uses)).operation
    return user.layer_name if isinstance(user, QnnOp) else user.name


def _quantizer_of(owner: QnnOp) -> str | None:
    quantizer = owner.quantizer if isinstance(owner, QuantizeOp) else None
    return None if quantizer is None else str(quantizer.quantizer)
