"""Layers that act on each element alone: activations and merges."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.hls4ml.layers.registry import GraphBuilder, hls4ml_layer
from calocc.compiler.hls4ml.nodes import Node
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    ExactElementwiseOp,
    GateOp,
    LeakyReluOp,
    MaximumOp,
    MinimumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.hls_table import TABLES, HlsTable
from calocc.dialects.qnn.movement import ConcatOp, ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.softmax import SoftmaxOp

Importer = Callable[[GraphBuilder, Node, SSAValue], SSAValue]


@hls4ml_layer("Activation", "HardActivation", "ParametrizedActivation", "PReLU", "Softmax")
def activation(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """A function by name."""
    (x,) = inputs
    name = str(node.attr("activation")).lower().replace("_", "")
    if name in TABLES:
        return _table(graph, node, x, name)
    if name not in _FUNCTIONS:
        known = ", ".join(sorted((*_FUNCTIONS, *TABLES)))
        raise node.refused(f"its function {name!r} has no equal here", f"use one of {known}")
    return _FUNCTIONS[name](graph, node, x)


def _relu(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    return graph.add(node, ReluOp((x,), layer=node.name))


def _same(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    return x


def _leaky(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    slope = graph.weight(node, float(node.attr("activ_param")), node.type("param"), "slope")
    return graph.add(node, LeakyReluOp((x, slope), layer=node.name))


def _thresholded(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    """x above a threshold, 0 elsewhere."""
    theta = graph.weight(node, float(node.attr("activ_param")), node.type("param"), "threshold")
    return graph.add(node, GateOp((x, theta, graph.constant(node, 0.0)), layer=node.name))


def _prelu(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    """A slope for each element."""
    slopes, shape = node.weight("param"), shape_of(x)
    if slopes.size not in (1, shape[-1]):  # one axis of channels takes them all
        x = graph.add(node, ReshapeOp(x, (slopes.size,), node.name))
    slope = graph.weight(node, slopes.reshape(-1), node.weight_type("param"), "slope")
    y = graph.add(node, LeakyReluOp((x, slope), layer=node.name))
    return y if shape_of(y) == shape else graph.add(node, ReshapeOp(y, shape, node.name))


def _hard_sigmoid(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    """clip(slope * x + shift, 0, 1)"""
    line = [graph.weight(node, float(node.attr(k)), node.type(k), k) for k in ("slope", "shift")]
    y = graph.add(node, AffineOp((x, *line), layer=node.name))
    y = graph.add(node, MaximumOp((y, graph.constant(node, 0.0)), layer=node.name))
    return graph.add(node, MinimumOp((y, graph.constant(node, 1.0)), layer=node.name))


def _hard_tanh(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    """Twice the hard sigmoid, less 1."""
    y = _hard_sigmoid(graph, node, x)
    constants = graph.constant(node, 2.0), graph.constant(node, -1.0)
    return graph.add(node, AffineOp((y, *constants), layer=node.name))


def _softmax(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    """calocc's own softmax: hls4ml's tables are not followed, and that is noted."""
    if node.attr("skip", False):
        return x
    if int(node.attr("axis", -1)) not in (-1, len(shape_of(x))):
        raise node.refused("it is not taken over the last axis", "transpose the tensor first")
    if node.attr("implementation", "stable") == "argmax":
        raise node.refused("it only marks the greatest class", "take the argmax of the logits")
    graph.note(node, "the softmax is calocc's, nearer to the real one than hls4ml's tables")
    return graph.add(node, SoftmaxOp(x, layer=node.name))


def _table(graph: GraphBuilder, node: Node, x: SSAValue, name: str) -> SSAValue:
    """The table that hls4ml reads the function from."""
    cast, size = node.type("table"), node.whole("table_size")
    table = HlsTable(
        *(cast.bits, cast.integer, cast.signed, cast.rounding, cast.overflow),
        function=name,
        size=size,
    )
    near = graph.cast(node, x, table.index)
    return graph.ops.quantize(node.config, near, table)


_FUNCTIONS: dict[str, Importer] = {
    "linear": _same,
    "relu": _relu,
    "leakyrelu": _leaky,
    "thresholdedrelu": _thresholded,
    "prelu": _prelu,
    "hardsigmoid": _hard_sigmoid,
    "hardtanh": _hard_tanh,
    "softmax": _softmax,
}

_MERGES: dict[str, type[ExactElementwiseOp]] = {
    "add": AddOp,
    "subtract": SubtractOp,
    "multiply": MultiplyOp,
    "maximum": MaximumOp,
    "minimum": MinimumOp,
    "average": AddOp,
}


@hls4ml_layer("Merge")
def merge(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """Two operands combined element by element."""
    name = str(node.attr("op")).lower()
    if name not in _MERGES:
        known = ", ".join(_MERGES)
        raise node.refused(f"its operation {name!r} is not known", f"use one of {known}")
    rank = max(len(shape_of(x)) for x in inputs)
    operands = [_with_rank(graph, node, x, rank) for x in inputs]
    y = graph.add(node, _MERGES[name](operands, layer=node.name))
    if name == "average":
        half, zero = graph.constant(node, 0.5), graph.constant(node, 0.0)
        y = graph.add(node, AffineOp((y, half, zero), layer=node.name))
    return y


def _with_rank(graph: GraphBuilder, node: Node, x: SSAValue, rank: int) -> SSAValue:
    shape = shape_of(x)
    if len(shape) == rank:
        return x
    return graph.add(node, ReshapeOp(x, (*(1,) * (rank - len(shape)), *shape), node.name))


@hls4ml_layer("Concatenate")
def concatenate(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """Operands one after the other along an axis, which hls4ml counts from the events."""
    axis, rank = int(node.attr("axis")), len(shape_of(inputs[0]))
    along = axis - 1 if axis > 0 else axis + rank
    return graph.add(node, ConcatOp(inputs, int(np.clip(along, 0, rank - 1)), layer=node.name))
