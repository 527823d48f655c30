"""How far fixed-point values can be from the reals they stand for: certified bounds.

A deviation is an array that broadcasts against a tensor as the bounds of an `Interval` do:
|fixed - real| for every reachable operand, per channel where channels differ. Linear layers take
it through the absolute values of their actual weights, which is interval arithmetic on the
difference of two runs of a layer (Moore, Kearfott and Cloud, 2009); other layers by the steepest
slope that they have. What no rule bounds is `UNKNOWN`. Deviations are computed in float64 and
rounded up by far more than float64 rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.rules import Rules
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.conv import ConvolutionOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    GateOp,
    IsZeroOp,
    LeakyReluOp,
    MaximumOp,
    MinimumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.movement import ConcatOp, MovementOp
from calocc.dialects.qnn.op import QnnOp
from calocc.dialects.qnn.pool import PoolOp

Reals = NDArray[np.float64]

EXACT: Reals = np.zeros(())
"""The deviation of values that are equal."""
UNKNOWN: Reals = np.full((), np.inf)
"""The deviation of values of which nothing is known."""

_SLACK = 1 + 1e-9
_BITS = 24
"""Bits to which a deviation is rounded up on its way through a linear layer."""


@dataclass(frozen=True, eq=False)
class Operand:
    """What is known of an operand: its greatest magnitude as a fixed-point number, and its
    deviation; arrays that broadcast against the operand."""

    magnitude: Reals
    deviation: Reals

    @staticmethod
    def of(bounds: Interval, deviation: Reals) -> Operand:
        """An operand with these bounds."""
        largest = np.maximum(np.abs(bounds.lo), np.abs(bounds.hi))
        return Operand(np.ldexp(largest.astype(np.float64), -bounds.frac), deviation)


RULES = Rules[Sequence[Operand], Reals]()
deviates = RULES.on
"""Register how the results of a class of ops deviate where operands do."""


def through(op: QnnOp, operands: Sequence[Operand]) -> Reals:
    """The deviation of an exact layer's results; `UNKNOWN` for layers without a rule."""
    if not any(o.deviation.any() for o in operands):
        return EXACT
    rule = RULES.find(op)
    if rule is None or not all(np.isfinite(o.deviation).all() for o in operands):
        return UNKNOWN
    try:
        return rule(operands, op) * _SLACK
    except OverflowError:
        return UNKNOWN


def quantized(deviation: Reals, lsb: float, reach: float) -> Reals:
    """That of numbers rounded to multiples of `lsb`, in a range of length `reach`.

    Between two numbers that are d apart lie floor(d / lsb) + 1 rounding boundaries at most. The
    `lsb` of what may go anywhere is infinite, as is a deviation that is not known.
    """
    crossed = (np.floor(deviation / lsb) + 1) * lsb if np.isfinite(lsb) else np.inf
    return np.where(deviation > 0, np.minimum(crossed, reach), 0.0)


def _ball(*magnitudes: Reals) -> list[Interval]:
    """Intervals around 0 with these radii, rounded up."""
    largest = max(float(m.max(initial=0)) for m in magnitudes)
    frac = _BITS - int(np.frexp(largest)[1])
    radii = [np.ceil(np.ldexp(m, frac)).astype(np.int64) for m in magnitudes]
    return [Interval(-r, r, frac) for r in map(np.atleast_1d, radii)]


def _point(magnitude: Reals) -> Interval:
    """The single values, rounded up."""
    frac = _BITS - int(np.frexp(float(magnitude.max(initial=0)))[1])
    return Interval.constant(np.ceil(np.ldexp(magnitude, frac)).astype(np.int64), frac)


def _radius(bounds: Interval) -> Reals:
    return Operand.of(bounds, EXACT).magnitude


def _linear(operands: Sequence[Operand], op: QnnOp) -> Reals:
    """Layers whose results differ by no more than the same layer makes of the differences."""
    return _radius(op.interval(*_ball(*(o.deviation for o in operands))))


for _kind in (AddOp, SubtractOp, MaximumOp, MinimumOp, ReluOp, MovementOp, ConcatOp, PoolOp):
    deviates(_kind)(_linear)
deviates(InterpolateOp)(_linear)


@deviates(EmbeddingOp)
def _rows(operands: Sequence[Operand], op: EmbeddingOp) -> Reals:
    """Rows of indices that are exact deviate as the table does."""
    index, table = operands
    return UNKNOWN if index.deviation.any() else np.full((), table.deviation.max())


def _weighted(operands: Sequence[Operand], op: QnnOp) -> Reals:
    """|x| |dw| + |dx| (|w| + |dw|), summed as the layer sums."""
    x, w = operands
    terms = [(x.deviation, w.magnitude + w.deviation), (x.magnitude, w.deviation)]
    return sum((_weighed(op, *term) for term in terms if term[0].any() and term[1].any()), EXACT)


def _weighed(op: QnnOp, radius: Reals, weights: Reals) -> Reals:
    shape: Any = op.operands[1].type
    return _radius(op.interval(*_ball(radius), _point(np.broadcast_to(weights, shape.get_shape()))))


for _kind in (DenseOp, ConvolutionOp):
    deviates(_kind)(_weighted)


def _product(a: Operand, b: Operand) -> Reals:
    return a.deviation * (b.magnitude + b.deviation) + a.magnitude * b.deviation


@deviates(MultiplyOp)
def _multiply(operands: Sequence[Operand], op: MultiplyOp) -> Reals:
    return _product(*operands)


@deviates(AffineOp)
def _affine(operands: Sequence[Operand], op: AffineOp) -> Reals:
    return _product(*operands[:2]) + operands[2].deviation


@deviates(LeakyReluOp)
def _leaky(operands: Sequence[Operand], op: LeakyReluOp) -> Reals:
    x, slope = operands
    return np.maximum(_product(x, slope), x.deviation)


@deviates(GateOp)
def _gate(operands: Sequence[Operand], op: GateOp) -> Reals:
    """The steeper of the two slopes, and a jump as high as the threshold where x reaches it."""
    x, threshold, slope = operands
    distance = Operand(x.magnitude + threshold.magnitude, x.deviation + threshold.deviation)
    return np.maximum(_product(distance, slope), distance.deviation) + threshold.magnitude


@deviates(IsZeroOp)
def _is_zero(operands: Sequence[Operand], op: IsZeroOp) -> Reals:
    return (operands[0].deviation > 0).astype(np.float64)
