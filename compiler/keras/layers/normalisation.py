"""Batch normalisation at inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.axes import several_behind_batch, with_parameters
from calocc.compiler.keras.layers.linear import kernel_quantizer
from calocc.compiler.keras.layers.registry import Builder, keras_layer, refused, single, stored
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.quantizers import Quantizer

Floats = NDArray[Any]


@keras_layer("BatchNormalization")
def batch_normalization(
    builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]
) -> SSAValue:
    """Along one or more axes, with the moving statistics."""
    return _normalised(builder, config, single(config, inputs), {})


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
    return _normalised(builder, config, single(config, inputs), quantizers)


def _normalised(
    builder: Builder, config: LayerConfig, x: SSAValue, quantizers: Mapping[str, Quantizer | None]
) -> SSAValue:
    """`quantizers` are those of the stored parameters."""
    _expect_inference(config)
    axes = several_behind_batch(config, "axis", x, -1)
    sizes = [shape_of(x)[axis] for axis in axes]
    # One axis is stored as such, several with the operand's rank and the batch's 1 in front.
    along = tuple(n if k in axes else 1 for k, n in enumerate(shape_of(x)))
    parameters = _parameters(config, tuple(sizes) if len(axes) == 1 else (1, *along))
    for name, quantizer in quantizers.items():
        if quantizer is not None:
            parameters[name] = quantizer(parameters[name].astype(np.float64))
    epsilon, name = epsilon_of(config, parameters["variance"]), config.layer.name
    return with_parameters(
        builder,
        config,
        x,
        [p.reshape(along) for p in parameters.values()],
        lambda *args: BatchNormOp(*args, epsilon=epsilon, layer=name),
    )


def _parameters(config: LayerConfig, shape: tuple[int, ...]) -> dict[str, Floats]:
    """gamma, beta, mean and variance."""
    ones, zeros = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    return {
        "gamma": stored(config, "gamma", *shape) if config.take_bool("scale", True) else ones,
        "beta": stored(config, "beta", *shape) if config.take_bool("center", True) else zeros,
        "mean": stored(config, "moving_mean", *shape),
        "variance": stored(config, "moving_variance", *shape),
    }


def _expect_inference(config: LayerConfig) -> None:
    """What matters in training only, or changes the layer at inference and is not known here."""
    config.expect_default("renorm", False)
    config.expect_default("virtual_batch_size", None)
    config.ignore("fused")


def expect_channels(config: LayerConfig, rank: int) -> None:
    """A folded normalisation, which acts on the last of `rank` axes."""
    _expect_inference(config)
    axis = config.take("axis", -1)
    if axis not in (-1, rank, [-1], [rank]):
        reason = f"axis={axis} is not the channel axis"
        raise refused(config, reason, "normalise over the last axis")


def epsilon_of(config: LayerConfig, variance: Floats) -> float:
    """What is added to the variance; raise UnsupportedLayer unless the sums are positive."""
    epsilon = config.take_float("epsilon", 1e-3)
    if (least := float(variance.min())) + epsilon <= 0:
        reason = f"its moving variance {least:g} plus epsilon {epsilon:g} is not positive"
        raise refused(config, reason, "the file is damaged or the training diverged")
    return epsilon
