"""Keras models drawn by hypothesis: many layers side by side on a few inputs."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")  # see calocc.runtime.reference
qkeras: Any = importlib.import_module("qkeras")
keras: Any = importlib.import_module("tf_keras")
tf: Any = importlib.import_module("tensorflow")

Floats = NDArray[np.float32]

IMAGE, SEQUENCE, VECTOR = "image", "sequence", "vector"
DYADIC_KERNELS = (
    "quantized_bits(4,0,alpha=1)",
    "quantized_bits(5,1,1,alpha=1.0)",
    "quantized_bits(4,1,alpha='auto_po2')",
    "quantized_bits(6,2,alpha=0.5)",
    "binary(alpha=1)",
    "ternary(alpha=1)",
    "quantized_po2(4)",
)
KERNELS = (*DYADIC_KERNELS, "quantized_bits(3,0,alpha='auto')")
BIASES = ("quantized_bits(8,3,alpha=1)", "quantized_bits(4,1)", "quantized_po2(4)")
QUANTIZED = (
    "quantized_bits(6,2,alpha=1)",
    "quantized_bits(3,0,1,alpha=1)",
    "quantized_bits(5,1,keep_negative=0,alpha=1)",
    "quantized_relu(4,1)",
    "quantized_relu(6,2,negative_slope=0.25)",
    "quantized_relu(5,1,use_sigmoid=1)",
    "quantized_tanh(5)",
    "quantized_sigmoid(4)",
    "binary(alpha=1)",
    "ternary(alpha=1)",
)
MORE = ("relu6", "leaky_relu", "elu", "selu", "exponential", "swish", "gelu", "mish")
"""Activations that QKeras does not look up by name."""
OF_QKERAS = (
    *("hard_sigmoid", "hard_tanh", "smooth_sigmoid", "smooth_tanh"),
    *("binary_sigmoid", "binary_tanh"),
)
"""Functions of QKeras."""
ROW = ("valid", "same", "causal")
PLAIN = ("linear", "relu", "softmax", "sigmoid", "tanh", "hard_sigmoid", "softplus", "softsign")


OWN: dict[str, Any] = {}
"""Classes that the tests define."""


@dataclass(frozen=True)
class Spec:
    """A layer: its class, its arguments, and which tensor it reads."""

    class_name: str
    arguments: Mapping[str, Any]
    rank: int
    """Axes of its operand besides the batch."""
    operands: int = 1
    formats: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those that the user has to give, by tensor."""
    coarse: bool = False
    """Whether to compare it on numbers of few bits only, since it hands back what it rounds."""
    indices: bool = False
    """Whether its operand holds integers from 0 to 7."""

    def layer(self, name: str) -> Any:
        """A new Keras layer; an argument that is a Spec is the layer that it wraps."""
        if self.class_name in OWN:
            return OWN[self.class_name](**self.arguments, name=name)
        package = qkeras if hasattr(qkeras, self.class_name) else keras.layers
        arguments = {
            key: value.layer(f"{name}_{key}") if isinstance(value, Spec) else value
            for key, value in self.arguments.items()
        }
        return getattr(package, self.class_name)(**arguments, name=name)


Draw = Callable[[st.DrawFn], Spec]
DRAWS: dict[str, Draw] = {}
"""How to draw each class; one entry per class that the importer knows."""


GROUPS: dict[str, list[str]] = {}
"""Classes that are tested side by side, in one model."""


def drawn(group: str, *class_names: str) -> Callable[[Callable[[st.DrawFn, str], Spec]], None]:
    """Register a function that draws layers of these classes."""

    def register(function: Callable[[st.DrawFn, str], Spec]) -> None:
        GROUPS.setdefault(group, []).extend(class_names)
        for name in class_names:
            DRAWS[name] = lambda draw, name=name: function(draw, name)

    return register


def pick(draw: st.DrawFn, *choices: Any) -> Any:
    """One of the choices."""
    return draw(st.sampled_from(choices))


def size(draw: st.DrawFn, most: int = 3) -> int:
    """1 to `most`."""
    return draw(st.integers(1, most))


def sizes(draw: st.DrawFn, most: int = 3) -> Any:
    """(height, width), or one number for both."""
    return pick(draw, size(draw, most), (size(draw, most), size(draw, most)))


def _quantizers(draw: st.DrawFn, name: str) -> dict[str, Any]:
    if not name.startswith("Q"):
        return {"activation": pick(draw, *PLAIN)}
    return {
        "kernel_quantizer": pick(draw, *KERNELS),
        "bias_quantizer": pick(draw, None, *BIASES),
        "activation": pick(draw, None, *PLAIN, "hard_tanh", *QUANTIZED),
    }


def _linear(draw: st.DrawFn, name: str, **arguments: Any) -> dict[str, Any]:
    return {**_quantizers(draw, name), "use_bias": draw(st.booleans()), **arguments}


@drawn("products", "Dense", "QDense")
def _dense(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, _linear(draw, name, units=size(draw, 4)), pick(draw, 1, 1, 2, 3))


def _convolution(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "filters": size(draw, 4),
        "kernel_size": sizes(draw),
        "strides": sizes(draw, 2),
        "padding": pick(draw, "valid", "same"),
    }


@drawn("products", "Conv2D", "QConv2D")
def _conv2d(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, _dilated(draw, _linear(draw, name, **_convolution(draw))), 3)


def _dilated(draw: st.DrawFn, arguments: dict[str, Any]) -> dict[str, Any]:
    """Keras dilates layers of stride 1 only, and wants equal rates of depthwise ones."""
    if arguments["strides"] not in (1, (1, 1)) or arguments["padding"] == "valid":
        return arguments  # a valid window may be larger than the image
    return {**arguments, "dilation_rate": size(draw, 3)}


@drawn("products", "Conv1D", "QConv1D")
def _conv1d(draw: st.DrawFn, name: str) -> Spec:
    window = {"kernel_size": size(draw), "strides": size(draw, 2), "padding": pick(draw, *ROW)}
    arguments = _linear(draw, name, **(_convolution(draw) | window))
    return Spec(name, _dilated(draw, arguments), 2)


@drawn("products", "QConv2DBatchnorm")
def _folding(draw: st.DrawFn, name: str) -> Spec:
    # Without center QKeras 0.9 fails; folding_mode has no influence at inference.
    folding = {
        "scale": draw(st.booleans()),
        "epsilon": pick(draw, 1e-3, 1e-2),
        "folding_mode": pick(draw, "ema_stats_folding", "batch_stats_folding"),
        "ema_freeze_delay": pick(draw, None, 7),
    }
    return Spec(name, _linear(draw, name, **_convolution(draw), **folding), 3)


def _depthwise_arguments(draw: st.DrawFn, name: str) -> dict[str, Any]:
    arguments = _linear(draw, name, **_convolution(draw), depth_multiplier=size(draw, 2))
    del arguments["filters"]
    if isinstance(arguments["strides"], tuple):  # the CPU kernel wants equal strides
        arguments["strides"] = arguments["strides"][0]
    return _renamed(_dilated(draw, arguments), "depthwise_quantizer")


@drawn("depthwise", "DepthwiseConv2D", "QDepthwiseConv2D")
def _depthwise(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, _depthwise_arguments(draw, name), 3)


@drawn("depthwise", "QDepthwiseConv2DBatchnorm")
def _depthwise_folding(draw: st.DrawFn, name: str) -> Spec:
    folding = {"scale": draw(st.booleans()), "epsilon": pick(draw, 1e-3, 1e-2)}
    return Spec(name, {**_depthwise_arguments(draw, name), **folding}, 3)


@drawn("depthwise", "DepthwiseConv1D")
def _depthwise1d(draw: st.DrawFn, name: str) -> Spec:
    window = {
        "kernel_size": size(draw),
        "strides": size(draw, 2),
        "padding": pick(draw, "valid", "same"),
    }
    arguments = _linear(draw, name, **window, depth_multiplier=size(draw, 2))
    return Spec(name, arguments, 2)


@drawn("depthwise", "SeparableConv1D", "QSeparableConv1D", "SeparableConv2D", "QSeparableConv2D")
def _separable(draw: st.DrawFn, name: str) -> Spec:
    window = {"kernel_size": size(draw), "strides": size(draw, 2)}
    arguments = _linear(draw, name, **(_convolution(draw) | window))
    arguments["depth_multiplier"] = size(draw, 2)
    if name.startswith("Q"):
        # Two real scales with nothing between them have no fixed-point form of few bits.
        arguments["pointwise_quantizer"] = pick(draw, *DYADIC_KERNELS)
    return Spec(name, _renamed(arguments, "depthwise_quantizer"), 2 if "1D" in name else 3)


def _renamed(arguments: dict[str, Any], quantizer: str) -> dict[str, Any]:
    """With another name for the kernel's quantizer."""
    return {quantizer if k == "kernel_quantizer" else k: v for k, v in arguments.items()}


@drawn("elements", "Activation")
def _activation(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"activation": pick(draw, *PLAIN, *MORE)}, pick(draw, 1, 2, 3))


@drawn("elements", "Softmax")
def _softmax(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2, 3)
    return Spec(name, {"axis": pick(draw, -1, *range(1, rank + 1))}, rank)


@drawn("windows", "MaxPooling2D", "AveragePooling2D")
def _pooling2d(draw: st.DrawFn, name: str) -> Spec:
    arguments = {
        "pool_size": sizes(draw),
        "strides": pick(draw, None, sizes(draw, 2)),
        "padding": pick(draw, "valid", "same"),
    }
    return Spec(name, arguments, 3)


AVERAGES = ("quantized_bits(8,0,alpha=1)", "quantized_bits(6,0,1,alpha=1)", None)


@drawn("windows", "QAveragePooling2D", "QGlobalAveragePooling2D")
def _quantized_average(draw: st.DrawFn, name: str) -> Spec:
    window = {"pool_size": sizes(draw), "padding": pick(draw, "valid", "same")}
    window = {} if "Global" in name else window
    quantizers = {
        "average_quantizer": pick(draw, *AVERAGES),
        "activation": pick(draw, None, *QUANTIZED),
    }
    return Spec(name, {**window, **quantizers}, 3)


@drawn("windows", "MaxPooling1D", "AveragePooling1D")
def _pooling1d(draw: st.DrawFn, name: str) -> Spec:
    arguments = {
        "pool_size": size(draw),
        "strides": pick(draw, None, size(draw, 2)),
        "padding": pick(draw, "valid", "same"),
    }
    return Spec(name, arguments, 2)


@drawn(
    "windows",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
)
def _global(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"keepdims": draw(st.booleans())}, 2 if name.endswith("1D") else 3)


@drawn("movement", "UpSampling2D")
def _upsampling(draw: st.DrawFn, name: str) -> Spec:
    interpolation = pick(draw, "nearest", "bilinear")
    return Spec(name, {"size": sizes(draw), "interpolation": interpolation}, 3)


@drawn("movement", "UpSampling1D")
def _upsampling1d(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"size": size(draw)}, 2)


@drawn("movement", "RepeatVector")
def _repeat(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"n": size(draw)}, 1)


@drawn("movement", "Permute")
def _permute(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2, 3)
    return Spec(name, {"dims": draw(st.permutations(range(1, rank + 1)))}, rank)


def _edges(draw: st.DrawFn, most: int) -> Any:
    edge = st.integers(0, most)
    pairs = st.tuples(edge, edge)
    return draw(st.one_of(edge, pairs, st.tuples(pairs, pairs)))


@drawn("movement", "ZeroPadding2D")
def _padding(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"padding": _edges(draw, 2)}, 3)


@drawn("movement", "ZeroPadding1D")
def _padding1d(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"padding": pick(draw, size(draw), (size(draw), 0), (0, size(draw)))}, 2)


@drawn("movement", "Cropping2D")
def _cropping(draw: st.DrawFn, name: str) -> Spec:
    # No side of an image is shorter than 3.
    return Spec(name, {"cropping": _edges(draw, 1)}, 3)


@drawn("movement", "Cropping1D")
def _cropping1d(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"cropping": pick(draw, 0, 1, (0, 2), (2, 0), (1, 1))}, 2)


@drawn("movement", "Flatten")
def _flatten(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {}, pick(draw, 1, 2, 3))


@drawn("movement", "Reshape")
def _reshape(draw: st.DrawFn, name: str) -> Spec:
    # The sizes of the drawn images are even, see `shapes`.
    return Spec(name, {"target_shape": pick(draw, (-1,), (2, -1), (-1, 2), (1, -1, 2))}, 3)


@drawn("movement", "Dropout")
def _dropout(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"rate": 0.5}, pick(draw, 1, 2, 3))


@drawn("movement", "GaussianNoise", "GaussianDropout", "AlphaDropout")
def _noise(draw: st.DrawFn, name: str) -> Spec:
    amount = {"stddev": 0.5} if name == "GaussianNoise" else {"rate": 0.5}
    return Spec(name, amount, pick(draw, 1, 2, 3))


@drawn("movement", "ActivityRegularization")
def _regularisation(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"l1": 0.1}, pick(draw, 1, 2, 3))


@drawn("movement", "Identity")
def _identity(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {}, pick(draw, 1, 2, 3))


@drawn("movement", "SpatialDropout1D", "SpatialDropout2D")
def _spatial_dropout(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"rate": 0.5}, 2 if name.endswith("1D") else 3)


@drawn("merges", "Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract")
def _merge(draw: st.DrawFn, name: str) -> Spec:
    operands = 2 if name == "Subtract" else pick(draw, 2, 3)
    return Spec(name, {}, pick(draw, 1, 2, 3), operands)


@drawn("merges", "Concatenate")
def _concatenate(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2, 3)
    axis = pick(draw, *range(1, rank + 1), *range(-rank, 0))
    return Spec(name, {"axis": axis}, rank, pick(draw, 2, 3))


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, tuple[int, ...]]:
    """One input of each rank; the image has an even height."""
    extent = st.integers(3, 6)
    channels = size(draw)
    return {
        IMAGE: (pick(draw, 4, 6), draw(extent), channels),
        SEQUENCE: (draw(extent), channels),
        VECTOR: (size(draw, 6),),
    }


@dataclass
class Branches:
    """A model in which each layer reads inputs and is an output."""

    shapes: Mapping[str, tuple[int, ...]]
    specs: Mapping[str, Spec]
    seed: int

    @property
    def settings(self) -> tuple[str, ...]:
        """The formats that the user has to give, as on the command line."""
        layers = self.specs.items()
        return tuple(f"{n}.{k}={text}" for n, s in layers for k, text in s.formats.items())

    @property
    def coarse(self) -> bool:
        """Whether weights and inputs have few bits."""
        return any(spec.coarse for spec in self.specs.values())

    def build(
        self, front: str | None = None, behind: Mapping[str, str | None] | None = None
    ) -> Any:
        """The Keras model, with `front` behind every input and a quantizer behind each layer.

        AutoGraph would take seconds to rewrite each class, of which Keras only asks for shapes.
        """
        return tf.autograph.experimental.do_not_convert(self._build)(front, behind)

    def _build(self, front: str | None, behind: Mapping[str, str | None] | None) -> Any:
        inputs = [keras.Input(shape, name=name) for name, shape in self.shapes.items()]
        tensors = {len(shape): x for shape, x in zip(self.shapes.values(), inputs, strict=True)}
        if front is not None:
            tensors = {
                rank: qkeras.QActivation(front, name=f"front_{rank}")(x)
                for rank, x in tensors.items()
            }
        outputs: list[Any] = []
        for name, spec in self.specs.items():
            y = _apply(spec, name, tensors[spec.rank])
            if behind is not None and (quantizer := behind[name]):
                y = qkeras.QActivation(quantizer, name=f"{name}_behind")(y)
            outputs.append(y)
        model = keras.Model(inputs, outputs)
        randomize(model, self.seed, fine=front is None and not self.coarse)
        return model

    def inputs(self, events: int = 4) -> list[Floats]:
        """Normal data with multiples of 1/4 among them, which lie on bounds and ties."""
        random = np.random.default_rng(self.seed + 1)
        arrays = [random.normal(0, 2, (events, *s)) for s in self.shapes.values()]
        for array in arrays:
            few = slice(None) if self.coarse else slice(None, None, 5)
            array.flat[few] = np.rint(array.flat[few] * 4) / 4
        return [a.astype(np.float32) for a in arrays]


def _apply(spec: Spec, name: str, x: Any) -> Any:
    layer = spec.layer(name)
    if spec.indices:
        x = qkeras.QActivation("quantized_bits(3,3,keep_negative=0,alpha=1)", name=f"{name}_of")(x)
    if spec.operands == 1:
        return layer(x)
    others = [keras.layers.LeakyReLU(0.5, name=f"{name}_{k}")(x) for k in range(1, spec.operands)]
    return layer([x, *others])


def randomize(model: Any, seed: int, fine: bool = True) -> None:
    """Weights of order 1, positive variances; kernels and biases of few bits unless `fine`."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype.is_integer:
            continue
        shape: tuple[int, ...] = tuple(int(n) for n in variable.shape)
        values = random.normal(0, 0.7, shape)
        if "variance" in variable.name:
            values = np.abs(values) + 0.1
        elif not fine and any(word in variable.name for word in ("kernel", "bias")):
            values = np.rint(values * 16) / 16
        variable.assign(values)


@st.composite
def branches(draw: st.DrawFn, class_names: Sequence[str]) -> Branches:
    """One or two layers of each class."""
    specs = {
        f"{name.lower()}_{k}": DRAWS[name](draw)
        for name in class_names
        for k in range(draw(st.integers(1, 2)))
    }
    inputs = draw(shapes())
    ranks = {spec.rank for spec in specs.values()}
    used = {name: shape for name, shape in inputs.items() if len(shape) in ranks}
    return Branches(used, specs, draw(st.integers(0, 2**32 - 2)))


def save(model: Any, path: Path) -> Path:
    """Write the model as Keras 2 does."""
    model.save(path)
    return path
