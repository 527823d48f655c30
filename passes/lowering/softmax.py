"""How a softmax is lowered: an integer recipe with a table of exponentials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.op import fixed_tensor, format_of, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.softmax import SoftmaxOp
from calocc.passes.lowering.errors import NoArgmax
from calocc.passes.lowering.lowering import Lowering, lowers, note

Mantissas = NDArray[np.int64]
Reals = NDArray[np.float64]

SOFTMAX_FRAC = 8
"""Fraction bits of a softmax operand: its table then has 13.3 * 2^8 entries at most."""
SOFTMAX_OUT = Format(signed=False, width=16, integer=0)
EXP_BITS = 18
FINEST_ARGMAX = 12
"""Fraction bits of an operand beyond which a table of exponentials would be too long."""


@lowers(SoftmaxOp)
def softmax(lowering: Lowering, op: SoftmaxOp) -> None:
    """The integer recipe with a table of exponentials; its operand keeps 8 fraction bits."""
    x = lowering.operand(op.x)
    logits = lowering.deviations[x]
    if lowering.exact_argmax:
        require_argmax(op.layer_name, format_of(x).frac, shape_of(x)[-1])
    elif format_of(x).frac > SOFTMAX_FRAC:
        # Of operands below an LSB a bit is left all the same.
        integer = max(format_of(x).integer + 1, 1 + format_of(x).signed - SOFTMAX_FRAC)
        format = Format(format_of(x).signed, integer + SOFTMAX_FRAC, integer)
        modes = Rounding.RND_CONV, Overflow.SAT
        narrow = QuantizeOp.fixed(x, format, *modes, layer=op.layer_name)
        logits = logits + format.lsb / 2
        x = lowering.add(narrow, lowering.bounds[x].quantize(format, *modes), logits)
    table = exponentials(format_of(x).frac, lowering.bounds[x])
    result = fixed_tensor(shape_of(op.result), SOFTMAX_OUT)
    new = SoftmaxOp(x, table, result, op.layer_name)
    deviation = recipe_deviation(logits, shape_of(op.result)[-1])
    result = lowering.add(new, new.interval(lowering.bounds[x]), deviation)
    note(result, "argmax_frac", format_of(x).frac)
    lowering.values[op.result] = result


def require_argmax(layer: str, frac: int, classes: int) -> None:
    """Raise NoArgmax unless operands at `frac` that differ have results that differ.

    The table holds 2^18 for the greatest operand and at most 2^18 exp(-2^-frac) + 1/2 for any
    other, the sum is `classes` times 2^18 at most, and what is an LSB apart before it is rounded
    stays apart.
    """
    apart = (2**EXP_BITS * (1 - np.exp(-(2.0**-frac))) - 0.5) / (classes * 2**EXP_BITS)
    if frac > FINEST_ARGMAX or apart < SOFTMAX_OUT.lsb:
        raise NoArgmax(layer, frac, classes)


def recipe_deviation(logits: Reals, classes: int) -> Reals:
    """That of the results from the real softmax, where logits deviate by `logits`.

    The log-odds of a class move by twice that of the logits at most, and the steepest step of
    the logistic function by 2 d is tanh(d / 2). Each exponential is off by half a unit of its
    table but for that of the maximum, the sum of all by no more together, and the division and
    the largest mantissa take an LSB.
    """
    table = 0.5 * max(1, classes - 1) / 2**EXP_BITS
    return np.asarray(np.tanh(logits.max() / 2) + table + SOFTMAX_OUT.lsb)


def exponentials(frac: int, bounds: Interval) -> Mantissas:
    """round(2^18 * exp(-i * 2^-frac)) for i = 0, 1, ... up to the first 0 or the largest i."""
    span = int(bounds.hi.max()) - int(bounds.lo.min())
    last = min(span, int(np.ceil((EXP_BITS + 1) * np.log(2) * 2.0**frac)))
    return np.rint(np.exp(-np.arange(last + 1) * 2.0**-frac) * 2**EXP_BITS).astype(np.int64)
