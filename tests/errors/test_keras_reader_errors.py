"""Each error of the Keras reader and of layer configs, word for word (`golden/keras-*.txt`)."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras import errors
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.reader import KerasLayer, read_model

h5py: Any = importlib.import_module("h5py")

GOLDEN = Path(__file__).parent / "golden"


def entry(name: str, class_name: str = "Dense", *inbound: Any, **config: Any) -> dict[str, Any]:
    config = {"name": name, **config}
    return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": inbound}


def functional(*layers: Any, inputs: Any = (), outputs: Any = ()) -> dict[str, Any]:
    """A model of these layers, from `x` to `y` unless said otherwise."""
    config = {
        "name": "net",
        "layers": layers,
        "input_layers": inputs or [["x", 0, 0]],
        "output_layers": outputs or [["y", 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


X = entry("x", "InputLayer", batch_input_shape=[None, 2])
Y = entry("y", "Dense", [["x", 0, 0, {}]])
GOOD = functional(X, Y)


def save(
    path: Path,
    config: object = GOOD,
    fill: Callable[[Any], object] = lambda group: group.create_dataset("y/kernel:0", data=[1.0]),
) -> None:
    """A file as Keras writes it, with one weight of layer y that `fill` creates."""
    with h5py.File(path, "w") as file:
        text = config if isinstance(config, str) else json.dumps(config)
        file.attrs["model_config"] = text
        groups = file.create_group("model_weights")
        groups.attrs["layer_names"] = ["x", "y"]
        groups.create_group("x").attrs["weight_names"] = np.zeros(0)
        group = groups.create_group("y")
        group.attrs["weight_names"] = ["y/kernel:0"]
        fill(group)


def configured(config: object) -> Callable[[Path], None]:
    return lambda path: save(path, config)


def filled(fill: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda path: save(path, fill=fill)


def nothing(path: Path) -> None:
    """Write no file."""


def raw(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def cut(path: Path) -> None:
    save(path)
    path.write_bytes(path.read_bytes()[:-300])


def without(remove: Callable[[Any], object]) -> Callable[[Path], None]:
    """A good file from which something was removed."""

    def write(path: Path) -> None:
        save(path)
        with h5py.File(path, "a") as file:
            remove(file)

    return write


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout(shape=(2,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hosts", "x", shape=(2,))
    group.create_virtual_dataset("y/kernel:0", layout)


def external(group: Any) -> None:
    group.create_dataset("y/kernel:0", shape=(2,), dtype="f4", external=[("/etc/hosts", 0, 8)])


def link(target: object) -> Callable[[Any], None]:
    def fill(group: Any) -> None:
        group.create_group("y")["kernel:0"] = target

    return fill


def data(**arguments: Any) -> Callable[[Path], None]:
    return filled(lambda group: group.create_dataset("y/kernel:0", **arguments))


def nested(depth: int) -> str:
    return '{"class_name": ' + "[" * depth + "]" * depth + "}"


dense = {"class_name": "Dense", "config": {"name": "y"}}
FILES: dict[str, Callable[[Path], None]] = {
    "missing-file": nothing,
    "directory": Path.mkdir,
    "not-hdf5": raw(b"PK\x03\x04 a zip archive"),
    "empty-file": raw(b""),
    "truncated": cut,
    "weights-only": without(lambda file: file.attrs.pop("model_config")),
    "no-weights": without(lambda file: file.pop("model_weights")),
    "missing-dataset": without(lambda file: file["model_weights/y/y"].pop("kernel:0")),
    "no-weight-names": without(lambda file: file["model_weights/y"].attrs.pop("weight_names")),
    "invalid-json": configured('{"class_name": '),
    "json-constant": configured('{"class_name": NaN}'),
    "deep-json": configured(nested(70)),
    "very-deep-json": configured(nested(100_000)),
    "config-not-text": without(lambda file: file.attrs.create("model_config", [1, 2])),
    "config-is-list": configured([1, 2]),
    "no-class-name": configured({"config": {}}),
    "layers-not-list": configured({"class_name": "Sequential", "config": {"layers": "dense"}}),
    "no-layers": configured({"class_name": "Sequential", "config": {"layers": []}}),
    "keras-3-nodes": configured(functional(X, entry("y", "Dense", {"args": [], "kwargs": {}}))),
    "bad-node-index": configured(functional(X, entry("y", "Dense", [["x", -1, 0, {}]]))),
    "empty-node": configured(functional(X, entry("y", "Dense", []))),
    "bad-outputs": configured(functional(X, Y, outputs=[["y"]])),
    "no-input-shape": configured({"class_name": "Sequential", "config": {"layers": [dense]}}),
    "subclassed-model": configured({"class_name": "MyModel", "config": {"name": "mine"}}),
    "nested-model": configured(functional(X, entry("y", "Sequential", [["x", 0, 0, {}]]))),
    "duplicate-layer": configured(functional(X, Y, Y)),
    "dangling-layer": configured(functional(X, entry("y", "Dense", [["z", 0, 0, {}]]))),
    "dangling-call": configured(functional(X, entry("y", "Dense", [["x", 1, 0, {}]]))),
    "dangling-output": configured(functional(X, Y, outputs=[["z", 0, 0]])),
    "cycle": configured(functional(X, entry("y", "Dense", [["y", 0, 0, {}]]))),
    "call-argument": configured(
        functional(X, entry("y", "TFOpLambda", ["x", 0, 0, {"y": 2.0, "name": None}]))
    ),
    "training-mode": configured(functional(X, entry("y", "Dense", [["x", 0, 0, {"training": 1}]]))),
    "unallocated": data(shape=(1 << 40,), dtype="f4"),
    "compressed-bomb": data(shape=(1 << 40,), dtype="f4", chunks=(1 << 10,), compression="gzip"),
    "external-storage": filled(external),
    "virtual-dataset": filled(virtual),
    "external-link": filled(link(h5py.ExternalLink("/etc/hosts", "/x"))),
    "soft-link": filled(link(h5py.SoftLink("/model_weights"))),
    "plugin-filter": data(data=np.zeros(64), chunks=(8,), scaleoffset=2),
    "text-weight": data(data=["a"]),
    "complex-weight": data(data=[1j]),
    "bool-weight": data(data=[True]),
    "empty-weight": data(dtype="f4"),
    "group-weight": filled(lambda group: group.create_group("y/kernel:0")),
    "rank-9": data(data=np.zeros((1,) * 9)),
    "nan-weight": data(data=[1.0, np.nan, -np.inf]),
}


def config(**entries: Any) -> LayerConfig:
    return LayerConfig(KerasLayer("conv", "QConv2D", entries, (), {"bias": np.zeros(1)}))


CONFIGS: dict[str, Callable[[], object]] = {
    "missing-weight": lambda: config().layer.weight("kernel"),
    "uninterpreted-key": lambda: config(name="c", groups=[2, 2]).finish(),
    "sparse": lambda: config(sparse=True).finish(),
    "half-precision": lambda: config(dtype="float16").finish(),
    "mixed-precision": lambda: config(
        dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}}
    ).finish(),
    "not-default": lambda: config(dilation_rate=[2, 1]).expect_default("dilation_rate", (1, 1)),
    "missing-key": lambda: config().take_int("filters"),
    "wrong-int": lambda: config(filters=True).take_int("filters"),
    "wrong-float": lambda: config(epsilon=10**400).take_float("epsilon"),
    "wrong-bool": lambda: config(use_bias=1).take_bool("use_bias"),
    "wrong-text": lambda: config(padding=0).take_str("padding"),
    "wrong-choice": lambda: config(padding="full").take_str("padding", choices=("valid", "same")),
    "wrong-pair": lambda: config(strides=[1, 1, 1]).take_pair("strides"),
    "wrong-shape": lambda: config(batch_input_shape=[None, 0]).take_shape("batch_input_shape"),
    "wrong-object": lambda: config(layer="Dense").take_object("layer"),
    "wrong-activation": lambda: config(activation={"class_name": "ReLU"}).take_activation(
        "activation"
    ),
    "wrong-quantizer": lambda: config(kernel_quantizer=6).take_quantizer("kernel_quantizer"),
    "activation-with-arguments": lambda: config(activation="relu(6)").take_activation("activation"),
    "unknown-quantizer": lambda: config(kernel_quantizer="my_bits(6)").take_quantizer(
        "kernel_quantizer"
    ),
    "noisy-quantizer": lambda: config(
        kernel_quantizer={"class_name": "quantized_bits", "config": {"qnoise_factor": 0.5}}
    ).take_quantizer("kernel_quantizer"),
    "long-value": lambda: config(groups=list(range(1000))).finish(),
}


def read_case(name: str, folder: Path) -> CaloccError:
    path = folder / "model.h5"
    FILES[name](path)
    with pytest.raises(CaloccError) as caught:
        read_model(path)
    return caught.value


def config_case(name: str) -> CaloccError:
    with pytest.raises(CaloccError) as caught:
        CONFIGS[name]()
    return caught.value


def expected(name: str) -> str:
    return (GOLDEN / f"keras-{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_file_errors(name: str, tmp_path: Path) -> None:
    text = str(read_case(name, tmp_path)).replace(str(tmp_path), "DIR")
    assert text + "\n" == expected(name)


@pytest.mark.parametrize("name", CONFIGS)
def test_config_errors(name: str) -> None:
    assert str(config_case(name)) + "\n" == expected(name)


def test_the_weights_together_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "model.h5")
    monkeypatch.setattr("calocc.compiler.keras.reader._MOST_BYTES", 7)
    with pytest.raises(errors.TooLarge, match="model_weights declares 8 bytes"):
        read_model(tmp_path / "model.h5")


def test_the_length_of_the_config_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "model.h5")
    monkeypatch.setattr("calocc.compiler.keras.reader._MOST_TEXT", 7)
    with pytest.raises(errors.TooLarge, match="model_config declares"):
        read_model(tmp_path / "model.h5")


def test_every_error_has_a_golden_text(tmp_path: Path) -> None:
    shown = {type(config_case(name)) for name in CONFIGS}
    for name in FILES:
        (tmp_path / name).mkdir()
        shown.add(type(read_case(name, tmp_path / name)))
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass)}
    defined = {kind for kind in classes if kind.__module__ == errors.__name__}
    assert defined - shown == {errors.FileError, errors.ModelError}


def test_golden_files_all_belong_to_a_case() -> None:
    names = {path.stem.removeprefix("keras-") for path in GOLDEN.glob("keras-*.txt")}
    assert names == FILES.keys() | CONFIGS.keys()
