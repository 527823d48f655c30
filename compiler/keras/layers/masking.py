"""Steps of sequences that do not count."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single
from calocc.dialects.qnn.elementwise import IsZeroOp, MultiplyOp, SubtractOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.windows import Window

_FINEST = 20
"""Fraction bits of a value that is compared with; it has at most as many before the point."""


@keras_layer("Masking")
def masking(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Zero for each step whose features all equal `mask_value`; layers behind it that would look at
    its mask are refused."""
    x = single(config, inputs)
    differs = _differs(builder, config, x, _compared(config))
    *steps, features = shape_of(x)
    name = config.layer.name
    rows = builder.add(config, ReshapeOp(differs, (prod(steps), features, 1), name))
    window = Window(1, features, (1, features))
    kept = builder.add(config, PoolOp(rows, Pooling.MAX, window, name))
    factor = builder.add(config, ReshapeOp(kept, (*steps, 1), name))
    y = builder.add(config, MultiplyOp((x, factor), layer=name))
    builder.masked.add(y)
    return y


def _compared(config: LayerConfig) -> float:
    """The mask value, as Keras compares with it in float32; raise UnsupportedLayer."""
    value = float(np.float32(config.take_float("mask_value", 0.0)))
    if abs(value) >= 1 << _FINEST or value * (1 << _FINEST) % 1:
        reason = f"its mask_value {value:g} is no fixed-point number of few bits"
        raise refused(config, reason, "mark masked steps with 0 or another number of few bits")
    return value


def _differs(builder: Builder, config: LayerConfig, x: SSAValue, value: float) -> SSAValue:
    """1 where x is not the value, else 0."""
    name = config.layer.name
    if value:
        compared = builder.constant(config, np.asarray(value))
        x = builder.add(config, SubtractOp((x, compared), layer=name))
    equal = builder.add(config, IsZeroOp((x,), layer=name))
    one = builder.constant(config, np.asarray(1.0))
    return builder.add(config, SubtractOp((one, equal), layer=name))
