"""DeepCalo's own layers: Keras and compiled designs give the same numbers.

Inputs are multiples of 1/8 of small size: float32 holds every product and sum of these layers
exactly, so that nothing less than equality is asked for.
"""

from __future__ import annotations

import runpy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_layers import keras, qkeras

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.compiler.keras.layers.registry import UnsupportedLayer
from calocc.runtime.reference import load_keras_model, predict

LAYERS_FILE = Path(__file__).parents[2] / "examples" / "deepcalo" / "layers.py"
LAYERS: dict[str, Any] = runpy.run_path(str(LAYERS_FILE))["LAYERS"]
FRONT = "quantized_bits(7,3,1,alpha=1)"
FRACTION_BITS = 3
EVENTS = 8

Shapes = dict[str, tuple[int, ...]]
SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Network:
    """Every layer of `LAYERS` on quantized inputs, each an output; FiLM on three ranks."""

    shapes: Shapes
    ranges: tuple[tuple[int, int], ...]
    """What to slice out of `vector`."""
    seed: int

    def build(self) -> Any:
        """The Keras model."""
        inputs = {name: keras.Input(shape, name=name) for name, shape in self.shapes.items()}
        x = {
            name: qkeras.QActivation(FRONT, name=f"{name}_front")(value)
            for name, value in inputs.items()
        }
        films = (("film_image", "image"), ("film_tracks", "tracks"), ("film_vector", "channels"))
        outputs = [LAYERS["FiLM"](name=n)([x[a], x["modulation"]]) for n, a in films]
        outputs += [
            LAYERS["Mask_track"](name="mask")(x["tracks"]),
            LAYERS["Sum1D"](name="sum")(x["tracks"]),
            *(
                LAYERS["Slice_tensor1D"](start, end, name=f"slice_{k}")(x["vector"])
                for k, (start, end) in enumerate(self.ranges)
            ),
        ]
        return keras.Model(list(inputs.values()), outputs)

    def data(self) -> dict[str, Any]:
        """Numbers on both sides of every edge of the format, many of them zero."""
        random = np.random.default_rng(self.seed)
        arrays: dict[str, Any] = {}
        for name, shape in self.shapes.items():
            values = random.integers(-70, 70, (EVENTS, *shape)) / 2**FRACTION_BITS
            arrays[name] = values * (random.random(values.shape) < 0.8)
        return arrays


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A network of small layers."""
    size = st.integers(1, 5)
    channels, length = draw(size), draw(st.integers(1, 9))
    shapes: Shapes = {
        "image": (draw(size), draw(size), channels),
        "tracks": (draw(size), channels),
        "channels": (channels,),
        "modulation": (2 * channels,),
        "vector": (length,),
    }
    starts = st.integers(0, length - 1)
    ranges = starts.flatmap(lambda a: st.tuples(st.just(a), st.integers(a + 1, length)))
    return Network(shapes, tuple(draw(st.lists(ranges, min_size=1, max_size=3))), draw(SEEDS))


@settings(max_examples=12, deadline=None)
@given(network=networks())
def test_keras_and_the_design_are_equal(network: Network) -> None:
    data = network.data()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        network.build().save(path)
        expected = predict(load_keras_model(path, LAYERS), data)
        designs = [calocc.compile(path, opt_level=level) for level in (0, 2)]
    for design in designs:
        found = design.predict(data)
        for port, ours, theirs in zip(design.outputs, found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=port.name)


def test_values_by_hand() -> None:
    x = np.array([[[1.0, 2.0], [0.0, 4.0], [-3.0, 0.5]]], np.float32)
    np.testing.assert_array_equal(LAYERS["Mask_track"]()(x), [[[1.0], [0.0], [1.0]]])
    np.testing.assert_array_equal(LAYERS["Sum1D"]()(x), [[-2.0, 6.5]])
    modulation = np.array([[0.5, -1.0, 10.0, 20.0]], np.float32)
    film = [[[11.5, 20.0], [10.0, 20.0], [5.5, 20.0]]]
    np.testing.assert_array_equal(LAYERS["FiLM"]()([x, modulation]), film)
    np.testing.assert_array_equal(LAYERS["Slice_tensor1D"](1, 3)(modulation), [[-1.0, 10.0]])


def saved(folder: Path, shapes: list[tuple[int, ...]], layer: Callable[[list[Any]], Any]) -> Path:
    """A file of a model that applies one layer to inputs of these shapes."""
    inputs = [keras.Input(shape, name=f"x{k}") for k, shape in enumerate(shapes)]
    keras.Model(inputs, layer(inputs)).save(folder / "model.h5")
    return folder / "model.h5"


@pytest.mark.parametrize("limits", [(3, 9), (-2, 5), (2, 2), (4, 1)], ids=str)
def test_slices_that_end_outside_or_hold_nothing_are_refused(
    tmp_path: Path, limits: tuple[int, int]
) -> None:
    layer = LAYERS["Slice_tensor1D"](*limits, name="cut")
    path = saved(tmp_path, [(5,)], lambda x: layer(x[0]))
    with pytest.raises(UnsupportedLayer, match=r"is no range of a vector of 5") as caught:
        import_model(path)
    assert caught.value.hint == "give 0 <= start < end <= length"


class FiLM(keras.layers.Layer):
    """Has the name of DeepCalo's layer, and takes operands of any shapes."""

    def call(self, inputs: Any) -> Any:
        """The first operand."""
        return inputs[0]


@pytest.mark.parametrize("modulation", [(3,), (7,), (1, 6)], ids=str)
def test_modulations_of_another_shape_are_refused(
    tmp_path: Path, modulation: tuple[int, ...]
) -> None:
    shapes = [(4, 4, 3), modulation]
    with pytest.raises(ValueError, match="does not modulate"):
        saved(tmp_path, shapes, LAYERS["FiLM"](name="film"))
    with pytest.raises(UnsupportedLayer, match="its operands have the shapes") as caught:
        import_model(saved(tmp_path, shapes, FiLM(name="film")))
    assert caught.value.hint == "give it a tensor (..., C) and a vector of 2 C"
