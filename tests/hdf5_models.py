"""Model files written by hand, as Keras 2 lays them out: for what no Keras writes, or none here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

h5py: Any = importlib.import_module("h5py")  # it carries no type information

Weights = Mapping[str, Any]
"""The arrays of a layer by the last part of their names."""


def entry(name: str, class_name: str = "Dense", *inbound: Any, **config: Any) -> dict[str, Any]:
    """A layer that is called once on the layers named, or whose calls are given as Keras does."""
    if inbound and all(isinstance(source, str) for source in inbound):
        inbound = ([[source, 0, 0, {}] for source in inbound],)
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


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """A model of layers one behind the other."""
    return {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}


def write_model(path: Path, config: object, weights: Mapping[str, Weights]) -> Path:
    """A file with this architecture (or text instead), and the weights by layer."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        groups = file.create_group("model_weights")
        groups.attrs["layer_names"] = list(weights)
        for name, own in weights.items():
            group = groups.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{w}:0" for w in own] or np.zeros(0)
            for weight, values in own.items():
                group.create_dataset(f"{name}/{weight}:0", data=values)
    return path


def write_layers(
    path: Path, layers: list[dict[str, Any]], weights: Mapping[str, Weights], *, outputs: str = "y"
) -> Path:
    """A Functional model whose inputs are its InputLayers."""
    config = functional(
        *layers,
        inputs=[[e["name"], 0, 0] for e in layers if e["class_name"] == "InputLayer"],
        outputs=[[name, 0, 0] for name in outputs.split()],
    )
    return write_model(path, config, {e["name"]: weights.get(e["name"], {}) for e in layers})


def replace_in_config(path: Path, old: str, new: str) -> None:
    """Change the text of a file's architecture."""
    with h5py.File(path, "r+") as file:
        text = str(file.attrs["model_config"])
        assert old in text
        file.attrs["model_config"] = text.replace(old, new)
