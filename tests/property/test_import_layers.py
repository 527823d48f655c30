"""Imported layers against Keras, and compiled layers against their float64 meaning."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float32_error import float32_balls
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_layers import DRAWS, Branches, branches, save

from calocc.compiler.keras.importer import import_model
from calocc.compiler.keras.layers.registry import IMPORTERS
from calocc.runtime.reference import predict

GROUPS = {
    "products": ("Dense", "QDense", "Conv1D", "QConv1D", "Conv2D", "QConv2D", "QConv2DBatchnorm"),
    "elements": ("Activation", "QActivation", "ReLU", "LeakyReLU", "Softmax", "BatchNormalization"),
    "windows": (
        *("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"),
        *("GlobalAveragePooling1D", "GlobalMaxPooling1D"),
        *("GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    ),
    "movement": (
        *("UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D"),
        *("Cropping2D", "Flatten", "Reshape", "RepeatVector", "Permute"),
        *("Dropout", "SpatialDropout1D", "SpatialDropout2D"),
    ),
    "merges": ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
}


def test_every_imported_layer_is_drawn_here() -> None:
    grouped = [name for group in GROUPS.values() for name in group]
    assert sorted(grouped) == sorted(IMPORTERS) == sorted(DRAWS)


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_imported_layers_agree_with_keras(group: str, data: st.DataObject) -> None:
    drawn = data.draw(branches(GROUPS[group]))
    check_against_keras(drawn, drawn.build(), drawn.inputs())


def check_against_keras(drawn: Branches, model: Any, inputs: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        module = import_model(save(model, Path(folder) / "model.h5"))
    expected = predict(model, dict(zip(drawn.shapes, inputs, strict=True)))
    folded = [n for n, s in drawn.specs.items() if s.class_name == "QConv2DBatchnorm"]
    results = float32_balls(module, inputs, folded)
    for name, ball, keras_value in zip(drawn.specs, results, expected, strict=True):
        distance = np.abs(keras_value - ball.value)
        assert keras_value.shape == ball.value.shape, name
        assert (distance <= ball.radius).all(), (name, drawn.specs[name], (distance-ball.radius).max())
        vague = ball.radius > 1e-3 * (1 + np.abs(ball.value).max())
        assert vague.mean() <= 0.1, f"{name}: the comparison says little"
