"""Recurrent models of real numbers, compiled with data."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import calocc
from calocc.compiler.design import Design
from calocc.runtime.fuzzing.simulations import Simulated, simulate_all
from calocc.runtime.reference import predict

EVENTS = np.random.default_rng(3).normal(0, 1, (160, 6, 3)).astype(np.float32)


def both_ways(layers: Any) -> list[Any]:
    """A layer that runs both ways, one on each of its outputs, and another that runs backwards."""
    return [
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(4, activation="relu")),
        layers.GRU(4, go_backwards=True),
    ]


MODELS: dict[str, Callable[[Any], list[Any]]] = {
    "SimpleRNN": lambda layers: [layers.SimpleRNN(6)],
    "rectified": lambda layers: [layers.SimpleRNN(6, activation="relu", use_bias=False)],
    "LSTM": lambda layers: [layers.LSTM(5)],
    "hard": lambda layers: [layers.LSTM(5, recurrent_activation="hard_sigmoid")],
    "GRU": lambda layers: [layers.GRU(5)],
    "reset first": lambda layers: [layers.GRU(5, reset_after=False)],
    "both ways": both_ways,
}
CALIBRATED: dict[str, Any] = {"calibrate": {"x": EVENTS}, "accuracy": 0.02}


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    return import_module("tf_keras")


def built(keras: Any, *behind: Any) -> Any:
    """These layers and a dense one."""
    return keras.Sequential([keras.Input((6, 3), name="x"), *behind, keras.layers.Dense(2)])


def relative_rms(value: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((value - exact) ** 2) / np.mean(exact**2)))


@pytest.fixture(scope="module")
def models(keras: Any) -> dict[str, Any]:
    """All models, with drawn weights."""

    def drawn(behind: Callable[[Any], list[Any]]) -> Any:
        keras.utils.set_random_seed(5)
        return built(keras, *behind(keras.layers))

    return {name: drawn(behind) for name, behind in MODELS.items()}


@pytest.fixture(scope="module")
def designs(models: dict[str, Any]) -> dict[str, Design]:
    """All designs."""
    return {name: calocc.compile(model, **CALIBRATED) for name, model in models.items()}


@pytest.fixture(scope="module")
def simulated(designs: dict[str, Design]) -> dict[str, Any]:
    """What the C++ of all designs returns, compiled as one program."""
    batch = [Simulated(d.module, [EVENTS.astype(np.float64)]) for d in designs.values()]
    return dict(zip(designs, simulate_all(batch), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_the_accuracy_that_was_asked_for(
    name: str, models: dict[str, Any], designs: dict[str, Design], simulated: dict[str, Any]
) -> None:
    (stated,) = designs[name].report["calibration"]["outputs"]
    (exact,) = predict(models[name], {"x": EVENTS})
    result: Any = designs[name].predict(EVENTS)
    error = relative_rms(result, exact.astype(np.float64))
    assert stated["relative_rms"] == pytest.approx(error, rel=1e-3)
    assert error <= 0.02
    (found,) = simulated[name]
    assert np.array_equal(found, result)


def test_ranges_of_a_step_are_reported(keras: Any) -> None:
    keras.utils.set_random_seed(5)
    layer = keras.layers.SimpleRNN(6, return_sequences=True, name="rnn")
    model = built(keras, layer)
    design = calocc.compile(model, 0, **CALIBRATED)
    rows = [row for row in design.report["ranges"] if row["layer"] == "rnn"]
    _, _, total, state = rows
    (outputs,) = predict(keras.Model(model.inputs, layer.output), {"x": EVENTS})
    assert state["least"] == pytest.approx(outputs.min(), abs=0.05)
    assert state["greatest"] == pytest.approx(outputs.max(), abs=0.05)
    assert np.tanh(total["greatest"]) == pytest.approx(outputs.max(), abs=0.05)


def test_a_state_keeps_the_format_that_was_given(keras: Any) -> None:
    keras.utils.set_random_seed(5)
    model = built(keras, keras.layers.LSTM(4, name="rnn"))
    given = calocc.compile(model, 0, settings=("rnn.state=fixed<9,2>",), **CALIBRATED)
    formats = [row["format"] for row in given.report["ranges"] if row["layer"] == "rnn"]
    assert formats.count("fixed<9,2>") == 2
    assert given.report["calibration"]["outputs"][0]["relative_rms"] <= 0.02


def test_more_bits_are_more_accurate(keras: Any) -> None:
    keras.utils.set_random_seed(5)
    model = built(keras, keras.layers.GRU(5))
    errors: list[float] = []
    for bits in (4, 7, 10):
        request: Any = {"weights_bits": bits, "activations_bits": bits}
        design = calocc.compile(model, 0, calibrate={"x": EVENTS}, **request)
        errors += [row["relative_rms"] for row in design.report["calibration"]["outputs"]]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 10
