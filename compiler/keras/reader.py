"""Reads models that Keras has saved into plain data, without TensorFlow.

Three formats: HDF5 (`model.save("m.h5")`), archives (`model.save("m.keras")`), and the JSON of an
architecture (`model.to_json()`) with a file of weights (`model.save_weights("w.h5")`). Files are
not trusted: sizes are checked before anything is allocated, nothing outside the file is followed,
and whatever is not as Keras writes it ends in a `CaloccError` of `errors.py`.
"""

from __future__ import annotations

from pathlib import Path

from calocc.compiler.keras.architecture import Graph, read_architecture
from calocc.compiler.keras.archive import archived_config, archived_weights, is_archive
from calocc.compiler.keras.errors import (
    ArchitectureOnly,
    MissingFile,
    NotHdf5,
    TooLarge,
    UnknownFormat,
    UnreadableFile,
    UnusableMember,
    WeightsGivenTwice,
)
from calocc.compiler.keras.flatten import Weights, flatten
from calocc.compiler.keras.hdf5 import Hdf5File, is_hdf5, with_hdf5
from calocc.compiler.keras.json_tree import MOST_TEXT, parse_json
from calocc.compiler.keras.live import live_config, live_name, live_weights
from calocc.compiler.keras.model import KerasModel
from calocc.compiler.keras.variables import expect_no_others, named_weights, numbered_weights

_START = 64  # bytes within which the JSON must begin


def read_model(path: Path, weights: Path | None = None) -> KerasModel:
    """Read a Sequential or Functional model; `weights` belongs to an architecture in JSON.

    Nested models are replaced by their layers, named `outer/inner`; layers that nothing calls are
    left out. Raise the errors of `calocc.compiler.keras.errors`.
    """
    _require_file(path)
    hdf5 = is_hdf5(path)
    if not hdf5 and not is_archive(path):
        return _read_json(path, weights)
    if weights is not None:
        raise WeightsGivenTwice(path, weights)
    return _read_hdf5(path) if hdf5 else _read_archive(path)


def read_live(model: object, weights: Path | None = None) -> KerasModel:
    """Read a Keras model in memory, which has `weights` of its own.

    Raise NotAModel or the errors of `read_model`.
    """
    place = Path(f"<model {live_name(model)}>")
    if weights is not None:
        raise WeightsGivenTwice(place, weights)
    graph = read_architecture(parse_json(place, "to_json()", live_config(model)))
    return flatten(graph, live_weights(place, model, graph))


def _require_file(path: Path) -> None:
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise MissingFile(path) from None
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from None


def _read_hdf5(path: Path) -> KerasModel:
    text, groups = with_hdf5(path, lambda file: (file.config(), file.model_groups()))
    graph = read_architecture(parse_json(path, "model_config", text))
    return flatten(graph, named_weights(path, groups, graph))


def _read_archive(path: Path) -> KerasModel:
    graph = read_architecture(parse_json(path, "config.json", archived_config(path)))
    content = archived_weights(path)
    if not content.startswith(b"\x89HDF"):
        raise UnusableMember(path, "model.weights.h5", "is no HDF5 file")
    return flatten(graph, with_hdf5(path, lambda f: numbered_weights(f, graph), content))


def _read_json(path: Path, weights: Path | None) -> KerasModel:
    text = _json_text(path)
    if weights is None:
        raise ArchitectureOnly(path)
    graph = read_architecture(parse_json(path, "the file", text))
    return flatten(graph, _read_weights(weights, graph))


def _json_text(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_START)
        if not start.lstrip().startswith(b"{"):
            raise UnknownFormat(path)
        if size > MOST_TEXT:
            raise TooLarge(path, "the file", size, MOST_TEXT)
        content = start + file.read(MOST_TEXT)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UnknownFormat(path) from None


def _read_weights(path: Path, graph: Graph) -> Weights:
    _require_file(path)
    if not is_hdf5(path):
        raise NotHdf5(path)
    return with_hdf5(path, lambda file: _weights(path, file, graph))


def _weights(path: Path, file: Hdf5File, graph: Graph) -> Weights:
    if file.is_numbered:
        return numbered_weights(file, graph)
    groups = file.weight_groups()
    expect_no_others(path, groups, graph)
    return named_weights(path, groups, graph)
