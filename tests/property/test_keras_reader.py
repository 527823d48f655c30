"""Reading Keras 2 files: what Keras saves comes back, and what is mangled is refused."""

from __future__ import annotations

import copy
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.errors import InvalidJson, MalformedConfig, UninterpretedKey
from calocc.compiler.keras.model import Call, KerasModel, TensorRef
from calocc.compiler.keras.reader import read_model
from calocc.dialects.qnn.quantizers import parse

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
h5py: Any = importlib.import_module("h5py")
qkeras: Any = importlib.import_module("qkeras")
keras: Any = importlib.import_module("tf_keras")
layers: Any = importlib.import_module("tf_keras.layers")


def two_branches() -> Any:
    """Two inputs and outputs, a shared layer, a BN-folding convolution, quantizers of all kinds."""
    image, scalars = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="scalars")
    x = qkeras.QConv2DBatchnorm(
        4,
        3,
        kernel_quantizer="quantized_bits(4,0,alpha=1)",
        bias_quantizer=qkeras.quantized_bits(6, 2, alpha=1.0),
        name="conv",
    )(image)
    x = qkeras.QActivation(qkeras.quantized_relu(6, 2, negative_slope=0.25), name="act")(x)
    x = layers.Flatten(name="flat")(x)
    x = qkeras.QDense(
        4,
        kernel_quantizer=qkeras.quantized_bits(6, 1),
        bias_quantizer=None,
        activation="quantized_tanh(5)",
        name="dense",
    )(x)
    twice = layers.Dense(4, name="twice")
    y = twice(twice(layers.Add(name="add")([x, scalars])))
    y = layers.BatchNormalization(name="norm")(y, training=False)
    return keras.Model([image, scalars], [y, x], name="net")


def plain_chain() -> Any:
    first = layers.Conv1D(3, 2, input_shape=(7, 2), name="c")
    rest = [layers.ReLU(name="r"), layers.Flatten(name="f"), layers.Dense(2, name="d")]
    return keras.Sequential([first, *rest], name="chain")


def saved(model: Any, folder: Path) -> KerasModel:
    for variable in model.variables:
        variable.assign(np.random.default_rng(7).normal(size=variable.shape) * 9)
    model.save(folder / "model.h5")
    return read_model(folder / "model.h5")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, KerasModel]:
    model = two_branches()
    return model, saved(model, tmp_path_factory.mktemp("net"))


def test_the_graph_is_that_of_keras(net: tuple[Any, KerasModel]) -> None:
    _, model = net
    assert model.name == "net"
    assert model.inputs == (TensorRef("image", 0, 0), TensorRef("scalars", 0, 0))
    assert model.outputs == (TensorRef("norm", 0, 0), TensorRef("dense", 0, 0))
    assert model.layer("add").inbound == ((TensorRef("dense", 0, 0), TensorRef("scalars", 0, 0)),)
    assert model.layer("twice").inbound == (
        (TensorRef("add", 0, 0),),
        (TensorRef("twice", 0, 0),),
    )
    assert model.layer("norm").inbound == ((TensorRef("twice", 1, 0),),)
    assert model.layer("image").calls == (Call("image", 0),)


def test_each_call_comes_after_its_inputs(net: tuple[Any, KerasModel]) -> None:
    _, model = net
    assert len(model.calls) == 10
    done: set[Call] = set()
    for call in model.calls:
        sources = model.layer(call.layer).inbound[call.node : call.node + 1]
        assert {Call(ref.layer, ref.node) for refs in sources for ref in refs} <= done
        done.add(call)
    order = [call.layer for call in model.calls]
    assert [layer.name for layer in model.layers] == list(dict.fromkeys(order))


def test_weights_are_those_of_keras(net: tuple[Any, KerasModel]) -> None:
    original, model = net
    count = 0
    for layer in model.layers:
        for variable in original.get_layer(layer.name).variables:
            name = variable.name.rpartition("/")[2].removesuffix(":0")
            np.testing.assert_array_equal(layer.weight(name), variable.numpy())
            assert layer.weight(name).dtype == variable.dtype.as_numpy_dtype
            assert not layer.weight(name).flags.writeable
            count += 1
    assert count == 7 + 2 + 2 + 4
    assert set(model.layer("conv").weights) == {
        *("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "iteration"),
    }


def test_quantizers_of_texts_and_objects(net: tuple[Any, KerasModel]) -> None:
    _, model = net
    conv, dense = LayerConfig(model.layer("conv")), LayerConfig(model.layer("dense"))
    assert conv.take_quantizer("kernel_quantizer") == parse("quantized_bits(4,0,alpha=1)")
    assert conv.take_quantizer("bias_quantizer") == parse("quantized_bits(6,2,alpha=1)")
    assert conv.take_activation("activation") == "linear"
    # Building the layer has promoted the kernel quantizer.
    assert dense.take_quantizer("kernel_quantizer") == parse("quantized_bits(6,1,alpha='auto_po2')")
    assert dense.take_quantizer("bias_quantizer") is None
    assert dense.take_activation("activation") == parse("quantized_tanh(5)")
    act = LayerConfig(model.layer("act")).take_activation("activation")
    assert act == parse("quantized_relu(6,2,negative_slope=0.25)")


def test_a_config_that_is_read_completely_finishes(net: tuple[Any, KerasModel]) -> None:
    config = LayerConfig(net[1].layer("conv"))
    assert config.take_int("filters") == 4
    assert config.take_pair("kernel_size") == (3, 3)
    assert config.take_pair("strides") == (1, 1)
    assert config.take_str("padding", choices=("valid", "same")) == "valid"
    assert config.take_float("epsilon") == 0.001
    assert config.take_bool("use_bias")
    assert config.take_ints("axis", 1) == (3,)
    for key in ("kernel_quantizer", "bias_quantizer"):
        config.take_quantizer(key)
    config.take_activation("activation")
    config.expect_default("dilation_rate", (1, 1))
    config.expect_default("data_format", "channels_last")
    config.ignore("ema_freeze_delay", "folding_mode", "center", "scale")
    with pytest.raises(UninterpretedKey, match="groups=1"):
        config.finish()
    config.expect_default("groups", 1)
    config.finish()


@pytest.mark.parametrize("name", ["image", "flat", "add", "twice", "norm"])
def test_harmless_keys_alone_do_not_finish_a_layer_with_parameters(
    net: tuple[Any, KerasModel], name: str
) -> None:
    config = LayerConfig(net[1].layer(name))
    if name in ("image", "add"):
        config.finish()
    else:
        with pytest.raises(UninterpretedKey):
            config.finish()


def test_sequential_models_have_an_input_layer(tmp_path: Path) -> None:
    model = saved(plain_chain(), tmp_path)
    assert [layer.class_name for layer in model.layers] == [
        *("InputLayer", "Conv1D", "ReLU", "Flatten", "Dense"),
    ]
    first = model.layers[0].name
    assert LayerConfig(model.layers[0]).take_shape("batch_input_shape") == (None, 7, 2)
    assert model.inputs == (TensorRef(first, 0, 0),)
    assert model.outputs == (TensorRef("d", 0, 0),)
    assert model.layer("c").inbound == ((TensorRef(first, 0, 0),),)
    assert model.layer("d").inbound == ((TensorRef("f", 0, 0),),)


def change_config(path: Path, change: Callable[[Any], Any]) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"])))


def as_list(tree: Any) -> Any:
    """The oldest form: the config is the list of layers, without an input layer."""
    return {**tree, "config": tree["config"]["layers"][1:]}


def build_shape(tree: Any) -> Any:
    """Another form: the model was built, and no layer has an input shape."""
    found = tree["config"]["layers"][1:]
    found[0]["config"].pop("batch_input_shape")
    return {**tree, "config": {"layers": found, "build_input_shape": [None, 7, 2]}}


@pytest.mark.parametrize("change", [as_list, build_shape])
def test_older_sequential_files(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    saved(plain_chain(), tmp_path)
    change_config(tmp_path / "model.h5", change)
    model = read_model(tmp_path / "model.h5")
    assert model.name == "sequential"
    assert model.inputs == (TensorRef("c_input", 0, 0),)
    assert model.layers[0].config["batch_input_shape"] == [None, 7, 2]
    assert [layer.name for layer in model.layers] == ["c_input", "c", "r", "f", "d"]
    assert model.layer("d").weight("kernel").shape == (18, 2)


def test_dictionaries_of_inputs_and_outputs_are_sorted(tmp_path: Path) -> None:
    b, a = keras.Input((2,), name="first"), keras.Input((2,), name="second")
    inputs, outputs = {"b": b, "a": a}, {"z": layers.Add(name="s")([a, b]), "y": a}
    model = saved(keras.Model(inputs, outputs), tmp_path)
    assert [ref.layer for ref in model.inputs] == ["second", "first"]
    assert [ref.layer for ref in model.outputs] == ["second", "s"]


def test_ambiguous_weights_keep_their_whole_name(tmp_path: Path) -> None:
    x = keras.Input((3, 2))
    y = layers.RNN([layers.SimpleRNNCell(2, name=name) for name in "ab"], name="both")(x)
    weights = saved(keras.Model(x, y), tmp_path).layer("both").weights
    assert len(weights) == 6
    assert weights["both/stacked_rnn_cells/b/bias"].shape == (2,)


@pytest.mark.parametrize("storage", [{"compression": "gzip"}, {"chunks": (3, 3)}, {"dtype": ">f8"}])
def test_repacked_weights_are_read(tmp_path: Path, storage: dict[str, Any]) -> None:
    saved(plain_chain(), tmp_path)
    with h5py.File(tmp_path / "model.h5", "a") as file:
        group = file["model_weights/d/d"]
        values = group["kernel:0"][()]
        del group["kernel:0"]
        group.create_dataset("kernel:0", data=np.tile(values, (2, 2)), **storage)
    kernel = read_model(tmp_path / "model.h5").layer("d").weight("kernel")
    np.testing.assert_array_equal(kernel, np.tile(values, (2, 2)))
    assert kernel.dtype.isnative


def test_long_lists_of_names_are_split_as_keras_does(tmp_path: Path) -> None:
    saved(plain_chain(), tmp_path)
    with h5py.File(tmp_path / "model.h5", "a") as file:
        attributes = file["model_weights/d"].attrs
        names = attributes.pop("weight_names")
        attributes["weight_names0"], attributes["weight_names1"] = names[:1], names[1:]
    assert set(read_model(tmp_path / "model.h5").layer("d").weights) == {"kernel", "bias"}


def test_names_that_a_terminal_would_obey_are_refused(tmp_path: Path) -> None:
    saved(plain_chain(), tmp_path)
    path = tmp_path / "model.h5"
    change_config(path, lambda tree: {**tree, "class_name": "\x1b[2J"})
    with pytest.raises(MalformedConfig, match=r"should be a printable text, found '.x1b\[2J'"):
        read_model(path)
    change_config(path, lambda tree: {**tree, "\x1b[2J": 1})
    with pytest.raises(InvalidJson, match=r"the key '.x1b\[2J' is not printable"):
        read_model(path)


def test_layers_that_nothing_calls_are_left_out(tmp_path: Path) -> None:
    saved(two_branches(), tmp_path)

    def add_unused(tree: Any) -> Any:
        unused = copy.deepcopy(tree["config"]["layers"][-1])
        unused["config"]["name"], unused["inbound_nodes"] = "unused", []
        tree["config"]["layers"].append(unused)
        return tree

    change_config(tmp_path / "model.h5", add_unused)
    assert "unused" not in {layer.name for layer in read_model(tmp_path / "model.h5").layers}


@pytest.fixture(scope="module")
def good_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, str]:
    path = tmp_path_factory.mktemp("good") / "model.h5"
    saved(two_branches(), path.parent)
    with h5py.File(path) as file:
        text: str = file.attrs["model_config"]
    return path, path.read_bytes(), text


@given(st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_every_shortened_file_is_refused(
    good_file: tuple[Path, bytes, str], fraction: float
) -> None:
    path, content, _ = good_file
    short = path.with_name("short.h5")
    short.write_bytes(content[: int(fraction * (len(content) - 1))])
    with pytest.raises(CaloccError):
        read_model(short)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3) | st.just("add"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "config", "class_name"]), inner)
    ),
    max_leaves=4,
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of the tree down to the references, not inside layer configs."""
    keys: list[Any] = list(tree) if hasattr(tree, "keys") else list(range(len(tree)))
    inner: list[Any] = [tree[key] for key in keys if isinstance(tree[key], dict | list)]
    return [(tree, key) for key in keys] + [place for node in inner for place in places(node)]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_mangled_config_is_read_or_refused(
    good_file: tuple[Path, bytes, str], data: st.DataObject
) -> None:
    path, content, text = good_file
    tree = json.loads(text)
    container, key = data.draw(st.sampled_from(places(tree)))
    container[key] = data.draw(json_values)
    mangled = path.with_name("mangled.h5")
    mangled.write_bytes(content)
    change_config(mangled, lambda _: tree)
    try:
        model = read_model(mangled)
    except CaloccError:
        return
    calls = {call for layer in model.layers for call in layer.calls}
    assert calls == set(model.calls)
    assert {Call(ref.layer, ref.node) for ref in model.inputs + model.outputs} <= calls
