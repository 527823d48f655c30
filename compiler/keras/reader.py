"""Reads a Keras 2 `.h5` model into plain data, without TensorFlow.

The file is not trusted: sizes are checked before anything is allocated, nothing outside the file
is followed, and whatever is not as Keras writes it ends in a `CaloccError` of `errors.py`.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.keras.errors import (
    CyclicModel,
    DamagedFile,
    DanglingEndpoint,
    DanglingReference,
    DuplicateLayer,
    ForeignStorage,
    InvalidJson,
    MalformedConfig,
    MissingFile,
    MissingWeight,
    NestedModel,
    NoModelConfig,
    NonFiniteWeight,
    NotHdf5,
    NoWeights,
    TooLarge,
    UnknownInputShape,
    UnreadableFile,
    UnsupportedCall,
    UnsupportedModelClass,
    WeightType,
)

h5py: Any = importlib.import_module("h5py")  # it carries no type information

_MODELS = ("Sequential", "Functional", "Model")
_DEEPEST = 64  # levels of JSON; real models need about a dozen
_MOST_BYTES = 1 << 30  # of all weights together
_MOST_TEXT = 1 << 26  # of model_config
_HIGHEST_RANK = 8
# deflate, shuffle and fletcher32 are part of the HDF5 library; others would load plug-ins.
_FILTERS = frozenset([1, 2, 3])
_DEFLATE_RATIO = 1100


@dataclass(frozen=True)
class TensorRef:
    """Output number `tensor` of call number `node` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """Call number `node` of a layer; shared layers are called several times."""

    layer: str
    node: int


@dataclass(frozen=True, eq=False)
class KerasLayer:
    """One layer as stored: `inbound[node]` are the inputs of that call, `weights` as in the file.

    Weights are keyed by the last part of the variable name (`kernel`, `moving_mean`, ...), or by
    the whole name where that is ambiguous.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    inbound: tuple[tuple[TensorRef, ...], ...]
    weights: Mapping[str, NDArray[Any]] = field(repr=False)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of this layer; an input layer has one, without inputs."""
        count = 1 if self.class_name == "InputLayer" else len(self.inbound)
        return tuple(Call(self.name, node) for node in range(count))

    def weight(self, name: str) -> NDArray[Any]:
        """The weight of that name, read-only; raise `MissingWeight` if the file lacks it."""
        if name not in self.weights:
            raise MissingWeight(self.name, self.class_name, name, tuple(self.weights))
        return self.weights[name]


@dataclass(frozen=True, eq=False)
class KerasModel:
    """A model: its layers and calls are in topological order."""

    name: str
    layers: tuple[KerasLayer, ...]
    calls: tuple[Call, ...]
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]

    def layer(self, name: str) -> KerasLayer:
        """The layer of that name; raise KeyError if there is none."""
        return {layer.name: layer for layer in self.layers}[name]


def read_model(path: Path) -> KerasModel:
    """Read a Sequential or Functional model.

    Layers that nothing calls are left out. Raise the errors of `calocc.compiler.keras.errors`.
    """
    _require_hdf5(path)
    text, weights = _read_hdf5(path)
    root = _Node(path, "model_config", _parse_json(path, text))
    name, layers, inputs, outputs = _architecture(root, weights)
    return _ordered(name, layers, inputs, outputs)


# ---- HDF5 --------------------------------------------------------------------------------------

Weights = Mapping[str, Mapping[str, NDArray[Any]]]


def _require_hdf5(path: Path) -> None:
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise MissingFile(path) from None
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from None
    if not h5py.is_hdf5(path):
        raise NotHdf5(path)


def _read_hdf5(path: Path) -> tuple[str, Weights]:
    """The JSON text of the architecture, and the weights by layer."""
    try:
        with h5py.File(path, "r") as file:
            return _Hdf5(path, file).read()
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError) as error:
        raise DamagedFile(path) from error  # what h5py raises for inconsistent files


class _Hdf5:
    """One open file, and how many bytes of weights were read from it."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file
        self._size = path.stat().st_size
        self._total = 0

    def read(self) -> tuple[str, Weights]:
        text = self._config()
        if "model_weights" not in self._file:
            raise NoWeights(self._path)
        groups = self._open(self._file, "model_weights")
        names = self._names(groups, "layer_names")
        return text, {name: self._layer(self._open(groups, name)) for name in names}

    def _config(self) -> str:
        if "model_config" not in self._file.attrs:
            raise NoModelConfig(self._path)
        value = self._attribute(self._file, "model_config")
        text = value.decode() if isinstance(value, bytes) else value
        if not isinstance(text, str):
            raise MalformedConfig(self._path, "model_config", "a text", type(value).__name__)
        if len(text) > _MOST_TEXT:
            raise TooLarge(self._path, "model_config", len(text), _MOST_TEXT)
        return text

    def _attribute(self, node: Any, name: str) -> Any:
        attribute = node.attrs.get_id(name)
        size = math.prod(attribute.shape) * int(attribute.dtype.itemsize)
        if size > self._size:
            raise TooLarge(self._path, f"attribute {name}", size, self._size)
        return node.attrs[name]

    def _names(self, group: Any, name: str) -> list[str]:
        """A list of names; Keras splits one above 64 kB into `name0`, `name1`, ..."""
        if name in group.attrs:
            return [_text(item) for item in self._attribute(group, name)]
        result: list[str] = []
        part = 0
        while f"{name}{part}" in group.attrs:
            result += [_text(item) for item in self._attribute(group, f"{name}{part}")]
            part += 1
        if not part:
            raise DamagedFile(self._path)
        return result

    def _open(self, group: Any, name: str) -> Any:
        """The member at a path of hard links; nothing else is followed."""
        node = group
        for part in name.split("/"):
            kind = node.id.links.get_info(part.encode()).type
            item = f"{node.name.rstrip('/')}/{part}"
            if kind == h5py.h5l.TYPE_EXTERNAL:
                raise ForeignStorage(self._path, item, "an external link")
            if kind != h5py.h5l.TYPE_HARD:
                raise ForeignStorage(self._path, item, "a soft link")
            node = node[part]
        return node

    def _layer(self, group: Any) -> Mapping[str, NDArray[Any]]:
        names = self._names(group, "weight_names")
        keys = _short_names(names)
        if len(set(keys)) < len(keys):
            raise DamagedFile(self._path)
        return {k: self._weight(self._open(group, n)) for k, n in zip(keys, names, strict=True)}

    def _weight(self, data: Any) -> NDArray[Any]:
        self._check_kind(data)
        self._check_storage(data)
        self._check_size(data)
        array = np.asarray(data[()])
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        wrong = int(np.count_nonzero(~np.isfinite(array)))
        if wrong:
            raise NonFiniteWeight(self._path, data.name, wrong)
        array.flags.writeable = False
        return array

    def _check_kind(self, data: Any) -> None:
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise WeightType(self._path, data.name, "no dataset with values")
        known = data.dtype.kind in "iu" or (data.dtype.kind == "f" and data.dtype.itemsize <= 8)
        if not known or h5py.check_enum_dtype(data.dtype) is not None:
            raise WeightType(self._path, data.name, f"of type {data.dtype}")
        if data.ndim > _HIGHEST_RANK:
            raise WeightType(self._path, data.name, f"of rank {data.ndim}")

    def _check_storage(self, data: Any) -> None:
        if data.is_virtual:
            raise ForeignStorage(self._path, data.name, "a virtual dataset")
        if data.external:
            raise ForeignStorage(self._path, data.name, "stored in another file")
        if not _filters(data) <= _FILTERS:
            raise ForeignStorage(self._path, data.name, "stored with a plug-in filter")

    def _check_size(self, data: Any) -> None:
        size = math.prod(data.shape) * int(data.dtype.itemsize)
        stored = min(int(data.id.get_storage_size()), self._size)
        limit = stored * _DEFLATE_RATIO if _filters(data) else stored
        if size > limit:
            raise TooLarge(self._path, data.name, size, limit)
        self._total += size
        if self._total > _MOST_BYTES:
            raise TooLarge(self._path, "model_weights", self._total, _MOST_BYTES)


def _filters(data: Any) -> set[int]:
    plist = data.id.get_create_plist()
    return {int(plist.get_filter(index)[0]) for index in range(plist.get_nfilters())}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return value
    raise TypeError("a name is not a text")


def _short_names(names: list[str]) -> list[str]:
    """`block/dense/kernel:0` -> `kernel`; the name without `:0` where that is not unique."""
    full = [re.sub(r":\d+$", "", name) for name in names]
    short = [name.rpartition("/")[2] for name in full]
    times = Counter(short)
    return [s if times[s] == 1 else f for s, f in zip(short, full, strict=True)]


# ---- JSON --------------------------------------------------------------------------------------


def _parse_json(path: Path, text: str) -> object:
    try:
        tree: object = json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=_printable
        )
    except RecursionError:
        raise InvalidJson(path, "nested too deeply") from None
    except ValueError as error:
        raise InvalidJson(path, str(error)) from None
    if _is_deep(tree):
        raise InvalidJson(path, "nested too deeply")
    return tree


def _printable(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Keys appear in messages as they are, so they must be printable."""
    for key, _ in pairs:
        if not key.isprintable():
            raise ValueError(f"the key {key!r} is not printable")
    return dict(pairs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"the constant {name}")


def _is_deep(tree: object) -> bool:
    level = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in _children(node)]
    return bool(level)


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return cast(dict[str, object], node).values()
    return cast(list[object], node) if isinstance(node, list) else ()


@dataclass(frozen=True)
class _Node:
    """A value in the JSON tree with its place, for messages."""

    path: Path
    place: str
    value: Any

    def entry(self, key: str) -> _Node:
        """The value of a key that must be there."""
        value = self.dictionary().get(key)
        if value is None:
            raise MalformedConfig(self.path, f"{self.place}.{key}", "present", None)
        return _Node(self.path, f"{self.place}.{key}", value)

    def items(self) -> Iterator[_Node]:
        value: object = self.value
        if not isinstance(value, list):
            raise self.fail("a list")
        for index, item in enumerate(cast(list[object], value)):
            yield _Node(self.path, f"{self.place}[{index}]", item)

    def dictionary(self) -> Mapping[str, Any]:
        value: object = self.value
        if not isinstance(value, dict):
            raise self.fail("a dictionary")
        return cast(dict[str, Any], value)

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.fail("a text")
        if not self.value.isprintable():
            raise self.fail("a printable text")
        return self.value

    def index(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.fail("an index")
        return self.value

    def fail(self, expected: str) -> MalformedConfig:
        return MalformedConfig(self.path, self.place, expected, self.value)


# ---- architecture ------------------------------------------------------------------------------

Refs = tuple[TensorRef, ...]
Architecture = tuple[str, list[KerasLayer], Refs, Refs]


def _architecture(root: _Node, weights: Weights) -> Architecture:
    class_name = root.entry("class_name").text()
    config = root.entry("config")
    if class_name == "Sequential":
        return _sequential(config, weights)
    if class_name in _MODELS:
        return _functional(config, weights)
    raise UnsupportedModelClass(_model_name(config), class_name)


def _model_name(config: _Node) -> str:
    """Sequential models of old have a list of layers for a config, without a name."""
    named = isinstance(config.value, dict) and "name" in config.dictionary()
    return config.entry("name").text() if named else "sequential"


def _layer(node: _Node, inbound: tuple[Refs, ...], weights: Weights) -> KerasLayer:
    class_name = node.entry("class_name").text()
    config = node.entry("config")
    name = config.entry("name").text()
    if class_name in _MODELS:
        raise NestedModel(name, class_name)
    return KerasLayer(name, class_name, config.dictionary(), inbound, weights.get(name, {}))


def _sequential(config: _Node, weights: Weights) -> Architecture:
    nodes = config if isinstance(config.value, list) else config.entry("layers")
    layers = [_layer(node, (), weights) for node in nodes.items()]
    if not layers:
        raise nodes.fail("a list of layers")
    if layers[0].class_name != "InputLayer":
        layers.insert(0, _implied_input(config, layers[0]))
    outputs = [(TensorRef(layer.name, 0, 0),) for layer in layers]
    chained = [
        replace(layer, inbound=(source,))
        for layer, source in zip(layers[1:], outputs, strict=False)
    ]
    return _model_name(config), [layers[0], *chained], outputs[0], outputs[-1]


def _implied_input(config: _Node, first: KerasLayer) -> KerasLayer:
    """The input layer that Keras makes from the input shape of the first layer."""
    shape = first.config.get("batch_input_shape")
    if shape is None and isinstance(config.value, dict):
        shape = config.dictionary().get("build_input_shape")
    if shape is None:
        raise UnknownInputShape(config.path, first.name)
    name = f"{first.name}_input"
    dtype = first.config.get("dtype", "float32")
    return KerasLayer(
        name, "InputLayer", {"name": name, "batch_input_shape": shape, "dtype": dtype}, (), {}
    )


def _functional(config: _Node, weights: Weights) -> Architecture:
    layers = [
        _layer(node, tuple(_inbound(node)), weights) for node in config.entry("layers").items()
    ]
    inputs = _endpoints(config.entry("input_layers"))
    return _model_name(config), layers, inputs, _endpoints(config.entry("output_layers"))


def _inbound(layer: _Node) -> Iterator[Refs]:
    """The inputs of each call of the layer."""
    for node in layer.entry("inbound_nodes").items():
        refs = tuple(_ref(entry, layer) for entry in _entries(node))
        if not refs:
            raise node.fail("a list of tensors")
        yield refs


def _entries(node: _Node) -> Iterator[_Node]:
    """References in a list; a single one may stand without its list."""
    entries = list(node.items())
    single = bool(entries) and isinstance(entries[0].value, str)
    return iter([node] if single else entries)


def _ref(node: _Node, layer: _Node | None = None) -> TensorRef:
    """Read `[layer, call, tensor]`, with the keyword arguments of the call as fourth entry."""
    parts = list(node.items())
    if len(parts) not in (3, 4):
        raise node.fail("[layer, call, tensor]")
    if layer is not None and len(parts) == 4:
        _check_call(parts[3], layer)
    return TensorRef(parts[0].text(), parts[1].index(), parts[2].index())


def _check_call(arguments: _Node, layer: _Node) -> None:
    """Refuse call arguments other than those that say what holds anyway."""
    for key, value in arguments.dictionary().items():
        if value is not None and not (key == "training" and value is False):
            name = layer.entry("config").entry("name").text()
            raise UnsupportedCall(name, layer.entry("class_name").text(), key, value)


def _endpoints(node: _Node) -> Refs:
    """The inputs or outputs of the model; those given as a dictionary in the order of keys."""
    if isinstance(node.value, dict):
        return tuple(_ref(node.entry(key)) for key in sorted(node.dictionary()))
    refs = tuple(_ref(entry) for entry in _entries(node))
    if not refs:
        raise node.fail("a list of tensors")
    return refs


# ---- order -------------------------------------------------------------------------------------


def _ordered(name: str, layers: list[KerasLayer], inputs: Refs, outputs: Refs) -> KerasModel:
    by_name = _by_name(layers)
    for layer in layers:
        for ref in chain.from_iterable(layer.inbound):
            if not _exists(ref, by_name):
                raise DanglingReference(layer.name, ref.layer, ref.node)
    for ref in inputs + outputs:
        if not _exists(ref, by_name):
            raise DanglingEndpoint(name, ref.layer, ref.node)
    calls = _call_order(layers)
    called = dict.fromkeys(call.layer for call in calls)
    return KerasModel(name, tuple(by_name[key] for key in called), calls, inputs, outputs)


def _by_name(layers: list[KerasLayer]) -> dict[str, KerasLayer]:
    result: dict[str, KerasLayer] = {}
    for layer in layers:
        if layer.name in result:
            raise DuplicateLayer(layer.name)
        result[layer.name] = layer
    return result


def _exists(ref: TensorRef, layers: Mapping[str, KerasLayer]) -> bool:
    return ref.layer in layers and ref.node < len(layers[ref.layer].calls)


def _call_order(layers: list[KerasLayer]) -> tuple[Call, ...]:
    sorter: TopologicalSorter[Call] = TopologicalSorter()
    for layer in layers:
        for call in layer.calls:
            sources = layer.inbound[call.node] if layer.inbound else ()
            sorter.add(call, *(Call(ref.layer, ref.node) for ref in sources))
    try:
        return tuple(sorter.static_order())
    except CycleError as error:
        cycle: list[Call] = error.args[1]
        raise CyclicModel(cycle[0].layer) from None
