"""How far the quantized result of a chain can be from its reference, where operands are off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.elementwise import AddOp, AffineOp, MultiplyOp, ReluOp, SubtractOp
from calocc.dialects.qnn.function import STEEPEST, FunctionOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import Quantizer
from calocc.passes.lowering.chain import Chain, Stage
from calocc.passes.lowering.deviation import EXACT, UNKNOWN, Operand, quantized, through
from calocc.passes.lowering.forms import Form, rectified

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]

SATURATING = (Overflow.SAT, Overflow.SAT_SYM)
MOST_POINTS = 1 << 20
"""Operands, over all channels, beyond which a chain is bounded by its slopes."""


def of_chain(chain: Chain, bounds: Interval, deviation: Reals, largest: int) -> Reals:
    """That of a chain whose fixed-point form is off by `largest` LSB at most.

    `bounds` (channels,) are those of the operand, which deviates by `deviation`.
    """
    format = chain.quantizer.format
    assert format is not None
    own: Reals = np.full((), largest * format.lsb, np.float64)
    if chain.last.inserted is not None:
        return own + _spread(chain, deviation) + _cut_off(chain, bounds)
    if not deviation.any():
        return own
    if not np.isfinite(deviation).all():
        return UNKNOWN
    shift = int(np.ceil(deviation.max() / 2.0**-chain.frac))
    if chain.monotone and _few(bounds, shift):
        return own + _steps_between(chain, bounds, shift) * format.lsb
    spread = _spread(chain, deviation)
    return own + of_cast(chain.last, Interval.of_format(format, (1,)), spread)


def of_cast(op: QuantizeOp, bounds: Interval, deviation: Reals) -> Reals:
    """That of a plain quantizer or, for an inserted one, of what it rounds and cuts off.

    `bounds` are those of the fixed-point operand.
    """
    assert op.quantizer is not None
    quantizer = op.quantizer.quantizer
    assert quantizer.format is not None
    if op.inserted is not None:
        least, most = (to_real(b, bounds.frac) for b in (bounds.lo, bounds.hi))
        return deviation + _taken(least, most, quantizer)
    if not deviation.any():
        return EXACT
    uniform = quantizer.rule is not None and quantizer.rule[1] in SATURATING
    lsb = quantizer.format.lsb if uniform else np.inf
    return quantized(deviation, lsb, _reach(quantizer.format))


def _reach(format: Format) -> float:
    return (format.max_mantissa - format.min_mantissa) * format.lsb


def _taken(least: Reals, most: Reals, quantizer: Quantizer) -> Reals:
    """What a quantizer adds to or takes from numbers between `least` and `most`, at most."""
    format, rule = quantizer.format, quantizer.rule
    assert format is not None
    assert rule is not None
    step = format.lsb if rule[0] in (Rounding.TRN, Rounding.TRN_ZERO) else format.lsb / 2
    lowest, highest = to_real(np.array([format.min_mantissa, format.max_mantissa]), format.frac)
    outside = np.maximum(lowest - least, most - highest)
    leaves = outside + (0.0 if rule[1] in SATURATING else _reach(format) + format.lsb)
    return np.where(outside > 0, np.maximum(leaves, step), step)


def _points(bounds: Interval, shift: int = 0) -> Mantissas:
    """Offsets (points, 1) from the lower bounds that reach `shift` beyond both of them."""
    span = int((bounds.hi - bounds.lo).max()) + 1
    return np.arange(-shift, span + shift)[:, None]


def _few(bounds: Interval, shift: int = 0) -> bool:
    span = int((bounds.hi - bounds.lo).max()) + 1
    return (span + 2 * shift) * bounds.lo.size <= MOST_POINTS


def _steps_between(chain: Chain, bounds: Interval, shift: int) -> Mantissas:
    """How many levels a monotone chain passes, per channel, on any `shift` LSB of its operand."""
    levels = chain.reference(bounds.lo + _points(bounds, shift))
    return np.abs(levels[shift:] - levels[:-shift]).max(axis=0)


def _cut_off(chain: Chain, bounds: Interval) -> Reals:
    """What an inserted quantizer takes from the reals of a chain, per channel."""
    if _few(bounds):
        values = chain.value(np.minimum(bounds.lo + _points(bounds), bounds.hi))
        return np.abs(chain.quantizer(values) - values).max(axis=0)
    if not all(stage.monotone for stage in chain.stages):
        return UNKNOWN
    ends = chain.value(np.stack([bounds.lo, bounds.hi]))
    return _taken(ends.min(axis=0), ends.max(axis=0), chain.quantizer)


def _spread(chain: Chain, deviation: Reals) -> Reals:
    """The deviation of a chain's reals, in front of its quantizer."""
    for stage in chain.stages:
        deviation = _through(stage, deviation)
    return deviation


def _through(stage: Stage, deviation: Reals) -> Reals:
    if isinstance(stage.op, FunctionOp):
        slope = STEEPEST.get(stage.op.kind.data, np.inf)
        return np.where(deviation > 0, slope, 0.0) * deviation  # also where no slope is known
    known = [Operand(np.abs(c), EXACT) for c in stage.constants]
    return through(stage.op, [Operand(EXACT, deviation), *known])


def form_of_chain(chain: Chain, bounds: Interval, form: Form, largest: int) -> Form:
    """The form of what a chain yields that ends in an inserted quantizer; see `of_chain`."""
    format = chain.quantizer.format
    assert format is not None
    values = to_real(np.stack([bounds.lo, bounds.hi]), chain.frac)
    for stage in chain.stages:
        form = _form_through(stage, form, values)
        values = (
            stage.real(values) if stage.monotone else np.full_like(values, [[-np.inf], [np.inf]])
        )
    taken = _cut_off(chain, bounds) + largest * format.lsb
    return form.widened(np.broadcast_to(taken, form.rest.shape))


def _form_through(stage: Stage, form: Form, ends: Reals) -> Form:
    """Stages with constants that are exact; `ends` (2, channels) are those of the operand."""
    op, constants = stage.op, stage.constants
    if isinstance(op, AddOp | SubtractOp):
        return form
    if isinstance(op, AffineOp | MultiplyOp):
        return form.scaled(constants[0])
    if isinstance(op, ReluOp):
        radius = form.radius()
        return rectified(form, ends.min(axis=0) - radius, ends.max(axis=0) + radius)
    if isinstance(op, FunctionOp) and op.monotone and op.kind.data in STEEPEST:
        half = STEEPEST[op.kind.data] / 2
        return form.scaled(np.full((), half)).widened(half * form.radius())
    return Form.plain(_through(stage, form.radius()), form.rest.shape)
