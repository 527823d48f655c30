"""How a layer normalisation is lowered: an integer recipe with a table of reciprocal roots."""

from __future__ import annotations

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import BOUND_BITS
from calocc.dialects.qnn.layer_norm import (
    LayerNormOp,
    largest_result,
    most_spread,
    stated_epsilon,
)
from calocc.dialects.qnn.op import fixed_tensor, format_of, shape_of
from calocc.passes.lowering.errors import TooWide
from calocc.passes.lowering.lowering import Lowering, lowers

LAYER_NORM_FRAC = 14
"""Fraction bits of a result; the table of roots has little more to give."""


@lowers(LayerNormOp)
def layer_norm(lowering: Lowering, op: LayerNormOp) -> None:
    """The integer recipe on an operand as it is."""
    assert op.epsilon is not None
    x = lowering.operand(op.x)
    offset, frac = stated_epsilon(op.epsilon.value.data, format_of(x), op.length)
    if most_spread(format_of(x), op.length, offset, frac) >= 1 << BOUND_BITS:
        raise TooWide(op.layer_name)
    limit = largest_result(op.length, LAYER_NORM_FRAC)
    out = Format.holding(-limit, limit, LAYER_NORM_FRAC)
    result = fixed_tensor(shape_of(op.result), out)
    new = LayerNormOp.fixed(x, offset, frac, result, op.layer_name)
    new.result.name_hint = op.result.name_hint
    lowering.values[op.result] = lowering.add(new, new.interval(lowering.bounds[x]))
