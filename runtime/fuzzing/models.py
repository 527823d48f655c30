"""Keras models as data: written to real files, imported from memory, made smaller."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.hls4ml.configuration import read_configuration
from calocc.compiler.hls4ml.wishes import HlsWishes
from calocc.compiler.inputs import declare_indices, declare_inputs, parse_format
from calocc.compiler.keras.importer import module_of
from calocc.compiler.keras.layers.registry import Overrides
from calocc.compiler.keras.model import Call, KerasLayer, KerasModel, TensorRef
from calocc.compiler.keras.reader import read_model
from calocc.compiler.settings import parse_settings

h5py: Any = importlib.import_module("h5py")  # it carries no type information


@dataclass(frozen=True)
class Drawn:
    """A model and what a user has to say besides: formats of tensors (`--set`), of inputs, and the
    entries of a configuration of hls4ml."""

    model: KerasModel
    settings: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    hls4ml: Mapping[str, Any] | None = None

    def module(self, path: Path | None = None) -> ModuleOp:
        """The model on reals with all formats, imported from memory or from a file of it.

        Raises CaloccError for what the importer refuses.
        """
        overrides = Overrides(parse_settings(self.settings).formats)
        model, wishes = self.model if path is None else read_model(path), self.wishes()
        return self._declared(module_of(model, overrides, wishes), wishes)

    def _declared(self, module: ModuleOp, wishes: HlsWishes | None = None) -> ModuleOp:
        """A module of the model with the formats of its inputs."""
        formats = {name: parse_format(name, text) for name, text in self.inputs.items()}
        declare_inputs(module, formats)
        if wishes is not None:
            wishes.declare_inputs(module, tuple(formats))
        declare_indices(module)
        return module

    @cached_property
    def imported(self) -> ModuleOp:
        """What `module` returns from memory, once for all who do not change it."""
        return self.module()

    def grown(self, module: ModuleOp) -> Drawn:
        """With a module that has grown with the model, so that it need not be imported."""
        with suppress(CaloccError):  # of which the importer will tell
            vars(self)["imported"] = self._declared(module)
        return self

    @property
    def is_taken(self) -> bool:
        """Whether the importer takes it."""
        try:
            _ = self.imported
        except CaloccError:
            return False
        return True

    def __getstate__(self) -> dict[str, Any]:
        """Without the module, which other processes import themselves."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def wishes(self) -> HlsWishes | None:
        """What the configuration of hls4ml says of the model; raise BadHlsConfig."""
        if self.hls4ml is None:
            return None
        wishes = HlsWishes(read_configuration(self.hls4ml), self.model)
        wishes.require_layers()
        return wishes

    def write(self, path: Path) -> Path:
        """The model as a `.h5` file as Keras 2 lays it out."""
        return write_h5(path, self.model)


def architecture(model: KerasModel) -> dict[str, Any]:
    """The JSON of a Functional model as Keras 2 writes it."""
    config = {
        "name": model.name,
        "layers": [_entry(layer) for layer in model.layers],
        "input_layers": [_numbered(ref) for ref in model.inputs],
        "output_layers": [_numbered(ref) for ref in model.outputs],
    }
    return {"class_name": "Functional", "config": config}


def _entry(layer: KerasLayer) -> dict[str, Any]:
    nodes: list[Any] = [[[*_numbered(ref), {}] for ref in call] for call in layer.inbound]
    return {
        "class_name": layer.class_name,
        "name": layer.name,
        "config": {"name": layer.name, **layer.config},
        "inbound_nodes": nodes,
    }


def _numbered(ref: TensorRef) -> list[Any]:
    return [ref.layer, ref.node, ref.tensor]


def write_h5(path: Path, model: KerasModel) -> Path:
    """Architecture and weights in one file."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(architecture(model))
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        _write_weights(file.create_group("model_weights"), model)
    return path


def write_json(path: Path, model: KerasModel) -> tuple[Path, Path]:
    """The architecture as JSON, and the weights in a file beside it."""
    path.write_text(json.dumps(architecture(model)))
    weights = path.with_suffix(".weights.h5")
    with h5py.File(weights, "w") as file:
        _write_weights(file, model)
    return path, weights


def _write_weights(group: Any, model: KerasModel) -> None:
    group.attrs["layer_names"] = [layer.name for layer in model.layers]
    group.attrs["keras_version"], group.attrs["backend"] = "2.15.0", "tensorflow"
    for layer in model.layers:
        own = group.create_group(layer.name)
        stored = {_stored_name(layer, w): array for w, array in layer.weights.items()}
        own.attrs["weight_names"] = list(stored) or np.zeros(0)
        for name, array in stored.items():
            own.create_dataset(name, data=array)


def _stored_name(layer: KerasLayer, weight: str) -> str:
    """The name of a variable, in whose scope both directions of a layer can be told apart."""
    way, slash, short = weight.rpartition("/")
    if slash and "layer" in layer.config:
        inner = layer.config["layer"]["config"]["name"]
        return f"{layer.name}/{way}_{inner}/cell/{short}:0"
    return f"{layer.name}/{weight}:0"


# ---- making models smaller -----------------------------------------------------------------------


def pruned(drawn: Drawn, outputs: tuple[TensorRef, ...]) -> Drawn:
    """The part of a model that these outputs need."""
    model = drawn.model
    needed = set(_needed(model, outputs))
    kept: list[KerasLayer] = []
    renumbered: dict[tuple[str, int], int] = {}
    for layer in model.layers:
        calls = [k for k in range(max(len(layer.inbound), 1)) if (layer.name, k) in needed]
        renumbered.update(((layer.name, k), new) for new, k in enumerate(calls))
        if calls:
            inbound = tuple(layer.inbound[k] for k in calls) if layer.inbound else ()
            kept.append(replace(layer, inbound=inbound))

    def moved(ref: TensorRef) -> TensorRef:
        return TensorRef(ref.layer, renumbered[ref.layer, ref.node], ref.tensor)

    layers = tuple(
        replace(layer, inbound=tuple(tuple(map(moved, call)) for call in layer.inbound))
        for layer in kept
    )
    inputs = tuple(ref for ref in model.inputs if (ref.layer, 0) in needed)
    smaller = assembled(model.name, layers, inputs, tuple(map(moved, outputs)))
    return with_model(drawn, smaller)


def with_model(drawn: Drawn, model: KerasModel) -> Drawn:
    """Another model, with what is said of the layers and the inputs that it still has."""
    names = {layer.name for layer in model.layers}
    settings = tuple(s for s in drawn.settings if s.partition("=")[0].rpartition(".")[0] in names)
    ports = {ref.layer for ref in model.inputs}
    inputs = {name: text for name, text in drawn.inputs.items() if name in ports}
    return Drawn(model, settings, inputs, _for_layers(drawn.hls4ml, names))


def _for_layers(hls4ml: Mapping[str, Any] | None, names: set[str]) -> Mapping[str, Any] | None:
    """A configuration without the layers that there are no more."""
    if hls4ml is None or "LayerName" not in hls4ml:
        return hls4ml
    kept = {name: entries for name, entries in hls4ml["LayerName"].items() if name in names}
    return {**hls4ml, "LayerName": kept}


def assembled(
    name: str,
    layers: tuple[KerasLayer, ...],
    inputs: tuple[TensorRef, ...],
    outputs: tuple[TensorRef, ...],
) -> KerasModel:
    """A model whose layers are given in an order in which each call follows its operands' calls,
    but for further calls of a shared layer, which are put where they can be made."""
    done: set[tuple[str, int]] = {(ref.layer, ref.node) for ref in inputs}
    calls = [Call(ref.layer, ref.node) for ref in inputs]
    waiting = [
        (Call(layer.name, k), call) for layer in layers for k, call in enumerate(layer.inbound)
    ]
    while waiting:
        ready = [w for w in waiting if all((r.layer, r.node) in done for r in w[1])]
        if not ready:
            raise ValueError("the calls of the model depend on one another")
        calls += [call for call, _ in ready]
        done |= {(call.layer, call.node) for call, _ in ready}
        waiting = [w for w in waiting if (w[0].layer, w[0].node) not in done]
    return KerasModel(name, layers, tuple(calls), inputs, outputs)


def _needed(model: KerasModel, outputs: tuple[TensorRef, ...]) -> Iterator[tuple[str, int]]:
    """The calls that these tensors need."""
    layers = {layer.name: layer for layer in model.layers}
    seen: set[tuple[str, int]] = set()
    open_ = list(outputs)
    while open_:
        ref = open_.pop()
        if (ref.layer, ref.node) in seen:
            continue
        seen.add((ref.layer, ref.node))
        yield ref.layer, ref.node
        inbound = layers[ref.layer].inbound
        open_.extend(inbound[ref.node] if inbound else ())


def read_only(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Weights as the reader hands them over: float32, or the integers that they are."""
    return {
        name: np.asarray(array, array.dtype if array.dtype.kind in "iu" else np.float32)
        for name, array in weights.items()
    }
