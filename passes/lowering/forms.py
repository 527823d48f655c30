"""Deviations as affine forms, in which what several values share can cancel.

The deviation of an element is a sum of `terms[s] * e_s`, with |e_s| <= 1 one and the same number
wherever it stands, and of something of its own that is no larger than `rest` (affine arithmetic:
de Figueiredo and Stolfi, Numerical Algorithms 37, 2004). A linear layer maps the terms as it maps
events; layers without a rule fall back to the intervals of `deviation`, which forms only ever make
narrower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.rules import Rules
from calocc.dialects.qnn.conv import ConvolutionOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp, AffineOp, MultiplyOp, ReluOp, SubtractOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.movement import ConcatOp, MovementOp
from calocc.dialects.qnn.op import QnnOp, Shape, is_constant, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp

Reals = NDArray[np.float64]

MOST_SYMBOLS = 512
MOST_TERMS = 1 << 22
"""Terms of one value, beyond which what is new stays in its rest."""
_SLACK = 1 + 1e-9


@dataclass(frozen=True, eq=False)
class Form:
    """The deviation of a tensor: `terms` (symbols, *shape) and `rest` (*shape)."""

    terms: Reals
    rest: Reals

    @staticmethod
    def plain(deviation: Reals, shape: Shape) -> Form:
        """A deviation of which nothing is shared."""
        return Form(np.zeros((0, *shape)), np.broadcast_to(deviation, shape))

    def radius(self) -> Reals:
        """The largest deviation of each element."""
        return (np.abs(self.terms).sum(axis=0) + self.rest) * _SLACK

    def padded(self, symbols: int) -> Reals:
        """The terms of the first `symbols` symbols, of which this form may know fewer."""
        missing = np.zeros((symbols - len(self.terms), *self.rest.shape))
        return np.concatenate([self.terms, missing])

    def scaled(self, factor: Reals) -> Form:
        """That of the values times constants, which broadcast."""
        return Form(self.terms * factor, self.rest * np.abs(factor))

    def widened(self, more: Reals) -> Form:
        """That of values which deviate by `more` besides."""
        return Form(self.terms, self.rest + more)


@dataclass
class Symbols:
    """The symbols of one program so far."""

    count: int = 0

    def shared(self, form: Form) -> Form:
        """The form with a new symbol for the rest of each element, if they are few."""
        size = prod(form.rest.shape)
        total = self.count + size
        if total > MOST_SYMBOLS or total * size > MOST_TERMS:
            return form
        own = np.diag(form.rest.reshape(-1)).reshape(size, *form.rest.shape)
        terms = np.concatenate([form.padded(self.count), own])
        self.count = total
        return Form(terms, np.zeros(form.rest.shape))


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of an operand: its form, least and greatest real, and its value if constant."""

    form: Form
    least: Reals
    most: Reals
    value: Reals = field(default_factory=lambda: np.zeros(0))

    @property
    def magnitude(self) -> Reals:
        """The largest absolute real or fixed-point number."""
        return np.maximum(np.abs(self.least), np.abs(self.most))


RULES = Rules[Sequence[Known], Form]()
forms = RULES.on
"""Register how a class of layers maps the forms of its operands."""


def through(op: QnnOp, operands: Sequence[Known]) -> Form | None:
    """The form of a layer's results; None for layers without a rule."""
    rule = RULES.find(op)
    return None if rule is None else rule(operands, op)


def _batches(operands: Sequence[Known]) -> list[Reals]:
    symbols = max(len(o.form.terms) for o in operands)
    return [o.form.padded(symbols) for o in operands]


def _computed(op: QnnOp, arrays: Sequence[Reals]) -> Reals:
    """The layer on a batch of terms; a constant operand is no batch, and deviates by nothing."""
    arguments = [
        np.zeros(shape_of(o)) if is_constant(o) else a
        for o, a in zip(op.operands, arrays, strict=True)
    ]
    return op.evaluate_real(*arguments)


def _linear(operands: Sequence[Known], op: QnnOp) -> Form:
    """Sums of elements, all with positive weights but for a difference."""
    batches = _batches(operands)
    shape = shape_of(op.result)
    terms = _computed(op, batches) if len(batches[0]) else np.zeros((0, *shape))
    if isinstance(op, AddOp | SubtractOp):
        return Form(terms, np.broadcast_to(operands[0].form.rest + operands[1].form.rest, shape))
    return Form(terms, op.evaluate_real(*(o.form.rest[None] for o in operands))[0])


for _kind in (AddOp, SubtractOp, MovementOp, ConcatOp, InterpolateOp):
    forms(_kind)(_linear)


@forms(PoolOp)
def _pool(operands: Sequence[Known], op: PoolOp) -> Form:
    """A sum is linear; a maximum moves by no more than the operand that moves most."""
    if op.kind.data is Pooling.SUM:
        return _linear(operands, op)
    radius = operands[0].form.radius()
    return Form(np.zeros((0, *shape_of(op.result))), op.evaluate_real(radius[None])[0])


def _weighted(operands: Sequence[Known], op: QnnOp) -> Form:
    """w'x' - wx = w'(x' - x) + (w' - w)x, for the weights w' that are used."""
    x, w = operands
    shape, weights = shape_of(op.result), w.value
    moved = np.zeros((0, *shape))
    if len(x.form.terms):
        moved = op.evaluate_real(x.form.terms, weights)
    rest = op.evaluate_real(x.form.rest[None], np.abs(weights))[0]
    largest = np.broadcast_to(x.magnitude, shape_of(op.operands[0]))
    lost = op.evaluate_real(largest[None], w.form.rest)[0]
    return Form(moved, rest + lost)


for _kind in (DenseOp, ConvolutionOp):
    forms(_kind)(_weighted)


@forms(MultiplyOp)
def _multiply(operands: Sequence[Known], op: MultiplyOp) -> Form:
    """Products with a constant are linear; of other products only the sizes are known."""
    x, factor = sorted(operands, key=lambda o: o.value.size > 0)
    if not factor.value.size:
        size = x.form.radius() * factor.magnitude + x.magnitude * factor.form.radius()
        return Form.plain(size, shape_of(op.result))
    return x.form.scaled(factor.value).widened(x.magnitude * factor.form.rest)


@forms(AffineOp)
def _affine(operands: Sequence[Known], op: AffineOp) -> Form:
    x, scale, offset = operands
    lost = x.magnitude * scale.form.rest + offset.form.rest
    return x.form.scaled(scale.value).widened(np.broadcast_to(lost, shape_of(op.result)))


@forms(ReluOp)
def _relu(operands: Sequence[Known], op: ReluOp) -> Form:
    """Where the sign is not known, between none and all of the deviation is left."""
    (x,) = operands
    return rectified(x.form, x.least, x.most)


def rectified(form: Form, least: Reals, most: Reals) -> Form:
    """That of max(x, 0) for reals and fixed-point numbers x from `least` to `most`."""
    share = np.where(least >= 0, 1.0, np.where(most <= 0, 0.0, 0.5))
    unsure = np.where(share == 0.5, 0.5 * form.radius(), 0.0)
    return form.scaled(share).widened(unsure)
