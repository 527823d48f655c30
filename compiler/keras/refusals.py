"""Classes of layers that are known and not imported, each with its reason.

An entry is dropped when an importer of the class comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from calocc.compiler.diagnostics import CaloccError, Reasoned


class Refusal(NamedTuple):
    """Why no layer of a class can be imported, and what to use in its place."""

    reason: str
    advice: str


_VOLUMES = Refusal(
    "it works on volumes, and streams carry images, sequences and vectors",
    "fold one axis into the channels, and use the 2-D layer",
)
_LOCAL = Refusal(
    "every pixel has weights of its own, which a stream of pixels cannot share",
    "use a convolution, or a dense layer behind Flatten",
)
_ATTENTION = Refusal(
    "its products of computed tensors, scaled and normalised, have no quantizers between them",
    "build it of dense layers, Dot and Softmax, with a QActivation behind each",
)
_CONVOLVED_STATE = Refusal(
    "its state is an image that is convolved at each step",
    "convolve each step, and use SimpleRNN, LSTM or GRU on vectors",
)
_CELLS = Refusal(
    "its cell may compute anything",
    "use SimpleRNN, LSTM or GRU, or register an importer (docs/adding-a-layer.md)",
)
_GPU = Refusal(
    "its weights have the layout of a GPU library",
    "load it into the plain layer (LSTM, GRU) and save the model again",
)
_CODE = Refusal(
    "its function is stored as Python bytecode, which is not executed",
    "build it of layers, or register an importer (docs/adding-a-layer.md)",
)
_OPERATOR = Refusal(
    "it is an operator on tensors, not a layer",
    "use a layer in its place, such as Add, Multiply, Concatenate or Reshape",
)
_NORMS = Refusal(
    "it divides by a norm of the event's own values",
    "use BatchNormalization, whose statistics are constants",
)
_PREPARES = Refusal(
    "it prepares data in front of a network",
    "apply it where the data come from, and save the model without it",
)
_WRAPS = Refusal(
    "it wraps a layer for training only",
    "save the model of the wrapped layers",
)
_PRUNES = Refusal(
    "it wraps a layer for pruning during training",
    "save what tfmot.sparsity.keras.strip_pruning(model) returns",
)
_TFLITE = Refusal(
    "it quantizes as TFLite does, with zero points",
    "train with layers and quantizers of QKeras",
)
_GRAPHS = Refusal(
    "it gathers over learned distances between all pairs of vertices",
    "use layers on fixed neighbourhoods, such as convolutions",
)
_TRANSPOSED = Refusal(
    "QKeras has it only in versions that cannot be tested against here",
    "use UpSampling2D in front of QDepthwiseConv2D or QSeparableConv2D",
)
_UNPROXIED = Refusal(
    "it is a layer of HGQ for training, which carries bit widths that may still change",
    "convert the model with HGQ.proxy.to_proxy_model and save the result",
)
_WRAPPED_TABLE = Refusal(
    "its table is addressed by the bits of its operand",
    "keep activations as layers: to_proxy_model without unary_lut_max_table_size",
)

REFUSED_LAYERS: Mapping[str, Refusal] = {
    **dict.fromkeys(("Conv3D", "Conv3DTranspose", "Cropping3D", "UpSampling3D"), _VOLUMES),
    **dict.fromkeys(("ZeroPadding3D", "MaxPooling3D", "AveragePooling3D"), _VOLUMES),
    **dict.fromkeys(("GlobalMaxPooling3D", "GlobalAveragePooling3D", "SpatialDropout3D"), _VOLUMES),
    **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), _LOCAL),
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention"), _ATTENTION),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _CONVOLVED_STATE),
    **dict.fromkeys(("RNN", "StackedRNNCells"), _CELLS),
    **dict.fromkeys(("CuDNNLSTM", "CuDNNGRU"), _GPU),
    "Lambda": _CODE,
    **dict.fromkeys(("TFOpLambda", "SlicingOpLambda", "ClassMethod"), _OPERATOR),
    **dict.fromkeys(("UnitNormalization", "GroupNormalization"), _NORMS),
    **dict.fromkeys(("Resizing", "Rescaling", "CenterCrop", "Normalization"), _PREPARES),
    **dict.fromkeys(("RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip"), _PREPARES),
    **dict.fromkeys(("RandomHeight", "RandomRotation", "RandomTranslation"), _PREPARES),
    **dict.fromkeys(("RandomWidth", "RandomZoom", "Discretization"), _PREPARES),
    **dict.fromkeys(("CategoryEncoding", "Hashing", "HashedCrossing"), _PREPARES),
    **dict.fromkeys(("IntegerLookup", "StringLookup", "TextVectorization"), _PREPARES),
    "DenseFeatures": _PREPARES,
    "SpectralNormalization": _WRAPS,
    "PruneLowMagnitude": _PRUNES,
    **dict.fromkeys(("QuantizeLayer", "QuantizeWrapper", "QuantizeWrapperV2"), _TFLITE),
    **dict.fromkeys(("GarNet", "GarNetStack"), _GRAPHS),
    **dict.fromkeys(("QDepthwiseConv2DTranspose", "QSeparableConv2DTranspose"), _TRANSPOSED),
    **dict.fromkeys(("HQuantize", "HDense", "HConv1D", "HConv2D", "HActivation"), _UNPROXIED),
    **dict.fromkeys(("HAdd", "HDenseBatchNorm", "HConv1DBatchNorm"), _UNPROXIED),
    **dict.fromkeys(("HConv2DBatchNorm", "Signature", "PDropout"), _UNPROXIED),
    **dict.fromkeys(("PReshape", "PFlatten", "PConcatenate"), _UNPROXIED),
    **dict.fromkeys(("PMaxPooling1D", "PMaxPooling2D"), _UNPROXIED),
    **dict.fromkeys(("PAveragePooling1D", "PAveragePooling2D"), _UNPROXIED),
    "UnaryLUT": _WRAPPED_TABLE,
}
"""By class name, without the package in front of `>`."""


@dataclass(eq=False)
class RefusedLayer(Reasoned, CaloccError):
    """A layer of a class that is known and not imported."""

    layer: str
    class_name: str
    reason: str
    advice: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r} ({self.class_name})"


def refusal_of(class_name: str) -> Refusal | None:
    """Why a class is not imported; None for one that is imported or not known."""
    return REFUSED_LAYERS.get(class_name.rpartition(">")[2])


def refused_class(layer: str, class_name: str) -> RefusedLayer | None:
    """The error for a layer of such a class, to be raised."""
    refusal = refusal_of(class_name)
    return None if refusal is None else RefusedLayer(layer, class_name, *refusal)
