"""Layers that move elements, pool them or cast them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from calocc.compiler.hls4ml.layers.linear import as_image, as_result
from calocc.compiler.hls4ml.layers.registry import GraphBuilder, hls4ml_layer
from calocc.compiler.hls4ml.nodes import Node
from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.formats import fixed_point
from calocc.compiler.keras.model import KerasLayer
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.qnn.elementwise import AffineOp
from calocc.dialects.qnn.movement import PadOp, TransposeOp, UpsampleOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantizers import FixedPoint
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.windows import Padding, Window


@hls4ml_layer("Reshape", "Repack")
def reshape(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """The same elements in another shape."""
    return as_result(graph, node, inputs[0])


@hls4ml_layer("Clone", "Broadcast")
def clone(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """The operand itself: calocc copies and broadcasts where it is read."""
    return inputs[0]


@hls4ml_layer("Transpose")
def transpose(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """The axes in another order."""
    order = [int(k) for k in node.attr("perm")]
    if order == list(range(len(order))):
        return inputs[0]
    return graph.add(node, TransposeOp(inputs[0], order, node.name))


def _edges(node: Node, name: str) -> Padding:
    """What is added to, or taken from, the four sides."""
    sides = (f"{name}_{side}" for side in ("top", "bottom", "left", "right"))
    return Padding(*(node.whole(side, 0) for side in sides))


@hls4ml_layer("ZeroPadding1D", "ZeroPadding2D")
def zero_padding(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """Zeros around an image or a sequence."""
    image = as_image(graph, node, inputs[0])
    y = graph.add(node, PadOp(image, _edges(node, "pad"), node.name))
    return as_result(graph, node, y)


@hls4ml_layer("Cropping1D", "Cropping2D")
def cropping(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """Without the outer rows and columns."""
    y, edges = as_image(graph, node, inputs[0]), _edges(node, "crop")
    for axis, first, last in ((0, edges.top, edges.bottom), (1, edges.left, edges.right)):
        if first or last:
            stop = shape_of(y)[axis] - last
            y = graph.add(node, SliceOp(y, axis, first, stop, node.name))
    return as_result(graph, node, y)


@hls4ml_layer("Resize")
def resize(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each pixel repeated a whole number of times."""
    (x,) = inputs
    if node.attr("algorithm", "nearest") != "nearest":
        reason = "it interpolates, which hls4ml writes as a repetition of pixels"
        raise node.refused(reason, "give calocc the Keras model itself")
    image = as_image(graph, node, x)
    old, new = shape_of(image)[:2], (1, *node.shape())[-3:-1]
    if any(n % o for n, o in zip(new, old, strict=True)):
        raise node.refused(f"{old} pixels do not become {new}", "enlarge by whole numbers")
    factors = new[0] // old[0], new[1] // old[1]
    return as_result(graph, node, graph.add(node, UpsampleOp(image, factors, node.name)))


@hls4ml_layer("Pooling1D", "Pooling2D")
def pooling(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """The maximum or the average over windows."""
    if any(_edges(node, "pad")):
        reason = "its windows reach over the border, which hls4ml's streaming kernels refuse too"
        raise node.refused(reason, "pad and pool in layers of their own")
    image = as_image(graph, node, inputs[0])
    size = node.whole("pool_height", 1), node.whole("pool_width")
    strides = node.whole("stride_height", 1), node.whole("stride_width")
    return _pool(graph, node, image, Window(*size, strides))


@hls4ml_layer("GlobalPooling1D", "GlobalPooling2D")
def global_pooling(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """The maximum or the average over all pixels."""
    image = as_image(graph, node, inputs[0])
    height, width, _ = shape_of(image)
    return _pool(graph, node, image, Window(height, width))


def _pool(graph: GraphBuilder, node: Node, x: SSAValue, window: Window) -> SSAValue:
    """Pixels are cast to the accumulator, whose sum is divided towards zero at its own LSB."""
    accumulator = node.type("accum")
    x = graph.cast(node, x, accumulator)
    if node.attr("pool_op") == "Max":
        return as_result(graph, node, graph.add(node, PoolOp(x, Pooling.MAX, window, node.name)))
    total = graph.add(node, PoolOp(x, Pooling.SUM, window, node.name))
    total = graph.cast(node, total, accumulator)
    quotient = FixedPoint(
        *(accumulator.bits, accumulator.integer, accumulator.signed),
        *(Rounding.TRN_ZERO, Overflow.SAT),  # a quotient is no greater than the sum
    )
    # In float64 a product with 1/49 may lie just below a whole number; of sums of fewer than 40
    # bits none is moved up to the next one by this factor.
    exact = window.taps & (window.taps - 1) == 0
    scale = (1.0 if exact else 1 + 2.0**-44) / window.taps
    factors = graph.constant(node, scale), graph.constant(node, 0.0)
    y = graph.cast(node, graph.add(node, AffineOp((total, *factors), layer=node.name)), quotient)
    return as_result(graph, node, y)


@hls4ml_layer("FixedPointQuantizer")
def quantizer(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """A cast of HGQ's to one format, or to one for each channel."""
    keys = ("keep_negative", "bits", "integers")
    masks: dict[str, Any] = {
        key: np.asarray(mask) for key, mask in zip(keys, node.attr("mask_kbi"), strict=True)
    }
    modes = {"RND": node.attr("RND"), "SAT": node.attr("SAT")}
    stored = KerasLayer(node.name, "FixedPointQuantizer", modes, (), masks)
    return fixed_point(graph.ops, LayerConfig(stored), inputs)


@hls4ml_layer("Constant")
def constant(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """A tensor that is always the same."""
    return graph.constant(node, np.asarray(node.attr("value"), np.float64))
