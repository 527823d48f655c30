"""Models that another compiler is known to turn silently into something else are right here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_layers import keras, qkeras, randomize, save
from test_import_layers import check_against_keras, outputs

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.runtime.emulator import execute

FRONT, BEHIND = "quantized_bits(8,3,alpha=1)", "quantized_bits(12,6,alpha=1)"
BITS = "quantized_bits(6,1,alpha=1)"
IMAGE, VECTOR = (8, 8, 4), (16,)
Layers = Callable[[], Sequence[Any]]


def conv(filters: int = 4, size: int = 3, **arguments: Any) -> Any:
    return qkeras.QConv2D(filters, size, kernel_quantizer=BITS, bias_quantizer=BITS, **arguments)


def dense(units: int, kernel: str = BITS, bias: str | None = BITS) -> Any:
    return qkeras.QDense(units, kernel_quantizer=kernel, bias_quantizer=bias)


def quantized(text: str) -> Any:
    return qkeras.QActivation(text)


def depthwise(multiplier: int, kernel: str = BITS) -> Any:
    arguments = {"depthwise_quantizer": kernel, "bias_quantizer": BITS}
    return qkeras.QDepthwiseConv2D(3, depth_multiplier=multiplier, **arguments)


def model(shape: tuple[int, ...], layers: Layers, last: str = BEHIND) -> Any:
    """Quantizer, layers, quantizer, with drawn weights of few bits."""
    chain = [keras.Input(shape, name="x"), quantized(FRONT), *layers(), quantized(last)]
    result = keras.Sequential(chain)
    randomize(result, 7, fine=False)
    return result


RIGHT: dict[str, tuple[tuple[int, ...], Layers]] = {
    "dilation": (IMAGE, lambda: [conv(dilation_rate=(2, 3))]),
    "groups": (IMAGE, lambda: [keras.layers.Conv2D(4, 3, groups=2)]),
    "depth_multiplier": (IMAGE, lambda: [depthwise(2)]),
    "depthwise_scales": (IMAGE, lambda: [depthwise(1, "quantized_bits(4,0,alpha='auto')")]),
    "relu_max_value": (IMAGE, lambda: [conv(), keras.layers.ReLU(max_value=0.25)]),
    "symmetric_quantized_bits": (VECTOR, lambda: [quantized("quantized_bits(6,0,1,alpha=1)")]),
    "unsigned_quantized_bits": (
        VECTOR,
        lambda: [quantized("quantized_bits(6,0,keep_negative=False,alpha=1)")],
    ),
    "kernel_of_whole_numbers": (VECTOR, lambda: [dense(4, "quantized_bits(6,6,alpha=1)")]),
    "activation_of_whole_numbers": (VECTOR, lambda: [quantized("quantized_bits(8,8,alpha=1)")]),
    "relu_with_a_coarse_step": (VECTOR, lambda: [quantized("quantized_relu(4,6)")]),
    "relu_with_a_slope": (VECTOR, lambda: [quantized("quantized_relu(6,2,negative_slope=0.25)")]),
    "relu_with_a_bound_off_the_grid": (
        VECTOR,
        lambda: [quantized("quantized_relu(6,2,relu_upper_bound=3,is_quantized_clip=False)")],
    ),
    "relu_through_a_sigmoid": (VECTOR, lambda: [quantized("quantized_relu(6,2,use_sigmoid=1)")]),
    "powers_of_two": (VECTOR, lambda: [quantized("quantized_po2(6)")]),
    "kernel_of_rectified_bits": (VECTOR, lambda: [dense(4, "quantized_relu(6,1)")]),
    "overlapping_pool": (IMAGE, lambda: [keras.layers.MaxPooling2D(3, 2)]),
    "padded_pool": (IMAGE, lambda: [keras.layers.MaxPooling2D(3, 2, padding="same")]),
    "vanishing_quantizer": (IMAGE, lambda: [conv(), quantized(BITS), conv()]),
    "fine_relu_behind_a_convolution": (IMAGE, lambda: [conv(), quantized("quantized_relu(6,2)")]),
    "batch_norm_axis": (IMAGE, lambda: [conv(), keras.layers.BatchNormalization(axis=1)]),
    "relu_threshold": (IMAGE, lambda: [conv(), keras.layers.ReLU(threshold=0.3)]),
    "padded_average": (IMAGE, lambda: [keras.layers.AveragePooling2D(3, 2, padding="same")]),
    "bilinear": (IMAGE, lambda: [keras.layers.UpSampling2D(interpolation="bilinear")]),
    "causal_padding": (
        (9, 3),
        lambda: [
            qkeras.QConv1D(4, 3, padding="causal", kernel_quantizer=BITS, bias_quantizer=BITS)
        ],
    ),
}


def check(path: Path, built: Any) -> None:
    """Reals as Keras computes them, and the design as the reals, bit for bit."""
    random = np.random.default_rng(3)
    shape = tuple(built.inputs[0].shape[1:])
    x = (np.rint(random.normal(0, 48, (20, *shape))) / 16).astype(np.float32)
    check_against_keras(built, {"x": x})
    reals = execute(import_model(save(built, path)), [x.astype(np.float64)])
    for level in (0, 2):
        for got, real in zip(outputs(calocc.compile(path, level), {"x": x}), reals, strict=True):
            assert np.array_equal(got, real)


@pytest.mark.parametrize("name", RIGHT)
def test_known_miscompiles_are_right_here(name: str, tmp_path: Path) -> None:
    check(tmp_path / "m.h5", model(*RIGHT[name]))


def test_a_scale_of_batch_normalisation_that_would_wrap(tmp_path: Path) -> None:
    built = model(IMAGE, lambda: [conv(), keras.layers.BatchNormalization(name="bn")])
    layer = built.get_layer("bn")
    gamma, beta, mean, variance = layer.get_weights()
    layer.set_weights([np.full_like(gamma, 36.9), beta, mean, np.ones_like(variance) - 1e-3])
    check(tmp_path / "m.h5", built)


def test_biases_far_outside_16_bits(tmp_path: Path) -> None:
    built = model(
        VECTOR,
        lambda: [dense(3, bias="quantized_bits(12,9,alpha=1)")],
        "quantized_bits(16,10,alpha=1)",
    )
    kernel, _ = built.layers[1].get_weights()
    built.layers[1].set_weights([kernel, np.array([-171.0, 203.0, 0.25], np.float32)])
    check(tmp_path / "m.h5", built)


def test_one_value_for_nine_readers_and_a_broadcast_sum(tmp_path: Path) -> None:
    x = keras.Input(IMAGE, name="x")
    q = quantized(FRONT)(x)
    row = keras.layers.GlobalMaxPooling2D(keepdims=True)(q)
    parts = [quantized("quantized_relu(5,2)")(conv(2, 1)(q)) for _ in range(8)]
    joined = keras.layers.Concatenate()(parts)
    total = keras.layers.Add()([keras.layers.Add()([q, row]), conv(4, 1)(joined)])
    built = keras.Model(x, quantized(BEHIND)(total))
    randomize(built, 7, fine=False)
    check(tmp_path / "m.h5", built)


def test_a_dilated_convolution_in_the_generated_code(tmp_path: Path) -> None:
    built = model(IMAGE, lambda: [conv(dilation_rate=(2, 3), padding="same")])
    design = calocc.compile(save(built, tmp_path / "m.h5"))
    x = np.random.default_rng(4).normal(0, 3, (10, *IMAGE))
    assert np.array_equal(design.csim().predict(x), design.predict(x))
