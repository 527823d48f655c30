"""Layers of packages that are not installed, in Keras as their formulas say, and their draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import hypothesis.strategies as st
import numpy as np
from keras_layers import BIASES, OWN, QUANTIZED, Spec, drawn, keras, pick, qkeras, size, tf

Layer: Any = keras.layers.Layer
Dense: Any = keras.layers.Dense
Adaptive: Any = qkeras.QAdaptiveActivation
SHIFTS = ("quantized_bits(6,1,alpha=1)", "quantized_bits(4,1)", "binary()", "quantized_po2(4)")


class QScaleShift(Layer):
    """One weight and one bias for the whole tensor: `qkeras/qmac.py` of QKeras' main branch."""

    def __init__(self, quantizers: Any = (None, None), use_bias: Any = True, **kwargs: Any) -> None:
        self.activation = qkeras.get_quantizer(kwargs.pop("activation", None))
        Layer.__init__(self, **kwargs)
        self.parts = [qkeras.get_quantizer(q) for q in quantizers]
        self.use_bias = use_bias
        for quantizer in self.parts:
            if quantizer is not None and hasattr(quantizer, "_set_trainable_parameter"):
                quantizer._set_trainable_parameter()

    def build(self, input_shape: Any) -> None:
        """Shapes (1, 1)."""
        self.weight = self.add_weight("weight", shape=(1, 1))
        self.bias = self.add_weight("bias", shape=(1, 1)) if self.use_bias else None

    def call(self, x: Any) -> Any:
        """activation(x * weight + bias)"""
        pairs = zip(self.parts, (self.weight, self.bias), strict=True)
        weight, bias = (v if q is None or v is None else q(v) for q, v in pairs)
        y = x * weight if bias is None else bias + x * weight
        return y if self.activation is None else self.activation(y)

    def get_config(self) -> Any:
        """As QKeras writes it."""
        serialize = keras.utils.legacy.serialize_keras_object
        keys = ("weight_quantizer", "bias_quantizer", "activation")
        objects = zip(keys, (*self.parts, self.activation), strict=True)
        stored = {key: None if q is None else serialize(q) for key, q in objects}
        return {**Layer.get_config(self), **stored, "use_bias": self.use_bias}


class BinaryDense(Dense):
    """A dense layer with a binary kernel, with which examples of hls4ml were trained.

    Its kernel is H * binary_tanh(W / H) of BinaryNet's `binary_ops.py`.
    """

    def __init__(self, units: int, H: Any = 1.0, **kwargs: Any) -> None:
        Dense.__init__(self, units, **kwargs)
        self.H = H

    def levels(self, w: Any) -> Any:
        """2 round(hard_sigmoid(w)) - 1"""
        return 2 * tf.round(tf.clip_by_value(0.5 * w + 0.5, 0, 1)) - 1

    def call(self, inputs: Any) -> Any:
        """Levels of the kernel times H."""
        total = inputs.shape[-1] + self.units
        scale = np.float32(np.sqrt(1.5 / total)) if self.H == "Glorot" else np.float32(self.H)
        y = tf.tensordot(inputs, scale * self.levels(self.kernel / scale), 1)
        return self.activation(y + self.bias if self.use_bias else y)

    def get_config(self) -> Any:
        """With parameters of the training."""
        clip = {"class_name": "Clip", "config": {"min_value": -1.0, "max_value": 1.0}}
        training = {"kernel_lr_multiplier": "Glorot", "bias_lr_multiplier": None}
        return {**Dense.get_config(self), "H": self.H, **training, "kernel_constraint": clip}


class TernaryDense(BinaryDense):
    """The same with a ternary kernel, H * ternary_tanh(W / H) of `ternary_ops.py`."""

    def levels(self, w: Any) -> Any:
        """1 above 1/2, -1 up to -1/2"""
        return tf.where(w > 0.5, 1.0, tf.where(w <= -0.5, -1.0, 0.0))


class QAdaptiveActivation(Adaptive):
    """QKeras's, which sets its integer bits only at the end of a call."""

    def call(self, inputs: Any, training: Any = False) -> Any:
        """The second call uses the stored extrema."""
        Adaptive.call(self, inputs)
        return Adaptive.call(self, inputs)


class FixedPointQuantizer(Layer):
    """HGQ's cast, with formats drawn for each channel, or for all of them.

    The formulas are those of `gfixed_quantizer` in `HGQ/proxy/fixed_point_quantizer.py`.
    """

    def __init__(
        self, seed: int, RND: str, SAT: str, each: bool, signed: Any, **kwargs: Any
    ) -> None:
        Layer.__init__(self, **kwargs)
        self.seed, self.RND, self.SAT, self.each, self.signed = seed, RND, SAT, each, signed

    def build(self, input_shape: Any) -> None:
        """k, b, i of the shape (1, ..., 1, C) or (1,)"""
        random = np.random.default_rng(self.seed)
        rank = len(input_shape)
        shape = (*(1 for _ in range(rank - 1)), input_shape[-1]) if self.each else (1,)
        k = random.integers(0, 2, shape) if self.signed is None else np.full(shape, self.signed)
        b = random.integers(0 if self.each else 1, 8, shape)
        i = random.integers(-1, 5, shape)
        arrays = {"keep_negative": np.where(b > 0, k, 0), "bits": b, "integers": i}
        self.parts = [self._variable(name, array) for name, array in arrays.items()]

    def _variable(self, name: str, values: Any) -> Any:
        def initial(shape: Any, dtype: Any = None) -> Any:
            return tf.constant(values, dtype=tf.int8)

        options = {"dtype": "int8", "trainable": False, "initializer": initial}
        return self.add_weight(name, shape=values.shape, **options)

    def call(self, x: Any) -> Any:
        """round(x 2^f), brought into range, 2^-f; 0 without bits"""
        k, b, i = (tf.cast(part, "float32") for part in self.parts)
        scale = 2.0 ** (b - i)
        high = 2.0 ** (b - k) - 1
        low = -(high + 1) * k
        v = ROUND[self.RND](x * scale)
        return OVERFLOW[self.SAT](v, k, low, high) / scale * tf.cast(b != 0, "float32")

    def get_config(self) -> Any:
        """As HGQ writes it."""
        own: dict[str, Any] = {
            "RND": self.RND,
            "SAT": self.SAT,
            "overrides": {"layers": {}},
            "fusible": False,
        }
        return {**Layer.get_config(self), **own, "shape": [int(n) for n in self.parts[0].shape]}


ROUND: Mapping[str, Callable[[Any], Any]] = {
    "TRN": tf.floor,
    "RND": lambda v: tf.floor(v + 0.5),
    "RND_CONV": tf.round,
    "TRN_ZERO": lambda v: tf.floor(tf.abs(v)) * tf.sign(v),
    "RND_ZERO": lambda v: -tf.floor(-tf.abs(v) + 0.5) * tf.sign(v),
    "RND_MIN_INF": lambda v: -tf.floor(-v + 0.5),
    "RND_INF": lambda v: tf.floor(tf.abs(v) + 0.5) * tf.sign(v),
}
OVERFLOW: Mapping[str, Callable[[Any, Any, Any, Any], Any]] = {
    "WRAP": lambda v, k, low, high: tf.math.floormod(v - low, high - low + 1) + low,
    "SAT": lambda v, k, low, high: tf.clip_by_value(v, low, high),
    "SAT_SYM": lambda v, k, low, high: tf.clip_by_value(v, -high * k, high),
    "SAT_ZERO": lambda v, k, low, high: tf.where((low <= v) & (v <= high), v, 0),
}

OWN.update(
    QScaleShift=QScaleShift,
    BinaryDense=BinaryDense,
    TernaryDense=TernaryDense,
    QAdaptiveActivation=QAdaptiveActivation,
    FixedPointQuantizer=FixedPointQuantizer,
)
OWN["HGQ>FixedPointQuantizer"] = keras.utils.register_keras_serializable("HGQ")(
    type("FixedPointQuantizer", (FixedPointQuantizer,), {})
)


@drawn("packages", "QScaleShift")
def _scale_shift(draw: st.DrawFn, name: str) -> Spec:
    arguments = {
        "quantizers": (pick(draw, None, *SHIFTS), pick(draw, None, *BIASES)),
        "use_bias": draw(st.booleans()),
        "activation": pick(draw, None, *QUANTIZED),
    }
    return Spec(name, arguments, pick(draw, 1, 2, 3))


@drawn("packages", "BinaryDense", "TernaryDense")
def _narrow(draw: st.DrawFn, name: str) -> Spec:
    scale = pick(draw, 1.0, 1.0, 0.5, "Glorot")
    arguments = {"units": size(draw, 4), "H": scale, "use_bias": draw(st.booleans())}
    return Spec(name, arguments, pick(draw, 1, 2))


@drawn("packages", "QAdaptiveActivation")
def _adaptive(draw: st.DrawFn, name: str) -> Spec:
    kind = pick(draw, "quantized_bits", "quantized_relu")
    arguments = {
        "activation": kind,
        "total_bits": pick(draw, 3, 6, 8),
        "symmetric": draw(st.booleans()),
        "per_channel": draw(st.booleans()),
        "po2_rounding": draw(st.booleans()),
        "relu_neg_slope": pick(draw, 0.0, 0.25) if kind == "quantized_relu" else 0.0,
    }
    return Spec(name, arguments, pick(draw, 1, 2, 3))


@drawn("packages", "FixedPointQuantizer", "HGQ>FixedPointQuantizer")
def _fixed_point(draw: st.DrawFn, name: str) -> Spec:
    overflow = pick(draw, *OVERFLOW)
    arguments = {
        "seed": draw(st.integers(0, 999)),
        "RND": pick(draw, "TRN", *ROUND),
        "SAT": overflow,
        "each": overflow != "SAT_ZERO" and draw(st.booleans()),
        "signed": pick(draw, None, 0, 1),
    }
    return Spec(name, arguments, pick(draw, 1, 2, 3))
