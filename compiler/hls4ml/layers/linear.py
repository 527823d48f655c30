"""Products with weights: dense layers, convolutions, batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from calocc.compiler.hls4ml.layers.accumulators import check_sums
from calocc.compiler.hls4ml.layers.registry import GraphBuilder, hls4ml_layer
from calocc.compiler.hls4ml.nodes import Node
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import AddOp, AffineOp
from calocc.dialects.qnn.movement import ReshapeOp
from calocc.dialects.qnn.op import shape_of
from calocc.dialects.qnn.windows import Padding, Window

Floats = NDArray[np.float64]


@hls4ml_layer("Dense")
def dense(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """A matrix product, and a bias."""
    (x,) = inputs
    kernel = node.weight("weight")
    if len(shape_of(x)) > 1 and shape_of(x)[-1] != kernel.shape[0]:  # a flatten in place
        x = graph.add(node, ReshapeOp(x, (prod(shape_of(x)),), node.name))
    w = graph.weight(node, kernel, node.weight_type("weight"), "kernel")
    return _biased(graph, node, graph.add(node, DenseOp(x, w, layer=node.name)), kernel)


def _biased(graph: GraphBuilder, node: Node, y: SSAValue, kernel: Floats) -> SSAValue:
    """The sum with the bias; a note where hls4ml would sum in too few bits. kernel: (..., M)."""
    bias, type = node.weight("bias"), node.weight_type("bias")
    check_sums(graph, node, kernel.reshape(-1, kernel.shape[-1]), bias)
    if not bias.any():
        return y
    offset = graph.weight(node, bias, type, "bias")
    return graph.add(node, AddOp((y, offset), layer=node.name))


def _require_plain(node: Node) -> None:
    """Channels last, no dilation and no groups, which hls4ml's kernels do not know either."""
    if node.attr("data_format", "channels_last") != "channels_last":
        raise node.refused("its channels come first", "let hls4ml apply its flow 'convert'")
    for key in ("dilation_height", "dilation_width", "groups"):
        if int(node.attr(key, 1)) != 1:
            reason = f"its {key} is {node.attr(key)}, which hls4ml's own kernels ignore"
            raise node.refused(reason, "give calocc the Keras model itself")


def _window(node: Node, rank: int, size: tuple[int, int]) -> Window:
    """The window of a layer over an image, or over a sequence as an image of one row."""
    across = node.whole("pad_left", 0), node.whole("pad_right", 0)
    if rank == 2:
        return Window(1, size[1], (1, node.whole("stride_width")), Padding(0, 0, *across))
    down = node.whole("pad_top", 0), node.whole("pad_bottom", 0)
    strides = node.whole("stride_height"), node.whole("stride_width")
    return Window(*size, strides, Padding(*down, *across))


def as_image(graph: GraphBuilder, node: Node, x: SSAValue) -> SSAValue:
    """A sequence (L, C) as an image of one row; images stay."""
    shape = shape_of(x)
    return graph.add(node, ReshapeOp(x, (1, *shape), node.name)) if len(shape) == 2 else x


def as_result(graph: GraphBuilder, node: Node, y: SSAValue) -> SSAValue:
    """An image in the shape that the node's result has."""
    shape = node.shape()
    return y if shape_of(y) == shape else graph.add(node, ReshapeOp(y, shape, node.name))


@hls4ml_layer("Conv1D", "Conv2D", "PointwiseConv1D", "PointwiseConv2D", "Conv2DBatchnorm")
def convolution(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """The sum over a window and all channels, for each filter, and a bias."""
    (x,) = inputs
    _require_plain(node)
    channels, filters = node.whole("n_chan"), node.whole("n_filt")
    rows = node.whole("filt_height", 1) if len(shape_of(x)) == 3 else 1
    kernel = node.weight("weight").reshape(rows, -1, channels, filters)
    window = _window(node, len(shape_of(x)), (rows, kernel.shape[1]))
    w = graph.weight(node, kernel, node.weight_type("weight"), "kernel")
    y = graph.add(node, ConvOp(as_image(graph, node, x), w, window, layer=node.name))
    return _biased(graph, node, as_result(graph, node, y), kernel)


@hls4ml_layer("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """Each channel convolved with kernels of its own, and a bias."""
    (x,) = inputs
    _require_plain(node)
    rows = node.whole("filt_height", 1) if len(shape_of(x)) == 3 else 1
    kernel = _taps(node, rows)
    window = _window(node, len(shape_of(x)), (rows, kernel.shape[1]))
    w = graph.weight(node, kernel, node.weight_type("weight"), "kernel")
    y = graph.add(node, DepthwiseOp(as_image(graph, node, x), w, window, layer=node.name))
    flat = kernel.reshape(rows * kernel.shape[1], -1)
    return _biased(graph, node, as_result(graph, node, y), flat)


def _taps(node: Node, rows: int) -> Floats:
    """The kernel (height, width, channels, multiplier) of a depthwise convolution."""
    stored, channels = node.weight("weight"), node.whole("n_chan")
    multiplier = node.whole("depth_multiplier", 1)
    if stored.shape[-2:] == (channels, channels) and multiplier == 1 < channels:
        # hls4ml 1.3.0 multiplies the scales of a batch normalisation along the axis of
        # multipliers, so that each channel's own kernel is on the diagonal.
        stored = np.diagonal(stored, axis1=-2, axis2=-1)
    return stored.reshape(rows, -1, channels, multiplier)


@hls4ml_layer("BatchNormalization", "ApplyAlpha")
def batch_norm(graph: GraphBuilder, node: Node, inputs: Sequence[SSAValue]) -> SSAValue:
    """A scale and an offset per channel, or per element."""
    (x,) = inputs
    shape = shape_of(x)
    scale, bias = node.weight("scale"), node.weight("bias")
    size = max(scale.size, bias.size)
    if size not in (1, shape[-1], prod(shape)):
        reason = f"it has {size} scales for an operand of the shape {shape}"
        raise node.refused(reason, "normalise over the last axis")
    per_element = size == prod(shape)
    flat = graph.add(node, ReshapeOp(x, (size,), node.name)) if per_element else x
    parts = [
        graph.weight(node, values.reshape(-1), node.weight_type(name), name)
        for name, values in (("scale", scale), ("bias", bias))
    ]
    return as_result(graph, node, graph.add(node, AffineOp((flat, *parts), layer=node.name)))
