"""The layers that DeepCalo defines for itself, by class name as in its Python package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.linear import require_rank
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    refused,
    single,
)
from calocc.dialects.qnn.elementwise import AddOp, IsZeroOp, MultiplyOp, SubtractOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Window


@keras_layer("FiLM")
def film(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Feature-wise linear modulation of x by a vector c: (1 + c[:C]) * x + c[C:] per channel."""
    name = config.layer.name
    if len(inputs) != 2 or shape_of(inputs[1]) != (2 * shape_of(inputs[0])[-1],):
        shapes = [shape_of(i) for i in inputs]
        reason = f"its operands have the shapes {shapes}"
        advice = "give it a tensor (..., C) and a vector of 2 C"
        raise refused(config, reason, advice)
    x, modulation = inputs
    shape = (*(1 for _ in shape_of(x)[:-1]), shape_of(x)[-1])
    halves = [SliceOp(modulation, 0, k * shape[-1], (k + 1) * shape[-1], name) for k in (0, 1)]
    gamma, beta = (
        builder.add(config, ReshapeOp(builder.add(config, half), shape, name)) for half in halves
    )
    one = builder.constant(config, np.asarray(1.0))
    scale = builder.add(config, AddOp((gamma, one), layer=name))
    scaled = builder.add(config, MultiplyOp((x, scale), layer=name))
    return builder.add(config, AddOp((scaled, beta), layer=name))


@keras_layer("Mask_track")
def mask_track(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """1 for each track (row) whose features are all non-zero, else 0: (T, F) to (T, 1)."""
    x = single(config, inputs)
    tracks, features = require_rank(config, x, 2)
    name = config.layer.name
    zero = builder.add(config, IsZeroOp((x,), layer=name))
    image = builder.add(config, ReshapeOp(zero, (tracks, features, 1), name))
    window = Window(1, features, (1, features))
    any_zero = builder.add(config, PoolOp(image, Pooling.MAX, window, name))
    one = builder.constant(config, np.ones(1))
    mask = builder.add(config, SubtractOp((one, any_zero), layer=name))
    return builder.add(config, ReshapeOp(mask, (tracks, 1), name))


@keras_layer("Sum1D")
def sum_1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """The sum over the first axis: (T, F) to (F,)."""
    x = single(config, inputs)
    length, features = require_rank(config, x, 2)
    name = config.layer.name
    image = builder.add(config, ReshapeOp(x, (length, 1, features), name))
    total = builder.add(config, PoolOp(image, Pooling.SUM, Window(length, 1), name))
    return builder.add(config, ReshapeOp(total, (features,), name))


@keras_layer("Slice_tensor1D")
def slice_tensor_1d(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """Elements start to end - 1 of a vector."""
    x = single(config, inputs)
    (length,) = require_rank(config, x, 1)
    start, end = config.take_int("start"), config.take_int("end")
    if not 0 <= start < end <= length:
        reason = f"start={start}, end={end} is no range of a vector of {length}"
        advice = "give 0 <= start < end <= length"
        raise refused(config, reason, advice)
    return builder.add(config, SliceOp(x, 0, start, end, config.layer.name))
