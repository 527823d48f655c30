"""Which element-wise layers never fall when their operand rises."""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from calocc.dialects.fixed.arithmetic import overflow_side
from calocc.dialects.fixed.exact import (
    ADD,
    AFFINE,
    GATE,
    LEAKY_RELU,
    MAXIMUM,
    MINIMUM,
    MULTIPLY,
    RELU,
    SUBTRACT,
)
from calocc.dialects.fixed.format import Overflow
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.elementwise import ElementwiseOp, ExactElementwiseOp
from calocc.dialects.qnn.op import format_of, shape_of
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.step import LookupOp, ThresholdOp

ALWAYS = (ADD, MAXIMUM, MINIMUM, RELU)
WITH_FACTORS = (MULTIPLY, AFFINE, LEAKY_RELU)
"""Rise if the first constant is not negative."""


def computed_operand(op: ElementwiseOp) -> int | None:
    """The one operand that is computed, of the result's shape, where all others are constants for
    a channel or for all; None for other layers."""
    shape = shape_of(op.result)
    computed = [k for k, o in enumerate(op.operands) if not isinstance(o.owner, ConstantOp)]
    others = [o for k, o in enumerate(op.operands) if k not in computed]
    if len(computed) != 1 or shape_of(op.operands[computed[0]]) != shape:
        return None
    return computed[0] if all(_of_channel(o, shape[-1]) for o in others) else None


def _of_channel(value: SSAValue, channels: int) -> bool:
    shape = shape_of(value)
    return shape[-1:] in ((), (1,), (channels,)) and all(n == 1 for n in shape[:-1])


def rises(op: ElementwiseOp, place: int, bounds: Interval) -> bool:
    """Whether a layer never falls in its computed operand, number `place`, which is in `bounds`."""
    if isinstance(op, QuantizeOp):
        return _cast_rises(op, bounds)
    if isinstance(op, LookupOp):
        return bool((np.diff(op.table.numpy(), axis=-1) >= 0).all())
    if isinstance(op, ThresholdOp):
        return True
    if not isinstance(op, ExactElementwiseOp):
        return False
    constants = [o.owner.evaluate_fixed() for o in op.operands if isinstance(o.owner, ConstantOp)]
    if op.FUNCTION in WITH_FACTORS:
        return (op.FUNCTION is MULTIPLY or place == 0) and bool((constants[0] >= 0).all())
    if op.FUNCTION is GATE:  # what is below a threshold ends at 0, so that may not be negative
        return place == 0 and all(bool((c >= 0).all()) for c in constants)
    return op.FUNCTION in ALWAYS or (op.FUNCTION is SUBTRACT and place == 0)


def _cast_rises(op: QuantizeOp, bounds: Interval) -> bool:
    """What wraps, or becomes 0 beyond the format, falls there."""
    rounding, overflow = op.modes
    if overflow in (Overflow.SAT, Overflow.SAT_SYM):
        return True
    frac = format_of(op.x).frac
    ends = bounds.aligned(frac)
    sides = (overflow_side(end, frac, op.out, rounding) for end in (ends.lo, ends.hi))
    return not any(side.any() for side in sides)
