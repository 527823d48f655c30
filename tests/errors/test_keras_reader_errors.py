"""Each error of the Keras reader and of layer configs, word for word (`golden/keras-*.txt`)."""

from __future__ import annotations

import inspect
import json
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hdf5_models import entry, functional, h5py, write_model

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras import errors
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.model import KerasLayer
from calocc.compiler.keras.reader import read_live, read_model

GOLDEN = Path(__file__).parent / "golden"


X = entry("x", "InputLayer", batch_input_shape=[None, 2])
Y = entry("y", "Dense", [["x", 0, 0, {}]])
GOOD = functional(X, Y)


def save(path: Path, config: object = GOOD, fill: Callable[[Any], object] | None = None) -> None:
    """A file as Keras writes it, with one weight of layer y, which `fill` may create instead."""
    write_model(path, config, {"x": {}, "y": {"kernel": [1.0]}})
    if fill is not None:
        with h5py.File(path, "a") as file:
            group = file["model_weights/y"]
            del group["y"]
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


def lists_for_config(file: Any) -> None:
    values = np.empty(1, object)
    values[0] = np.ones(1, np.int32)
    file.attrs.create("model_config", values, dtype=h5py.vlen_dtype(np.int32))


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout(shape=(2,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hosts", "x", shape=(2,))
    group.create_virtual_dataset("y/kernel:0", layout)


def external(group: Any) -> None:
    group.create_dataset("y/kernel:0", shape=(2,), dtype="f4", external=[("/etc/hosts", 0, 8)])


def wide_chunk(group: Any) -> None:
    """Two numbers in a chunk of 1 GB, of which little is stored."""
    options: Any = {"chunks": (1 << 28,), "maxshape": (None,), "compression": "gzip"}
    data = group.create_dataset("y/kernel:0", (2,), "f4", **options)
    data.id.write_direct_chunk((0,), bytes(64))


def link(target: object) -> Callable[[Any], None]:
    def fill(group: Any) -> None:
        group.create_group("y")["kernel:0"] = target

    return fill


def data(**arguments: Any) -> Callable[[Path], None]:
    return filled(lambda group: group.create_dataset("y/kernel:0", **arguments))


def nested(depth: int) -> str:
    return '{"class_name": ' + "[" * depth + "]" * depth + "}"


# ---- nested models -------------------------------------------------------------------------------


def inner(name: str, *inbound: Any, layers: Any = (), **endpoints: Any) -> dict[str, Any]:
    """A nested model, by default of one Dense layer."""
    model = functional(*(layers or (X, Y)), **endpoints)
    config = {**model["config"], "name": name}
    return {"class_name": "Functional", "config": config, "inbound_nodes": inbound}


FROM_X: Any = [["x", 0, 0, {}]]
FROM_Y: Any = [["y", 1, 0, {}]]
Z = entry("z", "Dense", FROM_Y)
TO_Z = [["z", 0, 0]]


def doubling(levels: int) -> dict[str, Any]:
    """Each model calls the one inside twice."""
    model = inner("y")
    for _ in range(levels):
        twice: Any = {**model, "inbound_nodes": [FROM_X, FROM_Y]}
        model = inner("y", layers=(X, twice), outputs=[["y", 2, 0]])
    return functional(X, {**model, "inbound_nodes": [FROM_X]}, outputs=[["y", 1, 0]])


def other_weights(*names: str) -> Callable[[Path], None]:
    """Weights of these names in a nested model y, whose two layers have one name."""
    twins = [
        inner(name, layers=(X, entry("d", "Dense", FROM_X)), outputs=[["d", 0, 0]]) for name in "ab"
    ]
    chain: list[Any] = [
        {**twins[0], "inbound_nodes": [FROM_X]},
        {**twins[1], "inbound_nodes": [[["a", 1, 0, {}]]]},
    ]
    model = inner("y", FROM_X, layers=(X, *chain), outputs=[["b", 1, 0]])

    def fill(group: Any) -> None:
        group.attrs["weight_names"] = list(names)
        for name in names:
            group.create_dataset(name, data=[1.0])

    return lambda path: save(path, functional(X, model, outputs=[["y", 1, 0]]), fill)


# ---- archives ------------------------------------------------------------------------------------


def weights_file(groups: Mapping[str, Any]) -> bytes:
    """An HDF5 file with datasets at these places, and what Keras always writes."""
    content = BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("vars")
        for name, data in groups.items():
            file.create_group(name) if data is None else file.create_dataset(name, data=data)
    return content.getvalue()


INPUT_ALONE = {"layers/input_layer/vars": None}
ARCHIVED = weights_file(
    {**INPUT_ALONE, "layers/dense/vars/0": [[1.0]], "layers/dense/vars/1": [1.0]}
)


def archive(
    config: object = GOOD, weights: bytes = ARCHIVED, twice: bool = False, **arguments: Any
) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            text = config if isinstance(config, bytes) else json.dumps(config).encode()
            file.writestr("metadata.json", "{}")
            file.writestr("config.json", text)
            file.writestr("model.weights.h5", weights, **arguments)
            if twice:
                with pytest.warns(UserWarning, match="Duplicate"):
                    file.writestr("model.weights.h5", weights)

    return write


def without_member(name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for other in {"config.json", "model.weights.h5"} - {name}:
                file.writestr(other, json.dumps(GOOD))

    return write


def encrypted(path: Path) -> None:
    archive()(path)
    content = path.read_bytes()
    place = content.rindex(b"PK\x01\x02")  # the last entry of the directory; its flags follow
    path.write_bytes(content[: place + 8] + b"\1" + content[place + 9 :])


def cut_archive(path: Path) -> None:
    archive()(path)
    path.write_bytes(path.read_bytes()[:-30])


def flipped_archive(path: Path) -> None:
    """The checksum of the weights is wrong."""
    archive()(path)
    content = path.read_bytes()
    place = content.index(b"\x89HDF") + 8
    path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])


def stored(**places: Any) -> Callable[[Path], None]:
    """An archive with these datasets for layer y; `_` stands for `/`."""
    found = {f"layers/{name.replace('_', '/')}": data for name, data in places.items()}
    return archive(weights=weights_file({**INPUT_ALONE, **found}))


def sibling(path: Path, write: Callable[[Path], object]) -> Path:
    weights = path.with_name("weights.h5")
    write(weights)
    return weights


def architecture(
    write: Callable[[Path], object] | None = None, config: object = GOOD
) -> Callable[[Path], Path | None]:
    """JSON, with a file of weights if there is a function that writes one."""

    def both(path: Path) -> Path | None:
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return None if write is None else sibling(path, write)

    return both


def weights_only(layer: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [layer]
            file.create_group(layer).attrs["weight_names"] = ["kernel:0"]
            file[layer].create_dataset("kernel:0", data=[1.0])

    return write


def whole_model_and(write: Callable[[Path], object]) -> Callable[[Path], Path]:
    def both(path: Path) -> Path:
        write(path)
        return Path("weights.h5")

    return both


def history(layer: str) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [layer, 0, 0]}}


def keras_3(*arguments: Any, **keywords: Any) -> Callable[[Path], None]:
    call = {"args": arguments, "kwargs": keywords}
    return configured(functional(X, entry("y", "Dense", call)))


dense = {"class_name": "Dense", "config": {"name": "y"}}
FILES: dict[str, Callable[[Path], Path | None]] = {
    "missing-file": nothing,
    "directory": Path.mkdir,
    "unknown-format": raw(b"# a model"),
    "not-text": raw(b'{"class_name": \xff'),
    "empty-file": raw(b""),
    "truncated": cut,
    "weights-only": without(lambda file: file.attrs.pop("model_config")),
    "no-weights": without(lambda file: file.pop("model_weights")),
    "missing-dataset": without(lambda file: file["model_weights/y/y"].pop("kernel:0")),
    "no-weight-names": without(lambda file: file["model_weights/y"].attrs.pop("weight_names")),
    "invalid-json": configured('{"class_name": '),
    "json-constant": configured('{"class_name": NaN}'),
    "repeated-key": configured('{"class_name": "A", "class_name": "B"}'),
    "deep-json": configured(nested(70)),
    "very-deep-json": configured(nested(100_000)),
    "config-not-text": without(lambda file: file.attrs.create("model_config", [1, 2])),
    "config-of-lists": without(lists_for_config),
    "config-is-list": configured([1, 2]),
    "no-class-name": configured({"config": {}}),
    "layers-not-list": configured({"class_name": "Sequential", "config": {"layers": "dense"}}),
    "no-layers": configured({"class_name": "Sequential", "config": {"layers": []}}),
    "nothing-functional": configured({"class_name": "Model", "config": {"layers": []}}),
    "bad-node-index": configured(functional(X, entry("y", "Dense", [["x", -1, 0, {}]]))),
    "empty-node": configured(functional(X, entry("y", "Dense", []))),
    "bad-outputs": configured(functional(X, Y, outputs=[["y"]])),
    "same-input-twice": configured(functional(X, Y, inputs=[["x", 0, 0], ["x", 0, 0]])),
    "no-input-shape": configured({"class_name": "Sequential", "config": {"layers": [dense]}}),
    "subclassed-model": configured({"class_name": "MyModel", "config": {"name": "mine"}}),
    "duplicate-layer": configured(functional(X, Y, Y)),
    "dangling-layer": configured(functional(X, entry("y", "Dense", [["z", 0, 0, {}]]))),
    "dangling-call": configured(functional(X, entry("y", "Dense", [["x", 1, 0, {}]]))),
    "dangling-output": configured(functional(X, Y, outputs=[["z", 0, 0]])),
    "cycle": configured(functional(X, entry("y", "Dense", [["y", 0, 0, {}]]))),
    "call-argument": configured(
        functional(X, entry("y", "Flatten", ["x", 0, 0, {"mask": 2.0, "name": None}]))
    ),
    "training-mode": configured(functional(X, entry("y", "Dense", [["x", 0, 0, {"training": 1}]]))),
    "dictionary-for-layer": configured(functional(X, entry("y", "Dense", {"a": ["x", 0, 0, {}]}))),
    "keras-1": configured(functional(X, entry("y", "Dense", FROM_X, output_dim=3))),
    "keras-3-no-operands": keras_3(),
    "keras-3-two-operands": keras_3(history("x"), 2),
    "keras-3-keyword": keras_3(history("x"), mask=[None, True]),
    "keras-3-constant": keras_3([{"class_name": "Tensor", "config": {}}]),
    "nested-operands": configured(functional(X, inner("y", [*FROM_X, *FROM_X]), Z, outputs=TO_Z)),
    "nested-dictionary": configured(
        functional(X, inner("y", {"b": FROM_X[0]}, inputs={"a": ["x", 0, 0]}), Z, outputs=TO_Z)
    ),
    "nested-output": configured(
        functional(X, inner("y", FROM_X), entry("z", "Dense", [["y", 1, 2, {}]]), outputs=TO_Z)
    ),
    "nested-input": configured(
        functional(
            X, inner("y", FROM_X, layers=(X, {**X, "config": {"name": "w"}}, Y)), Z, outputs=TO_Z
        )
    ),
    "nested-input-tensor": configured(
        functional(
            X,
            inner("y", FROM_X, layers=(X, entry("y", "Dense", [["x", 0, 1, {}]]))),
            Z,
            outputs=TO_Z,
        )
    ),
    "nested-calls": configured(functional(X, inner("y", FROM_X, FROM_X), Z, outputs=TO_Z)),
    "nested-cycle": configured(
        functional(X, inner("y", FROM_Y, outputs=[["x", 0, 0]]), Z, outputs=TO_Z)
    ),
    "nested-doubling": configured(doubling(17)),
    "nested-weight-of-none": other_weights("other/kernel:0"),
    "nested-weight-of-two": other_weights("d/kernel:0"),
    "unallocated": data(shape=(1 << 40,), dtype="f4"),
    "compressed-bomb": data(shape=(1 << 40,), dtype="f4", chunks=(1 << 10,), compression="gzip"),
    "external-storage": filled(external),
    "virtual-dataset": filled(virtual),
    "external-link": filled(link(h5py.ExternalLink("/etc/hosts", "/x"))),
    "soft-link": filled(link(h5py.SoftLink("/model_weights"))),
    "wide-chunk": filled(wide_chunk),
    "plugin-filter": data(data=np.zeros(64), chunks=(8,), scaleoffset=2),
    "text-weight": data(data=["a"]),
    "complex-weight": data(data=[1j]),
    "bool-weight": data(data=[True]),
    "empty-weight": data(dtype="f4"),
    "group-weight": filled(lambda group: group.create_group("y/kernel:0")),
    "rank-9": data(data=np.zeros((1,) * 9)),
    "nan-weight": data(data=[1.0, np.nan, -np.inf]),
    "damaged-archive": raw(b"PK\x03\x04 a zip archive"),
    "cut-archive": cut_archive,
    "flipped-archive": flipped_archive,
    "archive-without-config": without_member("config.json"),
    "archive-without-weights": without_member("model.weights.h5"),
    "archive-member-twice": archive(twice=True),
    "archive-encrypted": encrypted,
    "archive-method": archive(compress_type=zipfile.ZIP_LZMA),
    "archive-bomb": archive(weights=bytes(1 << 25), compress_type=zipfile.ZIP_DEFLATED),
    "archive-config-not-text": archive(config=b"\xff"),
    "archive-no-hdf5": archive(weights=b"weights"),
    "archive-other-layers": stored(dense_vars_0=[1.0], re_vars_0=[1.0]),
    "archive-no-layers": archive(weights=weights_file({})),
    "archive-missing-bias": stored(dense_vars_0=[[1.0]]),
    "archive-unknown-class": archive(
        functional(X, entry("y", "Mystery", FROM_X)),
        weights_file({**INPUT_ALONE, "layers/mystery/cell/vars/0": [1.0]}),
    ),
    "archive-deep-groups": stored(**{"dense" + "_a" * 9: [1.0]}),
    "architecture-only": architecture(),
    "architecture-invalid": architecture(weights_only("y"), "{"),
    "weights-missing": architecture(nothing),
    "weights-not-hdf5": architecture(raw(b"PK\x03\x04 a zip archive")),
    "weights-unknown": architecture(lambda path: h5py.File(path, "w").close()),
    "weights-foreign": architecture(weights_only("z")),
    "weights-twice": whole_model_and(save),
    "weights-twice-archive": whole_model_and(archive()),
}


# ---- models in memory ----------------------------------------------------------------------------


def variable(name: str, value: object) -> Any:
    return SimpleNamespace(name=name, numpy=lambda: value)


def live(*weights: str, text: object = None, value: Any = 1.0, **changes: Any) -> Any:
    """An object with what calocc takes from a Keras model: layer y has weights of these names."""
    layer = SimpleNamespace(name="y", weights=[variable(n, np.full(3, value)) for n in weights])

    def to_json() -> object:
        if isinstance(text, Exception):
            raise text
        return json.dumps(GOOD)

    parts = {"name": "net", "layers": [layer], "to_json": to_json, "get_weights": list}
    return SimpleNamespace(**(parts | changes))


def live_without_values() -> Any:
    model = live("y/kernel:0")
    del model.layers[0].weights[0].numpy
    return model


LIVE: dict[str, Callable[[], object]] = {
    "live-number": lambda: read_live(3),
    "live-without-weights": lambda: read_live(live(get_weights=None)),
    "live-without-name": lambda: read_live(live(name=None)),
    "live-without-config": lambda: read_live(live(text=NotImplementedError("subclassed"))),
    "live-without-values": lambda: read_live(live_without_values()),
    "live-same-names": lambda: read_live(live("y/kernel:0", "y/kernel:0")),
    "live-nan": lambda: read_live(live("y/kernel:0", value=np.nan)),
    "live-complex": lambda: read_live(live("y/kernel:0", value=1j)),
    "live-and-weights": lambda: read_live(live(), Path("weights.h5")),
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
    weights = FILES[name](path)
    with pytest.raises(CaloccError) as caught:
        read_model(path, weights)
    return caught.value


def config_case(name: str) -> CaloccError:
    with pytest.raises(CaloccError) as caught:
        (CONFIGS | LIVE)[name]()
    return caught.value


def expected(name: str) -> str:
    return (GOLDEN / f"keras-{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_file_errors(name: str, tmp_path: Path) -> None:
    text = str(read_case(name, tmp_path)).replace(str(tmp_path), "DIR")
    assert text + "\n" == expected(name)


@pytest.mark.parametrize("name", CONFIGS | LIVE)
def test_config_errors(name: str) -> None:
    assert str(config_case(name)) + "\n" == expected(name)


def test_the_weights_together_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "model.h5")
    monkeypatch.setattr("calocc.compiler.keras.hdf5.MOST_BYTES", 7)
    with pytest.raises(errors.TooLarge, match="model_weights declares 8 bytes"):
        read_model(tmp_path / "model.h5")


def test_the_length_of_the_config_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "model.h5")
    monkeypatch.setattr("calocc.compiler.keras.hdf5.MOST_TEXT", 7)
    with pytest.raises(errors.TooLarge, match="model_config declares"):
        read_model(tmp_path / "model.h5")


def test_the_length_of_a_json_file_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.json").write_text(json.dumps(GOOD))
    monkeypatch.setattr("calocc.compiler.keras.reader.MOST_TEXT", 7)
    with pytest.raises(errors.TooLarge, match="the file declares"):
        read_model(tmp_path / "model.json")


def test_every_error_has_a_golden_text(tmp_path: Path) -> None:
    shown = {type(config_case(name)) for name in CONFIGS | LIVE}
    for name in FILES:
        (tmp_path / name).mkdir()
        shown.add(type(read_case(name, tmp_path / name)))
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass)}
    defined = {kind for kind in classes if kind.__module__ == errors.__name__}
    assert defined - shown == {errors.FileError, errors.ModelError}


def test_golden_files_all_belong_to_a_case() -> None:
    names = {path.stem.removeprefix("keras-") for path in GOLDEN.glob("keras-*.txt")}
    assert names == FILES.keys() | CONFIGS.keys() | LIVE.keys()
