"""Reads a Keras model that is in memory, without importing or running Keras.

A model is taken to be what Keras documents: `to_json()`, `get_weights()`, `layers`, and for each
layer `weights`: variables with a `name`, in Keras 3 a `path`, and `numpy()`. The `get_weights()` of
a layer may hide some, as that of QAdaptiveActivation does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calocc.compiler.keras.architecture import Graph
from calocc.compiler.keras.errors import NotAModel
from calocc.compiler.keras.flatten import Weights
from calocc.compiler.keras.hdf5 import Array, Groups, check_type, checked_weight
from calocc.compiler.keras.variables import named_weights


def live_name(model: Any) -> str:
    """The name of a model; raise NotAModel if this is none."""
    for method in ("to_json", "get_weights"):
        if not callable(getattr(model, method, None)):
            raise NotAModel(type(model).__name__, f"it has no {method}()")
    name = getattr(model, "name", None)
    if not isinstance(name, str):
        raise NotAModel(type(model).__name__, "it has no name")
    return name


def live_config(model: Any) -> str:
    """The JSON text of the architecture; raise NotAModel if Keras cannot write it."""
    try:
        return str(model.to_json())
    except Exception as error:  # whatever the model's own code raises
        raise NotAModel(type(model).__name__, f"to_json() failed: {error}") from error


def live_weights(place: Path, model: Any, graph: Graph) -> Weights:
    """The weights of all layers; raise WeightType, NonFiniteWeight or NotAModel."""
    return dict(_weights(place, model, graph, ""))


def _weights(
    place: Path, model: Any, graph: Graph, prefix: str
) -> Iterator[tuple[str, Mapping[str, Array]]]:
    layers = {layer.name: layer for layer in getattr(model, "layers", ())}
    nested = {member.name: member.graph for member in graph.members}
    plain = {name: _variables(place, layers[name]) for name in layers if nested.get(name) is None}
    groups: Groups = plain
    for name, weights in named_weights(place, groups, graph).items():
        yield prefix + name, weights
    for name, inner in nested.items():
        if inner is not None and name in layers:
            yield from _weights(place, layers[name], inner, f"{prefix}{name}/")


def _variables(place: Path, layer: Any) -> dict[str, Array]:
    names = [str(getattr(variable, "path", variable.name)) for variable in layer.weights]
    if len(set(names)) < len(names):
        raise NotAModel(type(layer).__name__, "its weights have no names of their own")
    if not all(callable(getattr(variable, "numpy", None)) for variable in layer.weights):
        raise NotAModel(type(layer).__name__, "its weights have no numpy()")
    return {n: _array(place, n, v.numpy()) for n, v in zip(names, layer.weights, strict=True)}


def _array(place: Path, name: str, value: object) -> Array:
    array = np.array(value)
    check_type(place, name, array.dtype, array.ndim)
    return checked_weight(place, name, array)
