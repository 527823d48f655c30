"""Quantizers of activations whose values are not multiples of one power of two.

They become a quantizer whose values are, and a real function of what it yields: a chain, if a
quantizer follows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.elementwise import AffineOp, MaximumOp, MinimumOp, MultiplyOp
from calocc.dialects.qnn.function import MU, FunctionOp
from calocc.dialects.qnn.quantizers import (
    Binary,
    FixedPoint,
    QuantizedBits,
    QuantizedHswish,
    QuantizedUlaw,
    Quantizer,
    Ternary,
)


def quantized(builder: Builder, config: LayerConfig, x: SSAValue, quantizer: Quantizer) -> SSAValue:
    """Apply the quantizer of an activation."""
    if isinstance(quantizer, QuantizedUlaw):
        return _companded(builder, config, x, quantizer)
    levels, alpha = _levels_and_alpha(quantizer)
    y = builder.quantize(config, x, levels)
    if alpha == 1:
        return y
    factor = builder.constant(config, np.asarray(alpha))
    return builder.add(config, MultiplyOp((y, factor), layer=config.layer.name))


def _levels_and_alpha(quantizer: Quantizer) -> tuple[Quantizer, float]:
    """A quantizer on a grid, and the real alpha that multiplies what it yields."""
    match quantizer:
        case (
            QuantizedBits(alpha=int() | float() as alpha)
            | QuantizedHswish(alpha=int() | float() as alpha)
            | Binary(alpha=int() | float() as alpha)
            | Ternary(alpha=int() | float() as alpha)
        ) if quantizer.format is None:
            return replace(quantizer, alpha=1.0), alpha
        case _:
            return quantizer, 1.0


def _companded(builder: Builder, config: LayerConfig, x: SSAValue, law: QuantizedUlaw) -> SSAValue:
    """`k = round(m hard_sigmoid(x/top))`, then the curve at `2 k/m - 1`.

    Another u than that of `qnn.function mu_law` stretches the curve along both axes.
    """
    layer, m, top = config.layer.name, 2.0 ** (law.bits - 1), 2.0**law.integer
    across, up = law.u / MU, top * np.log1p(MU) / np.log1p(law.u)

    def affine(y: SSAValue, slope: float, offset: float) -> SSAValue:
        constants = [builder.constant(config, np.asarray(c)) for c in (slope, offset)]
        return builder.add(config, AffineOp((y, *constants), layer=layer))

    def limited(y: SSAValue, kind: type[MaximumOp | MinimumOp], bound: float) -> SSAValue:
        limit = builder.constant(config, np.asarray(bound))
        return builder.add(config, kind((y, limit), layer=layer))

    line = limited(affine(x, m / (2 * top), m / 2), MinimumOp, m)
    whole = FixedPoint(law.bits, law.bits, False, Rounding.RND_CONV, Overflow.SAT)
    steps = affine(builder.quantize(config, line, whole), 2 * across / m, -across)
    curve = affine(builder.add(config, FunctionOp("mu_law", steps, layer)), up, 0.0)
    least = limited(curve, MaximumOp, top * (law.symmetric / m - 1))
    return limited(least, MinimumOp, top * (1 - 1 / m))
