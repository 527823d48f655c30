"""Pooling layers of QKeras, which quantize the factor of their averages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.linear import require_rank
from calocc.compiler.keras.layers.registry import (
    Builder,
    keras_layer,
    refused,
    single,
)
from calocc.compiler.keras.layers.structure import pool, pool_window
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.windows import Window


def _factor(config: LayerConfig, area: int) -> float:
    """The quantized 1 / area."""
    quantizer = config.take_quantizer("average_quantizer")
    if quantizer is None:
        return 1 / area
    if quantizer.data_dependent:
        reason = f"the scale of its average quantizer {quantizer} depends on what it quantizes"
        raise refused(config, reason, "give the average quantizer a number as alpha")
    return float(quantizer(np.array([np.float32(1 / area)], np.float64))[0])


@keras_layer("QAveragePooling2D")
def quantized_average_pooling(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """The sum over windows times a quantized 1 / area, activation."""
    x = single(config, inputs)
    window = pool_window(config, x)
    y = pool(builder, config, x, window, True, _factor(config, window.taps))
    return activate(builder, config, y, config.take_activation("activation"))


@keras_layer("QGlobalAveragePooling2D")
def quantized_global_average_pooling(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """The sum over the image times a quantized 1 / area, activation."""
    x = single(config, inputs)
    height, width, channels = require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    factor = _factor(config, height * width)
    y = pool(builder, config, x, Window(height, width), True, factor)
    if not config.take_bool("keepdims", False):
        y = builder.add(config, ReshapeOp(y, (channels,), config.layer.name))
    return activate(builder, config, y, config.take_activation("activation"))
