"""Layers of QKeras that quantize what their Keras namesakes keep in float."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.activation import activate
from calocc.compiler.keras.layers.linear import kernel_quantizer, require_rank, window_of
from calocc.compiler.keras.layers.registry import (
    Builder,
    UnsupportedLayer,
    keras_layer,
    single,
)
from calocc.compiler.keras.layers.structure import normalise, pool
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.windows import Window


@keras_layer("QBatchNormalization")
def quantized_batch_normalization(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """Batch normalisation with quantized gamma, beta, mean and variance."""
    quantizers = {
        "gamma": kernel_quantizer(config, "gamma_quantizer"),
        "beta": config.take_quantizer("beta_quantizer"),
        "mean": config.take_quantizer("mean_quantizer"),
        "variance": kernel_quantizer(config, "variance_quantizer"),
    }
    # Without scale or center QKeras has nothing to quantize.
    for name, key in (("gamma", "scale"), ("beta", "center")):
        if not config.take_bool(key, True):
            del quantizers[name]
    config.expect_default("inverse_quantizer", None)
    config.expect_default("activation", None)
    return normalise(builder, config, single(config, inputs), quantizers)


def _factor(config: LayerConfig, area: int) -> float:
    """The quantized 1 / area."""
    quantizer = config.take_quantizer("average_quantizer")
    if quantizer is None:
        return 1 / area
    if quantizer.data_dependent:
        layer, advice = config.layer, "give the average quantizer a number as alpha"
        reason = f"the scale of its average quantizer {quantizer} depends on what it quantizes"
        raise UnsupportedLayer(layer.name, layer.class_name, reason, advice)
    return float(quantizer(np.array([np.float32(1 / area)], np.float64))[0])


@keras_layer("QAveragePooling2D")
def quantized_average_pooling(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """The sum over windows times a quantized 1 / area, activation."""
    x = single(config, inputs)
    shape = require_rank(config, x, 3)
    config.expect_default("data_format", "channels_last")
    size = config.take_pair("pool_size", (2, 2))
    strides = size if config.take("strides") is None else config.take_pair("strides")
    window = window_of(config, shape, size, strides)
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
