"""Models of real numbers, compiled with data."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import calocc
from calocc.compiler.calibration.errors import AccuracyNotReached, BadRequest
from calocc.compiler.calibration.formats import Criterion
from calocc.compiler.data import to_mantissas, to_reals
from calocc.compiler.inputs import BadData, calibrated
from calocc.compiler.keras.model import KerasLayer, TensorRef
from calocc.compiler.main import main
from calocc.passes.lowering.errors import InputWithoutFormat
from calocc.runtime.emulator import execute
from calocc.runtime.fuzzing.models import Drawn, assembled
from calocc.runtime.reference import predict

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
EVENTS = np.random.default_rng(3).normal(0, 1, (96, 8, 8, 3)).astype(np.float32)


def network(keras: Any) -> Any:
    """Convolutions with and without normalisation, a residual sum, functions, two outputs."""
    layers = keras.layers
    x = keras.Input((8, 8, 3), name="x")
    y = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(y)
    short = layers.Conv2D(4, 1)(y)
    y = layers.Activation("swish")(layers.Conv2D(4, 3, padding="same")(y))
    y = layers.MaxPooling2D()(layers.ReLU()(layers.Add()([y, short])))
    y = layers.LeakyReLU(0.1)(layers.DepthwiseConv2D(3, padding="same")(y))
    y = layers.Dense(8, activation="tanh")(layers.GlobalAveragePooling2D()(y))
    scores = layers.Dense(5, activation="softmax", name="scores")(y)
    return keras.Model(x, [scores, layers.Dense(1, name="energy")(y)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    keras: Any = import_module("tf_keras")
    keras.utils.set_random_seed(5)
    built = network(keras)
    path = tmp_path_factory.mktemp("float") / "model.h5"
    built.save(path)
    return built, path


def relative_rms(value: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((value - exact) ** 2) / np.mean(exact**2)))


def test_the_accuracy_that_was_asked_for(model: tuple[Any, Path]) -> None:
    built, path = model
    design = calocc.compile(path, calibrate={"x": EVENTS}, accuracy=0.02)
    stated = design.report["calibration"]
    exact: Any = predict(built, {"x": EVENTS})
    results: Any = design.predict(EVENTS)
    for row, value, keras_value in zip(stated["outputs"], results, exact, strict=True):
        error = relative_rms(value, keras_value)
        assert row["relative_rms"] == pytest.approx(error, rel=1e-3)
        assert error <= 0.02
    for value, simulated in zip(results, design.csim().predict(EVENTS), strict=True):
        assert np.array_equal(value, simulated)


def test_more_bits_are_more_accurate(model: tuple[Any, Path]) -> None:
    errors: list[float] = []
    for bits in (5, 8, 12):
        design = calocc.compile(
            model[1], 0, calibrate={"x": EVENTS}, weights_bits=bits, activations_bits=bits
        )
        stated = design.report["calibration"]
        assert (stated["weights_bits"], stated["activations_bits"]) == (bits, bits)
        errors.append(max(row["relative_rms"] for row in stated["outputs"]))
    assert errors == sorted(errors, reverse=True)


def test_the_least_square_error_beats_the_range_where_bits_are_few(
    model: tuple[Any, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", x=EVENTS)
    bits = ["--weights-bits", "3", "--activations-bits", "8", "-O0", "--json"]
    errors: dict[str, list[float]] = {}
    for criterion in Criterion:
        options = ["--calibrate", str(tmp_path / "x.npz"), "--criterion", criterion]
        main([str(model[1]), *options, *bits, "-o", str(tmp_path / criterion)])
        stated = json.loads(capsys.readouterr().out)["calibration"]
        assert stated["criterion"] == criterion
        errors[criterion] = [row["relative_rms"] for row in stated["outputs"]]
    assert all(a < b for a, b in zip(errors["mse"], errors["range"], strict=True))


def test_an_accuracy_out_of_reach(model: tuple[Any, Path]) -> None:
    with pytest.raises(AccuracyNotReached, match="2 bits for weights"):
        calocc.compile(model[1], calibrate={"x": EVENTS}, accuracy=1e-4, weights_bits=2)


def test_data_are_needed(model: tuple[Any, Path]) -> None:
    with pytest.raises(BadRequest, match="goes with --calibrate"):
        calocc.compile(model[1], accuracy=0.1)
    with pytest.raises(BadRequest, match="option --criterion: there are no data"):
        calocc.compile(model[1], criterion="mse")
    with pytest.raises(BadData, match="no array 'x'"):
        calocc.compile(model[1], calibrate={"y": EVENTS})


def test_a_quantized_model_keeps_its_own_formats() -> None:
    plain = calocc.compile(DIGITS / "digits.h5", 0)
    x = np.random.default_rng(1).uniform(0, 1, (20, *plain.inputs[0].shape))
    seen = calocc.compile(DIGITS / "digits.h5", 0, calibrate={plain.inputs[0].name: x})
    assert seen.report["calibration"] is None
    assert np.array_equal(plain.predict(x), seen.predict(x))


X, FINE, COARSE, DENSE = (TensorRef(name, 0, 0) for name in ("x", "fine", "coarse", "dense"))
KERNEL = np.random.default_rng(4).normal(size=(3, 2)).astype(np.float32)
MIXED = assembled(
    "net",
    (
        KerasLayer("x", "InputLayer", {"batch_input_shape": [None, 3]}, (), {}),
        KerasLayer("fine", "QActivation", {"activation": "quantized_bits(8,2)"}, ((X,),), {}),
        KerasLayer("coarse", "QActivation", {"activation": "quantized_bits(3,1)"}, ((FINE,),), {}),
        KerasLayer("dense", "Dense", {"units": 2, "use_bias": False, "activation": "linear"},
                   ((FINE,),), {"kernel": KERNEL}),
    ),
    (X,), (COARSE, DENSE),
)  # fmt: skip
"""A quantizer that the model has, and a kernel of reals, for which there has to be one."""


@pytest.mark.parametrize("rounding", [None, "truncate", "round,wrap"])
def test_bounds_are_about_the_model_that_rounds_as_it_was_asked_to(
    rounding: str | None, tmp_path: Path
) -> None:
    path, x = Drawn(MIXED).write(tmp_path / "m.h5"), np.random.default_rng(5).normal(size=(64, 3))
    design = calocc.compile(
        path, calibrate={"x": x}, rounding=rounding, weights_bits=6, activations_bits=6
    )
    (port,) = design.inputs
    on_grid = to_reals(port, to_mantissas(port, x))
    assert design.layers is not None
    pairs = zip(design.predict(on_grid), execute(design.layers.reals, [on_grid]), strict=True)
    away = [float(np.abs(y - exact).max()) for y, exact in pairs]
    bounds = [row["certified_bound"] for row in design.report["outputs"]]
    assert away[0] == bounds[0] == 0.0
    assert 0.0 < away[1] <= bounds[1]


def test_an_input_of_which_no_plain_cast_is_made_gets_its_format_from_data(tmp_path: Path) -> None:
    """As its message says."""
    layers = (
        KerasLayer("x", "InputLayer", {"batch_input_shape": [None, 3]}, (), {}),
        KerasLayer("q", "QActivation", {"activation": "quantized_tanh(4,use_real_tanh=True)"},
                   ((TensorRef("x", 0, 0),),), {}),
    )  # fmt: skip
    model = assembled("net", layers, (TensorRef("x", 0, 0),), (TensorRef("q", 0, 0),))
    path = Drawn(model).write(tmp_path / "m.h5")
    with pytest.raises(InputWithoutFormat, match="--calibrate"):
        calocc.compile(path)
    x = np.random.default_rng(5).normal(size=(64, 3))
    assert calocc.compile(path, calibrate={"x": x}).inputs[0].format == calibrated(x)
