"""A model is one module whichever way it was stored, and that computes what Keras computes."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import draws_transposed
import numpy as np
import pytest
from float32_error import float32_balls
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_layers import DRAWS, branches
from xdsl.dialects.builtin import ModuleOp

from calocc import compile
from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.errors import Keras1Config, NotAModel, WeightsGivenTwice
from calocc.compiler.keras.importer import import_model, module_of
from calocc.compiler.keras.layers.registry import Overrides
from calocc.compiler.keras.model import KerasModel
from calocc.compiler.keras.reader import read_live, read_model
from calocc.compiler.keras.refusals import RefusedLayer
from calocc.compiler.keras.variables import snake_case
from calocc.compiler.main import main
from calocc.compiler.text import module_text

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
qkeras: Any = importlib.import_module("qkeras")
keras: Any = importlib.import_module("tf_keras")
layers: Any = importlib.import_module("tf_keras.layers")

SAMPLES = Path(__file__).parents[1] / "data" / "keras"
FORMATS = ("h5", "keras", "json", "numbered", "whole", "live")


def bits(width: int, integer: int) -> str:
    return f"quantized_bits({width},{integer},alpha=1)"


QUANTIZED = {"kernel_quantizer": bits(4, 0), "bias_quantizer": bits(6, 1)}


def block(name: str, prefix: str = "") -> Any:
    """Two inputs, two outputs of which one is an input, a batch normalisation."""
    x, z = keras.Input((4,), name="x"), keras.Input((4,), name="z")
    y = qkeras.QDense(4, **QUANTIZED, name=f"{prefix}dense")(x)
    y = layers.BatchNormalization(name=f"{prefix}norm")(y)
    return keras.Model([x, z], [layers.Subtract(name="sub")([y, z]), z], name=name)


def deep(prefix: str = "shared_") -> Any:
    """Shared models in models, Functional and Sequential, called in chains and side by side.

    With a prefix the inner layers have names of their own, without which Keras writes no `.h5`.
    """
    image, scalars = keras.Input((6, 6, 2), name="image"), keras.Input((4,), name="scalars")
    convolutions = keras.Sequential(
        [
            qkeras.QConv2DBatchnorm(3, 3, **QUANTIZED, name="conv", input_shape=(6, 6, 2)),
            qkeras.QActivation("quantized_relu(6,2)", name="act"),
            layers.Flatten(name="flat"),
            layers.Dense(4, name=f"{prefix}last"),
        ],
        name="convolutions",
    )
    u, v = block("block")([convolutions(image), scalars])
    shared = block("shared", prefix)
    a, b = shared([u, v])
    c, d = shared([b, a])
    top = keras.Model([image, scalars], [c, layers.Add(name="sum")([a, d])], name="top")
    e, f = top([image, scalars])
    g, _ = top([image, e])
    return keras.Model([image, scalars], [layers.ReLU(name="relu")(g), f, e], name="deep")


def chain_of_models() -> Any:
    first = keras.Sequential([layers.Dense(3, name="a")], name="first")
    last = keras.Sequential([layers.Dense(2, use_bias=False, name="b")], name="last")
    model = keras.Sequential([first, layers.ReLU(name="r"), last], name="chain")
    model.build((None, 4))
    return model


def dictionaries() -> Any:
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    difference = layers.Subtract(name="difference")([a, b])
    inner = keras.Model({"q": a, "p": b}, {"z": difference, "y": a}, name="inner")
    x = keras.Input((4,), name="x")
    result = inner({"p": x, "q": layers.ReLU(name="r")(x)})
    return keras.Model(x, [result["z"], result["y"]], name="dictionaries")


def without_scale() -> Any:
    options: list[dict[str, bool]] = [{"scale": False}, {"center": False}, {}]
    norms = [layers.BatchNormalization(**o, name=f"n{k}") for k, o in enumerate(options)]
    norms[2].trainable = False
    separable = layers.SeparableConv2D(3, 2, use_bias=False, name="separable")
    depthwise = qkeras.QDepthwiseConv2D(2, depthwise_quantizer=bits(4, 0), name="depthwise")
    body = [layers.Dropout(0.5, name="drop"), separable, *norms, depthwise]
    return keras.Sequential([keras.Input((5, 5, 2)), *body], name="without")


def transposed() -> Any:
    quantized = draws_transposed.of_qkeras()
    body = [
        quantized(3, 2, strides=2, **QUANTIZED, name="quantized"),
        layers.Conv2DTranspose(2, 2, use_bias=False, name="plain"),
        layers.Reshape((-1, 2), name="rows"),
        layers.Conv1DTranspose(2, 3, strides=2, name="row"),
    ]
    return keras.Sequential([keras.Input((2, 3, 2)), *body], name="transposed")


def wrappers_inside() -> Any:
    """Layers in wrappers in a model in a model."""
    each = layers.TimeDistributed(layers.Dense(2, name="dense"), name="each")
    norms = layers.TimeDistributed(layers.BatchNormalization(name="norm"), name="norms")
    inner = keras.Sequential([keras.Input((3, 4)), each, norms], name="inner")
    outer = keras.Sequential([inner, layers.ReLU(name="relu")], name="outer")
    x = keras.Input((3, 4), name="x")
    return keras.Model(x, outer(x), name="wrappers")


MODELS: dict[str, Callable[[], Any]] = {
    "wrappers": wrappers_inside,
    "deep": deep,
    "chain": chain_of_models,
    "dictionaries": dictionaries,
    "without-scale": without_scale,
    "transposed": transposed,
}


def randomized(model: Any) -> Any:
    draw = np.random.default_rng(5)
    for variable in model.variables:
        values = 0.5 * draw.normal(size=tuple(variable.shape))
        variable.assign(abs(values) + 0.5 if "variance" in variable.name else values)
    return model


def stored(model: Any, folder: Path) -> Iterator[KerasModel]:
    """The model as read from each of the FORMATS."""
    model.save(folder / "m.h5")
    model.save(folder / "m.keras")
    model.save_weights(folder / "w.h5")
    model.save_weights(folder / "n.weights.h5")
    (folder / "m.json").write_text(model.to_json())
    yield read_model(folder / "m.h5")
    yield read_model(folder / "m.keras")
    for weights in ("w.h5", "n.weights.h5", "m.h5"):
        yield read_model(folder / "m.json", folder / weights)
    yield read_live(model)


def imported(model: KerasModel) -> ModuleOp:
    return module_of(model, Overrides())


@pytest.mark.parametrize("name", MODELS)
def test_all_formats_are_one_module(name: str, tmp_path: Path) -> None:
    modules = [imported(m) for m in stored(randomized(MODELS[name]()), tmp_path)]
    first = modules[0]
    assert len(modules) == len(FORMATS)
    for kind, module in zip(FORMATS, modules, strict=True):
        assert first.is_structurally_equivalent(module), kind
        assert module_text(module) == module_text(first), kind


@pytest.mark.parametrize("name", MODELS)
def test_nested_models_compute_what_keras_computes(name: str, tmp_path: Path) -> None:
    model = randomized(MODELS[name]())
    module = imported(read_live(model))
    draw = np.random.default_rng(1)
    inputs = [(draw.integers(-64, 64, (5, *x.shape[1:])) / 32).astype("f4") for x in model.inputs]
    expected: Any = model(inputs[0] if len(inputs) == 1 else inputs)
    results: list[Any] = expected if len(model.outputs) > 1 else [expected]
    check_close(module, inputs, [np.asarray(value) for value in results], ["top/convolutions/conv"])


def check_close(
    module: ModuleOp, inputs: list[Any], expected: list[Any], folded: list[str] | None = None
) -> None:
    balls = float32_balls(module, inputs, folded or [])
    for ball, value in zip(balls, expected, strict=True):
        assert ball.value.shape == value.shape
        assert (abs(ball.value - value) <= ball.radius).all()
        assert (ball.radius < 0.05 * (1 + abs(ball.value).max())).mean() > 0.9, "says little"


@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_every_layer_is_the_same_from_an_archive(data: st.DataObject) -> None:
    model = data.draw(branches(tuple(DRAWS))).build()
    with tempfile.TemporaryDirectory() as folder:
        texts = {module_text(imported(m)) for m in stored(model, Path(folder))}
    assert len(texts) == 1


def test_inner_layers_are_named_after_their_models() -> None:
    model = read_live(randomized(deep("")))
    names = {layer.name for layer in model.layers if layer.weights}
    assert names == {
        *("top/convolutions/conv", "top/convolutions/last", "top/block/dense", "top/block/norm"),
        *("top/shared/dense", "top/shared/norm"),
    }
    assert [len(model.layer(f"top/{name}").calls) for name in ("block/sub", "shared/sub")] == [2, 4]


def test_equal_names_in_different_models_are_told_apart(tmp_path: Path) -> None:
    model = randomized(deep(""))
    model.save(tmp_path / "m.keras")
    read = read_model(tmp_path / "m.keras")
    for name in ("block", "shared"):
        kernel = model.get_layer("top").get_layer(name).get_layer("dense").get_weights()[0]
        np.testing.assert_array_equal(read.layer(f"top/{name}/dense").weight("kernel"), kernel)
    assert module_text(imported(read)) == module_text(imported(read_live(model)))


# ---- files of other versions of Keras ------------------------------------------------------------


def sample(version: str, kind: str, folder: Path) -> tuple[Path, Path | None]:
    """A file that the version wrote; archives were compressed, and hold the other formats."""
    if kind == "h5":
        content = gzip.decompress((SAMPLES / f"{version}.h5.gz").read_bytes())
        (folder / "m.h5").write_bytes(content)
        return folder / "m.h5", None
    path = SAMPLES / f"{version}.keras"
    if kind == "keras":
        return path, None
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder, ["config.json", "model.weights.h5"])
    return folder / "config.json", folder / "model.weights.h5"


@pytest.mark.parametrize("kind", ["h5", "keras", "json"])
@pytest.mark.parametrize("version", ["keras-2.13", "keras-3.15", "keras-3.15-recurrent"])
def test_samples_compute_what_their_keras_computed(version: str, kind: str, tmp_path: Path) -> None:
    path, weights = sample(version, kind, tmp_path)
    with np.load(SAMPLES / f"{version}.npz") as file:
        inputs, expected = ([file[k] for k in file if k[0] == letter] for letter in "xy")
    check_close(import_model(path, weights=weights), inputs, expected)


def rewritten(source: Path, target: Path, change: Callable[[Any], object]) -> Path:
    """An archive with another architecture."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        tree = json.loads(archive.read("config.json"))
        change(tree)
        copy.writestr("config.json", json.dumps(tree))
        copy.writestr("model.weights.h5", archive.read("model.weights.h5"))
    return target


def layer_configs(tree: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for layer in tree["config"]["layers"]:
        if "layers" in layer["config"]:
            yield from layer_configs(layer)
        else:
            yield layer["class_name"], layer["config"]


def drop(*keys: str) -> Callable[[Any], None]:
    def change(tree: Any) -> None:
        count = 0
        for _, config in layer_configs(tree):
            count += sum(config.pop(key, drop) is not drop for key in keys)
        assert count

    return change


def wrap_dtypes(tree: Any) -> None:
    for _, config in layer_configs(tree):
        policy = {"name": "float32"}
        config["dtype"] = {"module": "keras", "class_name": "DTypePolicy", "config": policy}


def rename_shapes(tree: Any) -> None:
    for name, config in layer_configs(tree):
        if name == "InputLayer":
            config["batch_shape"] = config.pop("batch_input_shape")
            config["optional"] = False


def rename_models(tree: Any) -> None:
    """As before TensorFlow 2.4."""
    tree["class_name"] = "Model"
    for layer in tree["config"]["layers"]:
        if layer["class_name"] == "Functional":
            layer["class_name"] = "Model"


def activation_objects(tree: Any) -> None:
    for _, config in layer_configs(tree):
        if isinstance(config.get("activation"), str):
            function = {"module": "builtins", "class_name": "function"}
            config["activation"] = {**function, "config": config["activation"]}


CHANGES = {
    "no-groups": drop("groups"),
    "no-keepdims": drop("keepdims"),
    "no-dtype": drop("dtype"),
    "dtype-policies": wrap_dtypes,
    "batch-shape": rename_shapes,
    "activation-objects": activation_objects,
}


@pytest.mark.parametrize("name", CHANGES)
def test_dialects_mean_the_same(name: str, tmp_path: Path) -> None:
    source = SAMPLES / "keras-2.13.keras"
    changed = rewritten(source, tmp_path / "m.keras", CHANGES[name])
    assert module_text(import_model(changed)) == module_text(import_model(source))


def test_functional_models_of_old_have_the_class_model(tmp_path: Path) -> None:
    path, _ = sample("keras-2.13", "h5", tmp_path)
    shutil.copy(path, tmp_path / "old.h5")
    h5py: Any = importlib.import_module("h5py")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        tree = json.loads(file.attrs["model_config"])
        rename_models(tree)
        file.attrs["model_config"] = json.dumps(tree)
    assert module_text(import_model(tmp_path / "old.h5")) == module_text(import_model(path))


def without_inner_input(tree: Any) -> None:
    """As before TensorFlow 2.4: Sequential without its input layer, which is counted."""
    for layer in tree["config"]["layers"]:
        if layer["class_name"] == "Sequential":
            assert layer["config"]["layers"].pop(0)["class_name"] == "InputLayer"


def list_config(tree: Any) -> None:
    """As in Keras 2.0 to 2.2.2: the config of a Sequential model is a list."""
    for layer in tree["config"]["layers"]:
        if layer["class_name"] == "Sequential":
            layer["config"] = layer["config"]["layers"][1:]


def uncounted(tree: Any) -> None:
    """A nested model that was made without an input shape counts its calls from 0."""
    text = json.dumps(tree)
    for node in range(1, 9):
        text = text.replace(f'["seq", {node}, ', f'["seq", {node - 1}, ')
    tree["config"] = json.loads(text)["config"]


@pytest.mark.parametrize("change", [without_inner_input, list_config, uncounted])
def test_older_nested_models(change: Callable[[Any], None], tmp_path: Path) -> None:
    source = SAMPLES / "keras-2.13.keras"
    changed = rewritten(source, tmp_path / "m.keras", change)
    assert changed.read_bytes() != source.read_bytes()
    assert module_text(import_model(changed)) == module_text(import_model(source))


@pytest.mark.parametrize("key", ["nb_filter", "border_mode", "subsample", "dim_ordering"])
def test_keys_of_keras_1_are_refused(key: str, tmp_path: Path) -> None:
    def change(tree: Any) -> None:
        dict(layer_configs(tree))["Conv2D"][key] = 1

    path = rewritten(SAMPLES / "keras-2.13.keras", tmp_path / "m.keras", change)
    with pytest.raises(Keras1Config, match=f"Conv2D has {key}"):
        read_model(path)


@pytest.mark.parametrize(
    "class_name", ["Dense", "QConv2DBatchnorm", "ReLU", "BatchNormalization", "Slice_tensor1D"]
)
def test_groups_are_named_as_keras_names_them(class_name: str) -> None:
    utilities: Any = importlib.import_module("tf_keras.src.utils.generic_utils")
    assert snake_case(class_name) == utilities.to_snake_case(class_name)


# ---- through the compiler ------------------------------------------------------------------------


def small() -> Any:
    inner = keras.Sequential(
        [keras.Input((3,)), qkeras.QDense(2, **QUANTIZED, name="dense")], name="inner"
    )
    x = keras.Input((3,), name="x")
    y = qkeras.QActivation(bits(6, 2), name="act")(x)
    return keras.Model(x, inner(y), name="small.net")


def test_refused_classes_are_named_in_archives_too(tmp_path: Path) -> None:
    """The variables of the parts of such a layer are of no interest."""
    x = keras.Input((4, 4), name="x")
    y = layers.MultiHeadAttention(2, 2, name="heads")(x, x)
    keras.Model(x, y).save(tmp_path / "m.keras")
    with pytest.raises(RefusedLayer, match="layer 'heads'"):
        import_model(tmp_path / "m.keras")
    keras.Sequential([x, layers.LocallyConnected1D(2, 2, name="local")]).save(tmp_path / "n.keras")
    with pytest.raises(RefusedLayer, match="layer 'local'"):
        import_model(tmp_path / "n.keras")


WRAPPED: dict[str, tuple[Callable[[], Any], str]] = {
    "sequential": (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3)]),
        "its inner layer is a model (Sequential)"),
    "functional": (lambda: chain_of_inputs(4), "its inner layer is a model (Functional)"),
    "normalisation": (lambda: layers.GroupNormalization(2), "by a norm of the event's own values"),
    "in-wrapper": (lambda: layers.TimeDistributed(layers.GroupNormalization(2)),
        "by a norm of the event's own values"),
}  # fmt: skip


def chain_of_inputs(size: int) -> Any:
    x = keras.Input((size,))
    return keras.Model(x, layers.ReLU()(layers.Dense(2)(x)))


@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped_layers_and_models_are_refused_from_all_formats(name: str, tmp_path: Path) -> None:
    """By the reason, and not because their variables have no names there."""
    make, reason = WRAPPED[name]
    x = keras.Input((5, 6, 4) if name == "in-wrapper" else (5, 4), name="x")
    model = keras.Model(x, layers.TimeDistributed(make(), name="y")(x))
    for read in stored(model, tmp_path):
        with pytest.raises(CaloccError) as caught:
            imported(read)
        assert reason in caught.value.what
        assert "'y'" in caught.value.where


def test_a_model_in_memory_is_compiled(tmp_path: Path) -> None:
    model = randomized(small())
    model.save(tmp_path / "small.keras")
    live, archived = compile(model), compile(tmp_path / "small.keras")
    assert live.name == "small"
    assert module_text(live.module) == module_text(archived.module)
    x = np.random.default_rng(2).normal(size=(20, 3))
    np.testing.assert_array_equal(live.predict(x), archived.predict(x))
    np.testing.assert_allclose(live.predict(x), model(x.astype("f4")), atol=1e-5)


def test_other_objects_are_refused() -> None:
    with pytest.raises(NotAModel, match="it has no to_json"):
        compile(np.zeros(3))


def test_architecture_and_weights_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = randomized(small())
    (tmp_path / "small.json").write_text(model.to_json())
    model.save_weights(tmp_path / "w.h5")
    files = [str(tmp_path / "small.json"), "--weights", str(tmp_path / "w.h5")]
    main([*files, "--emit", "qnn"])
    expected = Compilation(Path("small"), Options(), model=read_live(model)).stage("qnn")
    assert capsys.readouterr().out == module_text(expected)
    design = compile(tmp_path / "small.json", weights=str(tmp_path / "w.h5"))
    assert module_text(design.module) == module_text(compile(model).module)


def test_weights_for_a_model_with_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsGivenTwice):
        compile(SAMPLES / "keras-2.13.keras", weights=tmp_path / "w.h5")
    with pytest.raises(WeightsGivenTwice):
        compile(small(), weights=tmp_path / "w.h5")
