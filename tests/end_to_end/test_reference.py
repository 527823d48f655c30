"""The float reference (Keras) on the committed example models.

This file never asks whether Keras is *right*: the closed forms in float64 are the specification,
and other tests measure the distance to Keras.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calocc.runtime import reference
from calocc.runtime.reference import (
    InputMismatchError,
    ModelLoadError,
    ReferenceUnavailableError,
    layer_outputs,
    load_keras_model,
    predict,
    reference_modules,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
EVENTS = 16


@dataclass(frozen=True)
class Example:
    """A committed model: where it is, its input and output layers, its shapes without events."""

    path: str
    input_name: str
    input_shape: tuple[int, ...]
    output_name: str
    outputs: int
    minimum_events: int = 128

    @property
    def model_path(self) -> Path:
        return EXAMPLES / self.path

    @property
    def data(self) -> dict[str, NDArray[Any]]:
        with np.load(self.model_path.parent / "test_data.npz") as file:
            return dict(file)


JETS = Example("jets/jets.h5", "jets", (16,), "softmax", 5)
DIGITS = Example("digits/digits.h5", "digits", (8, 8, 1), "dense_2", 10)
DEEPCALO = Example("deepcalo/deepcalo_image.h5", "image", (56, 11, 4), "energy_quantizer", 1)
ALL = pytest.mark.parametrize(
    "example", [JETS, DIGITS, DEEPCALO], ids=lambda example: example.input_name
)


@cache
def model_of(example: Example) -> Any:
    return load_keras_model(example.model_path)


def events_of(example: Example, events: int = EVENTS) -> NDArray[Any]:
    return example.data[example.input_name][:events]


@ALL
def test_test_data_fit_the_model(example: Example) -> None:
    data = example.data
    assert set(data) == {example.input_name, "label"}
    inputs, label = data[example.input_name], data["label"]
    assert inputs.dtype == np.float32
    assert inputs.shape[1:] == example.input_shape
    assert len(inputs) == len(label) >= example.minimum_events


@ALL
def test_predicts_finite_float32_of_the_right_shape(example: Example) -> None:
    (output,) = predict(model_of(example), events_of(example))
    assert output.shape == (EVENTS, example.outputs)
    assert output.dtype == np.float32
    assert np.isfinite(output).all()
    assert len(np.unique(output, axis=0)) > EVENTS // 2, "the output hardly depends on the input"


@ALL
def test_layer_outputs_agree_with_predict(example: Example) -> None:
    model, inputs = model_of(example), events_of(example)
    values = layer_outputs(model, {example.input_name: inputs})
    assert list(values) == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(values[example.input_name], inputs)
    (output,) = predict(model, inputs)
    np.testing.assert_array_equal(values[example.output_name], output)


@ALL
def test_relu_quantizers_stay_in_their_range(example: Example) -> None:
    values = layer_outputs(model_of(example), events_of(example))
    relus = {name: value for name, value in values.items() if "relu" in name}
    assert relus
    for name, value in relus.items():
        assert value.min() >= 0, name
        assert value.max() > 0, f"{name} is dead"
        assert value.max() <= 4, name


@ALL
def test_stored_kernels_are_far_from_rounding_boundaries(example: Example) -> None:
    """So that float32 and float64 agree on the quantized kernels of the examples."""
    layers = [x for x in model_of(example).layers if hasattr(x, "kernel_quantizer_internal")]
    assert layers
    for layer in layers:
        folds = hasattr(layer, "get_folded_weights")
        folded = np.asarray(layer.get_folded_weights()[0] if folds else layer.kernel)
        quantizer = layer.kernel_quantizer_internal
        per_unit = float(2 ** (quantizer.bits - 1 - quantizer.integer))
        steps: NDArray[Any] = folded.astype(np.float64) * per_unit
        assert np.abs(steps - np.round(steps)).max() < 1e-4, layer.name


def test_jets_accuracy() -> None:
    data = JETS.data
    (output,) = predict(model_of(JETS), data["jets"])
    assert np.mean(output.argmax(1) == data["label"]) > 0.7
    np.testing.assert_allclose(output.sum(1), 1, atol=1e-5)


def test_digits_accuracy() -> None:
    data = DIGITS.data
    (output,) = predict(DIGITS.model_path, data["digits"])
    assert np.mean(output.argmax(1) == data["label"]) > 0.95


def test_deepcalo_energy_correlates() -> None:
    data = DEEPCALO.data
    (output,) = predict(model_of(DEEPCALO), data["image"])
    assert np.corrcoef(output[:, 0], data["label"])[0, 1] > 0.95
    steps = output * 2**7
    np.testing.assert_array_equal(steps, np.round(steps))


def test_batches_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = events_of(DIGITS, 11)
    (whole,) = predict(model_of(DIGITS), inputs)
    monkeypatch.setattr(reference, "BATCH_SIZE", 4)
    (parts,) = predict(model_of(DIGITS), inputs)
    np.testing.assert_array_equal(whole, parts)


def test_no_events() -> None:
    (output,) = predict(model_of(JETS), events_of(JETS, 0))
    assert output.shape == (0, 5)


def two_input_model() -> Any:
    """A layer called twice, two inputs, two outputs, and a branch outside the model."""
    layers = reference_modules().keras.layers
    left, right = layers.Input((3,), name="left"), layers.Input((3,), name="right")
    double = layers.Rescaling(2.0, name="double")
    first, second = double(left), double(right)
    double(layers.Input((3,), name="elsewhere"))
    difference = layers.Subtract(name="difference")([first, second])
    return reference_modules().keras.Model([left, right], [difference, second], name="two")


def test_recurrent_layers_of_qkeras_run_from_a_file(tmp_path: Path) -> None:
    modules = reference_modules()
    qkeras, keras, kernel = modules.qkeras, modules.keras, "quantized_bits(4,0,alpha=1)"
    shared = {"kernel_quantizer": kernel, "recurrent_quantizer": kernel, "bias_quantizer": kernel}
    sequence = keras.Input((4, 3), name="x")
    y = qkeras.QGRU(3, **shared, reset_after=True, return_sequences=True)(sequence)
    y = qkeras.QBidirectional(qkeras.QLSTM(2, **shared, return_sequences=True))(y)
    model = keras.Model(sequence, qkeras.QSimpleRNN(2, **shared)(y))
    model.save(tmp_path / "m.h5")
    x = np.random.default_rng(1).normal(size=(EVENTS, 4, 3))
    (loaded,), (kept,) = predict(tmp_path / "m.h5", x), predict(model, x)
    np.testing.assert_array_equal(loaded, kept)
    assert len(np.unique(kept, axis=0)) > EVENTS // 2


def test_inputs_go_by_name_and_shared_layers_are_listed_once_per_call() -> None:
    model = two_input_model()
    left, right = np.array([[1, 2, 3]]), np.array([[10, 20, 30]])
    first, second = predict(model, {"right": right, "left": left})
    np.testing.assert_array_equal(first, 2 * left - 2 * right)
    np.testing.assert_array_equal(second, 2 * right)
    values = layer_outputs(model, {"left": left, "right": right})
    assert set(values) == {"left", "right", "double", "double:1", "difference"}
    np.testing.assert_array_equal(values["double"] + values["double:1"], 2 * (left + right))


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (np.zeros((1, 3)), "one array given for 2 inputs"),
        ({"left": np.zeros((1, 3))}, "arrays given for ['left']"),
        ({"left": np.zeros((1, 3)), "right": np.zeros((1, 4))}, "'right' has shape (1, 4)"),
        ({"left": np.zeros((1, 3)), "right": np.zeros((2, 3))}, "arrays hold [1, 2] events"),
    ],
)
def test_wrong_inputs_are_refused(inputs: Any, problem: str) -> None:
    with pytest.raises(InputMismatchError) as caught:
        predict(two_input_model(), inputs)
    assert problem in str(caught.value)
    assert "'left' (3,), 'right' (3,)" in caught.value.hint


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.h5"
    path.write_text("not a model")
    with pytest.raises(ModelLoadError, match=r"no\.h5: Keras cannot load the model"):
        load_keras_model(path)


def test_missing_tensorflow_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(ReferenceUnavailableError) as caught:
        reference_modules()
    assert "No module named 'tensorflow'" in str(caught.value)
    assert caught.value.hint == "pip install 'calocc[reference]'"


def test_a_convolution_that_one_dnn_gets_wrong() -> None:
    """One channel, the strides (1, 2), results of width 1, from four events on."""
    modules = reference_modules()
    layer = modules.keras.layers.Conv2D(1, 3, strides=(1, 2), use_bias=False)
    model = modules.keras.Sequential([modules.keras.Input((6, 3, 1), name="x"), layer])
    random = np.random.default_rng(0)
    x, kernel = (random.integers(-8, 9, s).astype(np.float32) for s in ((8, 6, 3, 1), (3, 3, 1, 1)))
    layer.set_weights([kernel])
    rows = np.stack([np.einsum("bhw,hw->b", x[:, k : k + 3, :, 0], kernel[..., 0, 0])
        for k in range(4)], axis=1)  # fmt: skip
    (value,) = predict(model, x)
    assert np.array_equal(value[:, :, 0, 0], rows)
