"""A Keras model as plain data: what the reader hands to the importer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from calocc.compiler.keras.errors import MissingWeight


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
    the whole name where that is ambiguous. A layer of a nested model is named `outer/inner`.
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
    """A model without nested ones: its layers and calls are in topological order."""

    name: str
    layers: tuple[KerasLayer, ...]
    calls: tuple[Call, ...]
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]

    def layer(self, name: str) -> KerasLayer:
        """The layer of that name; raise KeyError if there is none."""
        return {layer.name: layer for layer in self.layers}[name]
