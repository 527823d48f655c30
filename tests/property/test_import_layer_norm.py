"""Layer normalisation from a Keras model to its integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_layers import keras, qkeras, randomize
from test_import_layers import check_against_keras, saved
from test_keras_formats import imported, stored

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.compiler.text import module_text
from calocc.passes.lowering.errors import TooWide
from calocc.runtime.emulator import execute
from calocc.runtime.reference import predict

layers: Any = keras.layers
SHAPE = (3, 4, 2)
LSB = 2.0**-3


def model_over(axis: Any) -> Any:
    """A normalisation of quantized numbers, to numbers of six bits."""
    front = qkeras.QActivation("quantized_bits(5,2,alpha=1)", name="front")
    behind = qkeras.QActivation("quantized_bits(6,2,alpha=1)", name="behind")
    norm = layers.LayerNormalization(axis, name="y")
    model = keras.Sequential([keras.Input(SHAPE, name="x"), front, norm, behind])
    randomize(model, 3)
    return model


def data(events: int = 40) -> Any:
    return (np.random.default_rng(7).integers(-40, 40, (events, *SHAPE)) / 8).astype("f4")


@pytest.mark.parametrize("axis", [-1, 1, 2, [1, 2], [2, 3], [-1, 1], [1, 2, 3]])
def test_any_axes(axis: Any) -> None:
    """The recipe's error moves a result over a rounding boundary at most, and seldom."""
    model, x = model_over(axis), data()
    check_against_keras(model, {"x": x})
    with saved(model) as path:
        (real,) = execute(import_model(path), [x.astype(np.float64)])
        results: list[Any] = [calocc.compile(path, level).predict(x) for level in (0, 2)]
    assert np.array_equal(*results)
    assert np.abs(results[0] - real).max() <= LSB
    assert (results[0] == real).mean() >= 0.99


def test_parameters_in_all_formats(tmp_path: Path) -> None:
    norms = [{}, {"scale": False}, {"center": False}, {"axis": [1, 2]}]
    stack = [layers.LayerNormalization(**options) for options in norms]
    model = keras.Sequential([keras.Input((3, 2), name="x"), *stack])
    randomize(model, 5)
    assert len({module_text(imported(m)) for m in stored(model, tmp_path)}) == 1


def test_bits_that_no_spread_can_have_are_refused() -> None:
    model = keras.Sequential([keras.Input((64,), name="x"), layers.LayerNormalization(name="y")])
    with saved(model) as path, pytest.raises(TooWide) as caught:
        calocc.compile(path, inputs={"x": "fixed<26,8>"})
    assert caught.value.where == "layer 'y'"


def test_a_model_of_reals_is_calibrated() -> None:
    """A quantizer before the normalisation, and one before the product behind it."""
    body = [layers.Dense(8), layers.LayerNormalization(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,), name="x"), *body])
    randomize(model, 3)
    x = np.random.default_rng(2).normal(size=(200, 4)).astype(np.float32)
    with saved(model) as path:
        design = calocc.compile(path, calibrate={"x": x}, accuracy=0.01)
    (expected,) = predict(model, {"x": x})
    error: Any = design.predict(x) - expected
    assert np.sqrt((error**2).mean() / (expected**2).mean()) <= 0.0101
