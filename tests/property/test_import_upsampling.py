"""Layers that enlarge images, from the model to the generated code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draws_transposed import of_qkeras
from keras_layers import keras, qkeras, randomize, save
from test_import_layers import check_against_keras

import calocc
from calocc.compiler.design import Design
from calocc.compiler.keras.importer import import_model
from calocc.compiler.keras.layers.registry import Overrides
from calocc.compiler.settings import parse_settings
from calocc.runtime.emulator import execute
from calocc.runtime.fuzzing.simulations import Simulated, simulate_all

FRONT, BEHIND = "quantized_bits(5,2,alpha=1)", "quantized_bits(6,2,alpha=1)"
KERNEL = "quantized_bits(4,0,alpha=1)"
QUANTIZED = {"kernel_quantizer": KERNEL, "bias_quantizer": KERNEL}
IMAGE, ROW = (3, 4, 2), (5, 3)
SET = ("y.kernel=fixed<4,1>", "y.bias=fixed<5,2>")
"""Formats for layers that have no quantizers of their own."""


def quantized(**options: Any) -> Any:
    return of_qkeras()(3, **QUANTIZED, **options, name="y")


def plain(**options: Any) -> Any:
    return keras.layers.Conv2DTranspose(3, **options, name="y")


def row(**options: Any) -> Any:
    return keras.layers.Conv1DTranspose(2, **options, name="y")


def bilinear(size: tuple[int, int]) -> Any:
    return keras.layers.UpSampling2D(size, interpolation="bilinear", name="y")


Case = tuple[tuple[int, ...], Callable[[], Any], tuple[str, ...]]
CASES: dict[str, Case] = {
    "same": (IMAGE, lambda: quantized(kernel_size=3, strides=2, padding="same"), ()),
    "gaps": (IMAGE, lambda: quantized(kernel_size=(1, 2), strides=(2, 3)), ()),
    "activation": (
        IMAGE, lambda: quantized(kernel_size=(4, 3), strides=(2, 1), activation=FRONT), ()),
    "dilated": (IMAGE, lambda: plain(kernel_size=2, dilation_rate=2), SET),
    "output-padding": (
        IMAGE, lambda: plain(kernel_size=4, strides=3, padding="same", output_padding=(1, 2)), SET),
    "row": (ROW, lambda: row(kernel_size=4, strides=3), SET),
    "bilinear": (IMAGE, lambda: bilinear((2, 4)), ()),
    "thirds": (IMAGE, lambda: bilinear((3, 1)), ()),
    "one-pixel": ((1, 1, 2), lambda: bilinear((5, 6)), ()),
}  # fmt: skip


def built(shape: tuple[int, ...], layer: Any) -> Any:
    """Quantizer, layer, quantizer, with drawn weights of few bits."""
    front = [keras.Input(shape, name="x"), qkeras.QActivation(FRONT)]
    model = keras.Sequential([*front, layer, qkeras.QActivation(BEHIND)])
    randomize(model, 3, fine=False)
    return model


LEVELS, SIMULATED = range(4), (0, 2)


@cache
def model(name: str) -> Any:
    shape, layer, _ = CASES[name]
    return built(shape, layer())


def events(name: str) -> Any:
    shape, _, _ = CASES[name]
    return (np.random.default_rng(7).integers(-40, 40, (10, *shape)) / 8).astype("f4")


@cache
def designs(name: str) -> list[Design]:
    """The design at every level."""
    return [calocc.compile(model(name), level, settings=CASES[name][2]) for level in LEVELS]


@pytest.fixture(scope="module")
def simulated() -> dict[str, list[Any]]:
    """What the C++ of each case returns at some levels, compiled as one program."""
    batch = [
        Simulated(designs(name)[level].module, [events(name).astype(np.float64)])
        for name in CASES
        for level in SIMULATED
    ]
    results = iter(simulate_all(batch))
    return {name: [next(results) for _ in SIMULATED] for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_stage_gives_the_bits_of_the_reals(
    name: str, tmp_path: Path, simulated: dict[str, list[Any]]
) -> None:
    x = events(name)
    check_against_keras(model(name), {"x": x})
    path = save(model(name), tmp_path / "m.h5")
    module = import_model(path, Overrides(parse_settings(CASES[name][2]).formats))
    (real,) = execute(module, [x.astype(np.float64)])
    assert len(np.unique(real)) > 5
    for design in designs(name):
        assert np.array_equal(design.predict(x), real)
    for (result,) in simulated[name]:
        assert np.array_equal(result, real)
