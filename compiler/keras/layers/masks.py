"""Which values Keras gives a mask, and which layers look at it.

A mask says which steps of a sequence count. Layers that support masks pass them on, others drop
them. What is computed from masked values is the same as without a mask, except in layers that take
masks into account; those are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import Builder, refused

PASS_ON = frozenset(
    [
        *("Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dense"),
        *("Dropout", "ELU", "GaussianDropout", "GaussianNoise", "LeakyReLU", "Masking", "ReLU"),
        *("LayerNormalization", "PReLU", "ThresholdedReLU"),
        *(
            "SpatialDropout1D",
            "SpatialDropout2D",
            "TimeDistributed",
            "QBatchNormalization",
            "QDense",
        ),
        *("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"),
        *("BinaryDense", "TernaryDense"),
    ]
)
"""Layers whose results have the mask of their operands, which they do not look at.

A TimeDistributed asks by itself for its inner layer.
"""
DROP = frozenset(
    [
        *("AveragePooling1D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling1D"),
        *("GlobalMaxPooling2D", "MaxPooling1D", "MaxPooling2D"),
        *("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "EinsumDense"),
        *("Conv1DTranspose", "Conv2DTranspose", "QConv2DTranspose"),
        *("SeparableConv1D", "SeparableConv2D"),
        *("Cropping1D", "Cropping2D", "Dot", "Flatten", "Permute", "RepeatVector", "Reshape"),
        *("UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D"),
        *("QActivation", "QAveragePooling2D", "QConv1D", "QConv2D", "QConv2DBatchnorm"),
        *("QDepthwiseConv2D", "QDepthwiseConv2DBatchnorm", "QGlobalAveragePooling2D"),
        *("QSeparableConv1D", "QSeparableConv2D"),
        *("QAdaptiveActivation", "QScaleShift", "FixedPointQuantizer", "HGQ>FixedPointQuantizer"),
    ]
)
"""Layers whose results have no mask, and which do not look at that of their operands."""


def is_masked(builder: Builder, inputs: Sequence[SSAValue]) -> bool:
    """Whether an operand has a mask."""
    return any(value in builder.masked for value in inputs)


def refuse_masked(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> None:
    """Raise UnsupportedLayer for operands with a mask, which would change the result."""
    if is_masked(builder, inputs):
        reason = "its operand has a mask, which its result would depend on"
        advice = "build the model without Masking and mask_zero in front of this layer"
        raise refused(config, reason, advice)


def passes_mask(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> bool:
    """Whether the result of a layer has the mask of its operands.

    Raises UnsupportedLayer for an operand with a mask, which the layer may look at.
    """
    if not ignores_mask(config.layer.class_name):
        refuse_masked(builder, config, inputs)
    return config.layer.class_name in PASS_ON and is_masked(builder, inputs)


def ignores_mask(class_name: str) -> bool:
    """Whether the results of a layer are known not to depend on a mask."""
    return class_name in PASS_ON | DROP
