"""Which function imports which layer of hls4ml, and what importers work with."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.hls4ml.nodes import Node
from calocc.compiler.keras.layers.registry import Builder
from calocc.dialects.qnn.op import QnnOp
from calocc.dialects.qnn.quantizers import FixedPoint

Floats = NDArray[np.float64]


@dataclass(eq=False)
class UnknownNode(CaloccError):
    """No importer knows this kind of hls4ml layer."""

    layer: str
    kind: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r} ({self.kind})"

    @property
    def what(self) -> str:
        return "calocc does not import this layer of hls4ml"

    @property
    def hint(self) -> str:
        close = difflib.get_close_matches(self.kind, NODES, n=1, cutoff=0.6)
        guess = f"the closest one is {close[0]}; " if close else ""
        return (
            f"{guess}give calocc the Keras model itself, which may know the layer; "
            f"from hls4ml it takes {', '.join(sorted(NODES))}"
        )


@dataclass
class GraphBuilder:
    """Collects the ops of a model of hls4ml, and what its results are not equal to hls4ml's in."""

    ops: Builder
    notes: list[str] = field(default_factory=list[str])

    def add(self, node: Node, op: QnnOp) -> SSAValue:
        """Append an op of this layer."""
        return self.ops.add(node.config, op)

    def constant(self, node: Node, value: Floats | float) -> SSAValue:
        """A constant of reals."""
        return self.ops.constant(node.config, np.asarray(value, np.float64))

    def cast(self, node: Node, x: SSAValue, cast: FixedPoint) -> SSAValue:
        """A value rounded to a type."""
        return self.ops.quantize(node.config, x, cast)

    def weight(
        self, node: Node, values: Floats | float, cast: FixedPoint | None, name: str
    ) -> SSAValue:
        """A constant rounded to its type; a note where its type cannot hold it."""
        array = np.asarray(values, np.float64)
        value = self.constant(node, array)
        if cast is None:
            return value
        if wrapped := int((np.abs(cast(array) - array) >= cast.format.lsb).sum()):
            self.note(node, f"its type {cast} cannot hold {wrapped} of its {name} values")
        return self.cast(node, value, cast)

    def note(self, node: Node, text: str) -> None:
        """Tell of a layer, after its name."""
        self.notes.append(f"layer {node.name!r} ({node.kind}): {text}")


NodeImporter = Callable[[GraphBuilder, Node, Sequence[SSAValue]], SSAValue]
NODES: dict[str, NodeImporter] = {}


def hls4ml_layer(*kinds: str) -> Callable[[NodeImporter], NodeImporter]:
    """Register a function as the importer of these kinds of layers.

    It gets the builder, the node and the operands, and returns the exact result, which the caller
    then casts to the type that the node's result has.
    """

    def register(importer: NodeImporter) -> NodeImporter:
        NODES.update(dict.fromkeys(kinds, importer))
        return importer

    return register
