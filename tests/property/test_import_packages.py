"""Models of packages that are not installed here, against their formulas in numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdf5_models import entry, sequential, write_model
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_layers import qkeras
from numpy.typing import NDArray

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.dialects.fixed.arithmetic import quantize
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.quantizers import FixedPoint, parse
from calocc.runtime.emulator import execute

Reals = NDArray[np.float64]
MODES = [(rounding, overflow) for rounding in Rounding for overflow in Overflow]


# ---- the cast ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
@settings(max_examples=20, deadline=None)
@given(bits=st.integers(1, 8), integer=st.integers(-9, 9), signed=st.booleans())
def test_a_cast_of_reals_is_one_of_mantissas(
    rounding: Rounding, overflow: Overflow, bits: int, integer: int, signed: bool
) -> None:
    cast = FixedPoint(bits, integer, signed, rounding, overflow)
    assert parse(str(cast)) == cast
    mantissas = np.arange(-16 << bits, 16 << bits)  # multiples of an eighth of the LSB
    frac = bits - integer
    expected = quantize(mantissas, frac + 3, cast.format, rounding, overflow)
    assert np.array_equal(cast(np.ldexp(mantissas, -frac - 3)), np.ldexp(expected, -frac))
    assert cast.rule == (rounding, overflow)
    falls = bool((np.diff(expected) < 0).any())
    assert falls == (not cast.monotone)


# ---- proxies of HGQ ----------------------------------------------------------------------------


def cast(x: Reals, formats: Any, rounding: str, overflow: str) -> Reals:
    """`gfixed_quantizer` of HGQ 0.2 (`HGQ/proxy/fixed_point_quantizer.py`) in float64."""
    k, b, i = (np.asarray(a, np.float64) for a in formats)
    scale = 2.0 ** (b - i)
    v = np.floor(x * scale + (0.5 if rounding == "RND" else 0.0))
    high = 2.0 ** (b - k) - 1
    low = -(high + 1) * k
    v = np.mod(v - low, high - low + 1) + low if overflow == "WRAP" else np.clip(v, low, high)
    return np.where(b != 0, v / scale, 0.0)


Formats = tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int8]]


def formats(random: np.random.Generator, *shape: int, signed: int | None = None) -> Formats:
    """Signs, bits and integer bits, as HGQ keeps them: 0 all three where there are no bits."""
    k = random.integers(0, 2, shape) if signed is None else np.full(shape, signed)
    fraction, whole = random.integers(0, 5, shape), random.integers(0, 4, shape)
    some = fraction + whole > 0
    arrays = (np.where(some, a, 0) for a in (k, k + whole + fraction, k + whole))
    sign, bits, integers = (a.astype(np.int8) for a in arrays)
    return sign, bits, integers


Step = Callable[[Reals], Reals]


class Proxy:
    """A proxy model as `to_proxy_model` makes it, layer by layer, and what it computes."""

    def __init__(self, shape: tuple[int, ...], seed: int, overflow: str) -> None:
        self.random, self.overflow = np.random.default_rng(seed), overflow
        self.layers = [entry("x", "InputLayer", batch_input_shape=[None, *shape])]
        self.weights: dict[str, dict[str, Any]] = {}
        self.steps: list[Step] = []

    def quantizer(self, name: str, shape: tuple[int, ...], rounding: str, **options: Any) -> None:
        kbi = formats(self.random, *shape, **options)
        settings = {"RND": rounding, "SAT": self.overflow, "shape": list(shape)}
        own = {"overrides": {"layers": {name: {"parallelization_factor": 1}}}, "fusible": False}
        config = {"trainable": False, "dtype": "float32", **settings, **own}
        self.layers.append(entry(name, "HGQ>FixedPointQuantizer", **config))
        names = ("keep_negative", "bits", "integers")
        self.weights[name] = dict(zip(names, kbi, strict=True))
        self.steps.append(lambda x: cast(x, kbi, rounding, self.overflow))

    def product(self, name: str, class_name: str, *kernel_shape: int, **config: Any) -> None:
        """A layer whose weights are quantized already."""
        kernel, bias = (
            self.random.integers(-12, 13, s) / 8 for s in (kernel_shape, kernel_shape[-1:])
        )
        self.layers.append(entry(name, class_name, activation="linear", use_bias=True, **config))
        floats = {"kernel": kernel, "bias": bias}
        self.weights[name] = {key: a.astype(np.float32) for key, a in floats.items()}
        windows = np.lib.stride_tricks.sliding_window_view

        def step(x: Reals) -> Reals:
            if class_name == "Dense":
                return x @ kernel + bias
            return np.einsum("bhwcij,ijcf->bhwf", windows(x, (3, 3), (1, 2)), kernel) + bias

        self.steps.append(step)

    def layer(self, name: str, class_name: str, step: Step, **config: Any) -> None:
        self.layers.append(entry(name, class_name, **config))
        self.steps.append(step)

    def relu(self, name: str) -> None:
        bounds = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
        self.layer(name, "ReLU", lambda x: np.maximum(x, 0.0), **bounds)

    def save(self, path: Path) -> Path:
        return write_model(path, sequential(*self.layers), self.weights)

    def __call__(self, x: Reals) -> Reals:
        for step in self.steps:
            x = step(x)
        return x


def perceptron(seed: int, overflow: str) -> Proxy:
    """Formats of its own for each feature; a bounded activation at the end."""
    model = Proxy((6,), seed, overflow)
    model.quantizer("q", (1, 6), "RND", signed=1)
    model.product("d1", "Dense", 6, 5, units=5)
    model.quantizer("d1_quantizer", (1,), "TRN", signed=1)
    model.relu("relu")
    model.quantizer("d1_relu_quantizer", (1, 5), "RND", signed=0)
    model.product("d2", "Dense", 5, 4, units=4)
    model.quantizer("d2_quantizer", (1, 4), "RND")
    return model


def convolutions(seed: int, overflow: str) -> Proxy:
    """Formats of its own for each channel."""
    model = Proxy((6, 6, 2), seed, overflow)
    model.quantizer("q", (1, 1, 1, 2), "RND", signed=1)
    model.product("c", "Conv2D", 3, 3, 2, 4, filters=4, kernel_size=[3, 3])
    model.quantizer("c_quantizer", (1,), "TRN", signed=1)
    model.relu("relu")
    model.quantizer("c_relu_quantizer", (1, 1, 1, 4), "RND", signed=0)
    pool = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}
    model.layer("p", "MaxPooling2D", lambda x: x.reshape(-1, 2, 2, 2, 2, 4).max((2, 4)), **pool)
    model.layer("f", "Flatten", lambda x: x.reshape(len(x), -1))
    model.product("d", "Dense", 16, 3, units=3)
    model.quantizer("d_quantizer", (1, 3), "TRN")
    return model


@pytest.mark.parametrize("overflow", ["WRAP", "SAT"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("build", [perceptron, convolutions])
def test_proxy_models(build: Any, seed: int, overflow: str, tmp_path: Path) -> None:
    model = build(seed, overflow)
    path = model.save(tmp_path / "m.h5")
    shape = (6,) if build is perceptron else (6, 6, 2)
    x = np.random.default_rng(seed).normal(0, 3, (20, *shape))
    x.flat[::3] = np.rint(x.flat[::3] * 16) / 16
    expected = model(x)
    assert len(np.unique(expected)) >= 5
    assert np.array_equal(execute(import_model(path), [x])[0], expected)
    for level in (0, 2):
        assert np.array_equal(calocc.compile(path, level).predict(x), expected)
    if seed == 1 and build is convolutions:
        assert np.array_equal(calocc.compile(path).csim().predict(x), expected)


# ---- other packages ----------------------------------------------------------------------------


def test_a_scale_and_a_shift(tmp_path: Path) -> None:
    """activation(quantizer(weight) * x + quantizer(bias)) of QKeras' `qmac.py`, in numpy."""
    bits = "quantized_bits(6,2,alpha=1)"
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 4, 3]),
        entry("front", "QActivation", activation=bits),
        entry("y", "QScaleShift", weight_quantizer="quantized_bits(4,1,alpha=1)",
            bias_quantizer="quantized_bits(5,2,alpha=1)", use_bias=True, activation=bits),
    ]  # fmt: skip
    weights = {"weight": np.full((1, 1), 0.8, "f4"), "bias": np.full((1, 1), -1.3, "f4")}
    path = write_model(tmp_path / "m.h5", sequential(*layers), {"y": weights})
    x = np.random.default_rng(3).normal(0, 2, (9, 4, 3))
    grid = np.clip(np.rint(x * 8), -32, 31) / 8
    expected = np.clip(np.rint((0.75 * grid - 1.25) * 8), -32, 31) / 8
    for level in (0, 2):
        assert np.array_equal(calocc.compile(path, level).predict(x), expected)


@pytest.mark.parametrize(("class_name", "scale"), [("BinaryDense", 1.0), ("TernaryDense", 0.5)])
def test_kernels_of_few_levels(class_name: str, scale: float, tmp_path: Path) -> None:
    """H binary_tanh(W / H) and H ternary_tanh(W / H), with the constraint that hls4ml stores."""
    clip = {"class_name": "Clip", "config": {"min_value": -1.0, "max_value": 1.0}}
    rates = {"kernel_lr_multiplier": 1.9, "bias_lr_multiplier": None}
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 5]),
        entry("front", "QActivation", activation="quantized_bits(6,2,alpha=1)"),
        entry("y", class_name, units=4, H=scale, use_bias=False, kernel_constraint=clip, **rates),
    ]
    w = np.array([[0.0, 0.25, -0.25, 0.26], [-0.6, 0.9, -0.2, 0.6]] * 2 + [[1, -1, 0.5, -0.5]])
    path = write_model(
        tmp_path / "m.h5", sequential(*layers), {"y": {"kernel": w.astype(np.float32)}}
    )
    x = np.random.default_rng(3).normal(0, 2, (9, 5))
    grid = np.clip(np.rint(x * 8), -32, 31) / 8
    ternary = np.select([w > scale / 2, w <= -scale / 2], [1.0, -1.0], 0.0)
    levels = np.where(w > 0, 1.0, -1.0) if class_name == "BinaryDense" else ternary
    for level in (0, 2):
        assert np.array_equal(calocc.compile(path, level).predict(x), grid @ (scale * levels))


# Powers of two, their neighbours in float32, and the greatest numbers of 8 bits.
POWERS = (2.0 ** np.arange(-4, 12)).astype(np.float32)
EDGES = np.concatenate([np.nextafter(POWERS, np.float32(end)) for end in (0, 1e9)])
EXTREMA = np.concatenate([POWERS, EDGES, POWERS * np.float32(1 - 2**-7), np.zeros(1, np.float32)])


@pytest.mark.parametrize("kind", ["quantized_bits", "quantized_relu"])
@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_adaptive_formats_at_powers_of_two(
    kind: str, nearest: bool, symmetric: bool, tmp_path: Path
) -> None:
    random = np.random.default_rng(2)
    most, least = EXTREMA, -random.permutation(EXTREMA)
    flags = {"per_channel": True, "po2_rounding": nearest, "symmetric": symmetric}
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, len(most)]),
        entry("y", "QAdaptiveActivation", activation=kind, total_bits=8, **flags),
    ]
    path = write_model(
        tmp_path / "m.h5", sequential(*layers), {"y": {"ema_min": least, "ema_max": most}}
    )
    (found,) = execute(import_model(path), [np.full((1, len(most)), 2.0**20)])
    signed = kind == "quantized_bits"
    integer = np.asarray(
        qkeras.quantizers._get_integer_bits(least, most, 8, symmetric, signed, nearest)
    )
    assert np.array_equal(found[0], 2.0**integer * (1 - 2.0 ** (signed - 8)))


def casts_of_one_input() -> list[dict[str, Any]]:
    """Every rounding and every overflow once."""
    modes = [(r.name, "SAT") for r in Rounding] + [("TRN", o.name) for o in Overflow]
    own: dict[str, Any] = {"overrides": {"layers": {}}, "fusible": False, "shape": [1]}
    casts = [entry(f"c{k}", "HGQ>FixedPointQuantizer", "front", RND=r, SAT=s, **own)
        for k, (r, s) in enumerate(modes)]  # fmt: skip
    return casts


def test_casts_in_the_generated_code(tmp_path: Path) -> None:
    casts = casts_of_one_input()
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 8]),
        entry("front", "QActivation", "x", activation="quantized_bits(8,3,alpha=1)"),
        *casts,
        entry("y", "Concatenate", *(c["name"] for c in casts), axis=-1),
    ]
    names = ("keep_negative", "bits", "integers")
    kbi = {n: np.array([v], np.int8) for n, v in zip(names, (1, 5, 3), strict=True)}
    weights = {c["name"]: kbi for c in casts}
    config = {"class_name": "Functional", "config": {"name": "net", "layers": layers,
        "input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}}  # fmt: skip
    design = calocc.compile(write_model(tmp_path / "m.h5", config, weights))
    x = (np.arange(256) - 128).reshape(32, 8) / 16  # every value of the operand
    expected = np.concatenate(
        [FixedPoint(5, 3, True, Rounding[c["config"]["RND"]], Overflow[c["config"]["SAT"]])(x)
            for c in casts], axis=1)  # fmt: skip
    assert np.array_equal(design.predict(x), expected)
    assert np.array_equal(design.csim().predict(x), expected)
