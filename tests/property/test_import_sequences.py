"""Layers that work on sequences, where drawn models do not reach: ranks, copies, formats, names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from keras_layers import DRAWS, Spec, keras, qkeras, randomize
from test_import_layers import check_against_keras, saved
from test_keras_formats import imported, stored

import calocc
from calocc.compiler.keras.importer import import_model
from calocc.compiler.keras.layers.masks import DROP, PASS_ON
from calocc.compiler.text import module_text
from calocc.dialects.qnn.op import QnnOp, is_constant
from calocc.dialects.qnn.quantizers import parse
from calocc.runtime.emulator import execute

layers: Any = keras.layers
FRONT, BEHIND = "quantized_bits(5,2,alpha=1)", "quantized_bits(6,2,alpha=1)"
KERNEL = "quantized_bits(4,0,alpha=1)"


def each(layer: Any, **options: Any) -> Any:
    """The layer on each step."""
    return layers.TimeDistributed(layer, name="y", **options)


def behind_input(shape: tuple[int, ...], *behind: Any) -> Any:
    """A quantized input and the layers behind it."""
    front = [keras.Input(shape, name="x"), qkeras.QActivation(FRONT, name="front")]
    model = keras.Sequential([*front, *behind, qkeras.QActivation(BEHIND, name="behind")])
    randomize(model, 3, fine=False)
    return model


def data(shape: tuple[int, ...], events: int = 6) -> Any:
    """Multiples of 1/8."""
    return (np.random.default_rng(7).integers(-40, 40, (events, *shape)) / 8).astype("f4")


def check_both(model: Any) -> None:
    """Imported like Keras, compiled like imported, at any level."""
    x = data(model.input_shape[1:])
    check_against_keras(model, {"x": x})
    with saved(model) as path:
        (real,) = execute(import_model(path), [x.astype(np.float64)])
        for level in (0, 2):
            assert np.array_equal(calocc.compile(path, level).predict(x), real)


def ops(model: Any) -> list[str]:
    """The names of the ops of the layer `y` that are not constant."""
    with saved(model) as path:
        found = [op for op in import_model(path).walk() if isinstance(op, QnnOp)]
    return [op.name for op in found if not is_constant(op.result) and op.layer_name == "y"]


# ---- TimeDistributed ---------------------------------------------------------------------------

PLAIN = {"kernel_quantizer": KERNEL, "use_bias": False}
INNER = {
    "conv": (lambda: qkeras.QConv2D(2, 2, padding="same", **PLAIN), 3),
    "rows": (lambda: qkeras.QConv2D(2, (1, 2), padding="same", **PLAIN), 1),
    "tiles": (lambda: qkeras.QConv2D(2, 2, strides=2, **PLAIN), 1),
    "dilated": (lambda: qkeras.QConv2D(2, 2, dilation_rate=2, **PLAIN), 3),
    "pool": (lambda: layers.MaxPooling2D(2), 1),
    "overlap": (lambda: layers.MaxPooling2D(3, strides=1), 3),
    "one-place": (lambda: layers.MaxPooling2D(3), 1),
    "whole": (lambda: layers.GlobalMaxPooling2D(), 1),
    "depthwise": (
        lambda: qkeras.QDepthwiseConv2D(4, depthwise_quantizer=KERNEL, use_bias=False), 1),
    "pad": (lambda: layers.ZeroPadding2D(1), 3),
    "sides": (lambda: layers.ZeroPadding2D(((0, 0), (1, 2))), 1),
    "upsample": (lambda: layers.UpSampling2D((2, 1)), 1),
    "permute": (lambda: layers.Permute((3, 1, 2)), 3),
    "flatten": (lambda: layers.Flatten(), 1),
    "crop": (lambda: layers.Cropping2D(1), 2),
    "inner": (lambda: layers.TimeDistributed(layers.ReLU()), 1),
}  # fmt: skip
"""Layers on images (4, 4, 3), and how many of the ops do their work for three of them."""
MOVES = {"qnn.reshape", "qnn.concat", "qnn.slice"}


@pytest.mark.parametrize("name", INNER)
def test_images_in_a_sequence(name: str) -> None:
    make, copies = INNER[name]
    model = behind_input((3, 4, 4, 3), each(make()))
    check_both(model)
    found = ops(model)
    if name not in ("flatten", "crop"):
        assert len([op for op in found if op not in MOVES]) == copies
    assert ("qnn.concat" in found) == (copies == 3)


def wrapped() -> Any:
    """Layers with weights of several names, one of them in two wrappers."""
    inner = [
        layers.TimeDistributed(layers.SeparableConv1D(3, 2)),
        layers.DepthwiseConv1D(2),
        layers.BatchNormalization(center=False),
        layers.Conv1D(2, 1, activation="hard_sigmoid"),
        layers.Flatten(),
    ]
    wraps = [layers.TimeDistributed(layer, name=f"w{k}") for k, layer in enumerate(inner)]
    return keras.Sequential([keras.Input((2, 5, 4, 2), name="x"), *wraps[:1]]), keras.Sequential(
        [keras.Input((2, 5, 3), name="x"), *wraps[1:]]
    )


@pytest.mark.parametrize("index", [0, 1])
def test_weights_of_inner_layers_in_all_formats(index: int, tmp_path: Path) -> None:
    model = wrapped()[index]
    randomize(model, 5)
    texts = {module_text(imported(m)) for m in stored(model, tmp_path)}
    assert len(texts) == 1
    check_against_keras(model, {"x": data(model.input_shape[1:])})


def test_settings_reach_the_inner_layer() -> None:
    model = behind_input((3, 4), each(layers.Dense(2)))
    x, (kernel, bias) = data((3, 4)), model.get_layer("y").get_weights()
    with saved(model) as path:
        design = calocc.compile(path, settings=("y.kernel=fixed<4,1>", "y.bias=fixed<4,2>"))
    few, more = parse("quantized_bits(4,0,alpha=1)"), parse("quantized_bits(4,1,alpha=1)")
    sums = parse(FRONT)(x) @ few(kernel) + more(bias)
    assert np.array_equal(design.predict(x), parse(BEHIND)(sums))


def test_an_inner_hard_sigmoid_is_that_of_keras_3(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((2, 3), name="x"), each(layers.Activation("hard_sigmoid"))]
    )
    model.save_weights(tmp_path / "w.h5")
    text = model.to_json().replace("batch_input_shape", "batch_shape")
    (tmp_path / "m.json").write_text(text)
    module = import_model(tmp_path / "m.json", weights=tmp_path / "w.h5")
    x = data((2, 3)).astype(np.float64)
    np.testing.assert_allclose(execute(module, [x])[0], np.clip(x / 6 + 0.5, 0, 1), rtol=1e-12)


# ---- masks -------------------------------------------------------------------------------------


def masked_data(value: float, shape: tuple[int, ...] = (5, 3)) -> Any:
    """Steps of which some equal the value, and some do but for one feature."""
    x = data(shape, 8)
    x[:4, ::2] = value
    x.reshape(8, -1)[2:4, 0] += 0.25
    return x


@pytest.mark.parametrize("value", [0.0, -1.0, 0.75, 64.0])
def test_masked_steps_are_zero(value: float) -> None:
    model = behind_input((5, 3), layers.Masking(value, name="y"))
    x = masked_data(value)
    check_against_keras(model, {"x": x})
    with saved(model) as path:
        (real,) = execute(import_model(path), [x.astype(np.float64)])
        for level in (0, 2):
            assert np.array_equal(calocc.compile(path, level).predict(x), real)
    assert (real[:2, ::2] == 0).all() == (value != 64)


LISTED = sorted(PASS_ON | DROP)


@st.composite
def layer_of(draw: st.DrawFn, name: str) -> Spec:
    """A layer of this class."""
    return DRAWS[name](draw)


@pytest.mark.parametrize("name", LISTED)
@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_layers_do_with_masks_what_keras_does(name: str, data: st.DataObject) -> None:
    """Their results do not depend on the mask, and have it or not as is listed."""
    spec = data.draw(layer_of(name))
    inner = spec.arguments.get("layer")
    # Keras 2 itself refuses masks in front of inner layers that drop them.
    assume(inner is None or inner.class_name in {n for n in PASS_ON if n[0] != "Q"})
    shape = {1: (3,), 2: (5, 3), 3: (4, 4, 3)}[spec.rank]
    x = keras.Input(shape, name="x")
    value = layers.Masking(0.5, name="masking")(x)
    y = spec.layer("y")(value if spec.operands == 1 else [value] * spec.operands)
    assert (getattr(y, "_keras_mask", None) is not None) == (name in PASS_ON)
    model = keras.Model(x, y)
    randomize(model, 4)
    check_against_keras(model, {"x": masked_data(0.5, shape)}, ["y"] if "norm" in name else [])


def masked_model(*behind: Any) -> Any:
    return keras.Sequential([keras.Input((4, 3), name="x"), layers.Masking(name="m"), *behind])


LOOKING = {
    "average": lambda: [layers.GlobalAveragePooling1D(name="y")],
    "behind others": lambda: [
        layers.Dense(2), layers.ReLU(), layers.GlobalAveragePooling1D(name="y")],
    "each quantized": lambda: [each(qkeras.QDense(2))],
    "inner mask": lambda: [
        layers.Reshape((2, 6)), each(layers.Masking()), layers.GlobalAveragePooling1D(name="z")],
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKING)
def test_layers_that_look_at_masks_are_refused(name: str) -> None:
    with saved(masked_model(*LOOKING[name]())) as path:
        with pytest.raises(calocc.CaloccError, match="its operand has a mask") as caught:
            import_model(path)
    assert ("'z'" if name == "inner mask" else "'y'") in caught.value.where


def test_a_dropped_mask_is_forgotten() -> None:
    pooled = layers.GlobalAveragePooling1D(name="y")
    model = masked_model(layers.Conv1D(2, 2), pooled)
    randomize(model, 4)
    check_against_keras(model, {"x": masked_data(0.0, (4, 3))})
