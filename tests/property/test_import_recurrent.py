"""Recurrent layers where drawn models do not reach: both ways, in wrappers, names, formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draws_recurrent import FORMATS
from keras_layers import keras, qkeras, randomize
from test_import_layers import check_against_keras, saved
from test_import_sequences import KERNEL, behind_input, check_both, data, each
from test_keras_formats import imported, stored

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.compiler.text import module_text
from calocc.runtime.emulator import execute

layers: Any = keras.layers
STATE = "quantized_bits(5,0,1,alpha=1)"
CELL = {
    "kernel_quantizer": KERNEL,
    "recurrent_quantizer": KERNEL,
    "bias_quantizer": KERNEL,
    "state_quantizer": STATE,
    "activation": "quantized_tanh(5)",
}
GATED = {**CELL, "recurrent_activation": "quantized_sigmoid(4)"}


def both_ways(layer: Any, name: str = "y", **options: Any) -> Any:
    """The layer forwards and backwards."""
    return layers.Bidirectional(layer, name=name, **options)


def turned(make: Any, name: str, **options: Any) -> Any:
    """A layer that returns sequences and runs backwards."""
    return make(2, return_sequences=True, go_backwards=True, name=name, **options)


WRAPPED: dict[str, Callable[[], Any]] = {
    "one way": lambda: qkeras.QGRU(2, **GATED, name="y"),
    "each step, one way": lambda: each(layers.SimpleRNN(2, name="inner")),
    "derived": lambda: both_ways(layers.LSTM(2, return_sequences=True)),
    "named as the wrapper": lambda: both_ways(layers.GRU(2, name="y"), merge_mode="mul"),
    "named forward": lambda: both_ways(layers.SimpleRNN(2, name="forward_y"), merge_mode="ave"),
    "apart": lambda: both_ways(
        layers.LSTM(2, return_sequences=True, name="l"),
        backward_layer=turned(layers.SimpleRNN, "forward_l", use_bias=False),
        merge_mode="sum",
    ),
    "backward first": lambda: both_ways(turned(layers.GRU, "g", reset_after=False)),
    "quantized": lambda: qkeras.QBidirectional(
        qkeras.QLSTM(2, return_sequences=True, **GATED), name="y"
    ),
    "each step": lambda: each(both_ways(layers.LSTM(2), name="inner")),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_weights_in_all_formats(name: str, tmp_path: Path) -> None:
    shape = (2, 3, 2) if name.startswith("each step") else (3, 2)
    model = keras.Sequential([keras.Input(shape, name="x"), WRAPPED[name]()])
    randomize(model, 5)
    if name == "apart":  # Keras writes weights that are trained in front of others
        model.get_layer("y").forward_layer.trainable = False
    texts = {module_text(imported(m)) for m in stored(model, tmp_path)}
    assert len(texts) == 1
    check_against_keras(model, {"x": data(shape)})


RECURRENT = {"QSimpleRNN": CELL, "QLSTM": GATED, "QGRU": GATED}


def recurrent(name: str, **options: Any) -> Any:
    """A layer of this class."""
    return getattr(qkeras, name)(3, **RECURRENT[name], **options)


@pytest.mark.parametrize("name", RECURRENT)
def test_on_each_step_of_a_sequence(name: str) -> None:
    check_both(behind_input((2, 3, 2), each(recurrent(name))))


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
def test_both_ways(name: str, mode: str) -> None:
    layer = recurrent(name, return_sequences=mode in ("concat", "mul"))
    check_both(behind_input((4, 2), both_ways(layer, merge_mode=mode)))


def test_settings_reach_both_directions() -> None:
    model = behind_input((3, 4), both_ways(layers.GRU(2), merge_mode="sum"))
    formats = {"kernel": "fixed<6,2>", "recurrent_kernel": "fixed<6,2>", "bias": "fixed<6,2>"}
    given = tuple(f"y.{key}={text}" for key, text in (formats | FORMATS).items())
    with saved(model) as path:
        fine, coarse = (
            calocc.compile(path, settings=(*given[:-1], f"y.state=fixed<{n},2>")) for n in (12, 3)
        )
    x = data((3, 4), 40)
    assert not np.array_equal(fine.predict(x), coarse.predict(x))
    expected = np.asarray(model(x))
    assert np.abs(fine.predict(x) - expected).mean() < np.abs(coarse.predict(x) - expected).mean()


def test_an_inner_hard_sigmoid_is_that_of_keras_3(tmp_path: Path) -> None:
    steep = {"recurrent_activation": "hard_sigmoid"}
    forward = layers.LSTM(2, return_sequences=True, **steep)
    layer = both_ways(forward, backward_layer=turned(layers.GRU, "g", **steep))
    model = keras.Sequential([keras.Input((2, 3), name="x"), layer])
    model.save_weights(tmp_path / "w.h5")
    (tmp_path / "m.json").write_text(model.to_json())
    new = model.to_json().replace("batch_input_shape", "batch_shape")
    (tmp_path / "new.json").write_text(new)
    x = data((2, 3)).astype(np.float64)
    old, new = (
        execute(import_model(tmp_path / f"{n}.json", weights=tmp_path / "w.h5"), [x])[0]
        for n in ("m", "new")
    )
    assert ((old != new).mean(axis=(0, 1)) > 0).all()
