"""How a layer normalisation is lowered: an integer recipe with a table of reciprocal roots."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.format import Format
from calocc.dialects.fixed.interval import BOUND_BITS
from calocc.dialects.qnn.layer_norm import (
    LayerNormOp,
    bound_in_lsb,
    largest_result,
    most_spread,
    stated_epsilon,
)
from calocc.dialects.qnn.op import fixed_tensor, format_of, shape_of
from calocc.passes.lowering.errors import TooWide
from calocc.passes.lowering.lowering import Lowering, lowers

Reals = NDArray[np.float64]

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
    epsilon, length = op.epsilon.value.data, op.length
    deviation = recipe_deviation(lowering.deviations[x], epsilon, length)
    lowering.values[op.result] = lowering.add(new, new.interval(lowering.bounds[x]), deviation)


def recipe_deviation(operands: Reals, epsilon: float, length: int) -> Reals:
    """That of the results from the real function, where operands deviate by `operands`.

    c / sqrt(|c|^2 / n + epsilon) of the n centred elements c of a row moves by |dc| / sqrt(epsilon)
    at most, in the Euclidean norm, and no result is beyond sqrt(n - 1).
    """
    recipe = bound_in_lsb(length, LAYER_NORM_FRAC) * 2.0**-LAYER_NORM_FRAC
    moved = operands.max() * sqrt(length / epsilon)
    return np.full((), recipe + min(moved, 2 * sqrt(length - 1)))
