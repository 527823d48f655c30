"""Layers that normalise each event by itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.axes import reordered, reshaped, several_behind_batch
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single, stored
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.layer_norm import LayerNormOp
from calocc.dialects.qnn.op import shape_of


def _axes(config: LayerConfig, x: SSAValue) -> list[int]:
    """The axes that are normalised together, behind the batch, ascending."""
    axes = several_behind_batch(config, "axis", x, -1)
    if not axes:
        raise refused(config, "it has no axis to normalise over", "give one or more axes")
    return axes


@keras_layer("LayerNormalization")
def layer_normalization(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """Zero mean and unit variance over one or more axes, then a scale and an offset for each of
    their elements."""
    x, name = single(config, inputs), config.layer.name
    config.expect_default("rms_scaling", False)
    axes = _axes(config, x)
    order = [*(k for k in range(len(shape_of(x))) if k not in axes), *axes]
    moved = reordered(builder, config, x, order)
    sizes = shape_of(moved)
    outer, own = sizes[: -len(axes)], sizes[-len(axes) :]
    y = reshaped(builder, config, moved, (*outer, prod(own)))
    y = builder.add(config, LayerNormOp.real(y, _epsilon(config), name))
    y = _scaled(builder, config, y, own)
    y = reshaped(builder, config, y, sizes)
    return reordered(builder, config, y, [order.index(k) for k in range(len(order))])


def _epsilon(config: LayerConfig) -> float:
    epsilon = config.take_float("epsilon", 1e-3)
    if epsilon <= 0:
        raise refused(config, f"its epsilon {epsilon:g} is not positive", "use epsilon=1e-3")
    return epsilon


def _scaled(builder: Builder, config: LayerConfig, y: SSAValue, sizes: tuple[int, ...]) -> SSAValue:
    """Times gamma plus beta, where the layer has them.

    Keras lets the stored elements run over the axes in ascending order.
    """
    scale, center = config.take_bool("scale", True), config.take_bool("center", True)
    if not (scale or center):
        return y
    count = prod(sizes)
    gamma = _parameter(config, "gamma", len(sizes), count) if scale else np.ones(count, np.float32)
    beta = _parameter(config, "beta", len(sizes), count) if center else np.zeros(count, np.float32)
    constants = [builder.constant(config, array) for array in (gamma, beta)]
    return builder.add(config, AffineOp((y, *constants), layer=config.layer.name))


def _parameter(config: LayerConfig, name: str, rank: int, count: int) -> Any:
    """The stored elements as a vector; raise UnsupportedLayer for another number of them."""
    array = stored(config, name, *(None for _ in range(rank)))
    if array.size != count:
        reason = f"its stored {name} has {array.size} elements, not {count}"
        raise refused(config, reason, "save the model again: its config and its weights disagree")
    return array.reshape(-1)
