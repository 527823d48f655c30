"""How layers with kernels are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calocc.runtime.fuzzing import quantizers
from calocc.runtime.fuzzing.recipes import (
    PLAIN,
    Config,
    Layout,
    Shape,
    activation,
    is_rough,
    linear,
    recipe,
    size,
    window,
)
from calocc.runtime.fuzzing.source import Source

KERNEL = {"kernel": "kernel_quantizer"}
DEPTHWISE = {"depthwise_kernel": "depthwise_quantizer", "pointwise_kernel": "pointwise_quantizer"}


def _with(layout: Layout, config: Config, weights: dict[str, Shape] | None = None) -> Layout:
    """A layout with more of a configuration, and more weights behind the kernel."""
    own = dict(layout.weights)
    return Layout({**layout.config, **config}, {**own, **(weights or {})}, layout.formats, True)


def _joined(layout: Layout, config: Config) -> Layout:
    return Layout({**layout.config, **config}, layout.weights, layout.formats, layout.rough)


@recipe("Dense", "QDense")
def _dense(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    units = size(source, 5)
    layout = linear(source, name, units, {"kernel": (shapes[0][-1], units)}, KERNEL)
    return _joined(layout, {"units": units})


def _groups(source: Source, channels: int) -> int:
    return source.pick(1, 1, *(n for n in range(2, channels + 1) if channels % n == 0))


def _convolution(source: Source, name: str, shape: Shape, rank: int) -> Layout:
    area = window(source, rank, causal=rank == 1)
    groups = _groups(source, shape[-1])
    filters = groups * size(source, 4 if groups == 1 else 2)
    kernel = (*area["kernel_size"], shape[-1] // groups, filters)
    layout = linear(source, name, filters, {"kernel": kernel}, KERNEL)
    return _joined(layout, {**area, "filters": filters, "groups": groups})


@recipe("Conv2D", "QConv2D", ranks=(3,))
def _conv2d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _convolution(source, name, shapes[0], 2)


@recipe("Conv1D", "QConv1D", ranks=(2,))
def _conv1d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _convolution(source, name, shapes[0], 1)


def _statistics(source: Source, filters: int) -> tuple[Config, dict[str, Shape]]:
    config: Config = {"center": True, "scale": source.flag(), "epsilon": source.pick(1e-3, 1e-2)}
    names = ["beta", "moving_mean", "moving_variance"] + ["gamma"] * config["scale"]
    config |= {"folding_mode": "ema_stats_folding", "ema_freeze_delay": source.pick(None, 7)}
    return config, dict.fromkeys(sorted(names, key=_KERAS_ORDER.index), (filters,))


_KERAS_ORDER = ("gamma", "beta", "moving_mean", "moving_variance")


@recipe("QConv2DBatchnorm", ranks=(3,))
def _folded_conv2d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    area, filters = window(source, 2), size(source, 4)
    kernel = (*area["kernel_size"], shapes[0][-1], filters)
    layout = linear(source, name, filters, {"kernel": kernel}, KERNEL)
    config, weights = _statistics(source, filters)
    return _with(layout, {**area, "filters": filters, **config}, weights)


@recipe("QDenseBatchnorm")
def _folded_dense(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    units = size(source, 5)
    layout = linear(source, name, units, {"kernel": (shapes[0][-1], units)}, KERNEL)
    config, weights = _statistics(source, units)
    return _with(layout, {"units": units, **config}, weights)


def _depthwise_layout(source: Source, name: str, shape: Shape, rank: int) -> Layout:
    area, multiplier = window(source, rank), size(source, 2)
    area["strides"] = [area["strides"][0]] * rank  # Keras wants equal strides
    kernel = (*area["kernel_size"], shape[-1], multiplier)
    filters = shape[-1] * multiplier
    layout = linear(source, name, filters, {"depthwise_kernel": kernel}, DEPTHWISE)
    return _joined(layout, {**area, "depth_multiplier": multiplier})


@recipe("DepthwiseConv2D", "QDepthwiseConv2D", ranks=(3,))
def _depthwise2d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _depthwise_layout(source, name, shapes[0], 2)


@recipe("DepthwiseConv1D", ranks=(2,))
def _depthwise1d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _depthwise_layout(source, name, shapes[0], 1)


@recipe("QDepthwiseConv2DBatchnorm", ranks=(3,))
def _folded_depthwise(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    layout = _depthwise_layout(source, name, shapes[0], 2)
    channels = shapes[0][-1] * layout.config["depth_multiplier"]
    return _with(layout, *_statistics(source, channels))


def _separable(source: Source, name: str, shape: Shape, rank: int) -> Layout:
    area, multiplier, filters = window(source, rank), size(source, 2), size(source, 4)
    area["strides"] = [area["strides"][0]] * rank
    kernels = {
        "depthwise_kernel": (*area["kernel_size"], shape[-1], multiplier),
        "pointwise_kernel": (*((1,) * rank), shape[-1] * multiplier, filters),
    }
    layout = linear(source, name, filters, kernels, DEPTHWISE)
    return _joined(layout, {**area, "depth_multiplier": multiplier, "filters": filters})


@recipe("SeparableConv2D", "QSeparableConv2D", ranks=(3,))
def _separable2d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _separable(source, name, shapes[0], 2)


@recipe("SeparableConv1D", "QSeparableConv1D", ranks=(2,))
def _separable1d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _separable(source, name, shapes[0], 1)


def _transposed(source: Source, name: str, shape: Shape, rank: int) -> Layout:
    strides = [size(source, 3) for _ in range(rank)]
    dilated = all(n == 1 for n in strides) and source.flag()
    area: Config = {
        "kernel_size": [size(source, 4) for _ in range(rank)],
        "strides": strides,
        "padding": source.pick("valid", "same"),
        "dilation_rate": [size(source, 2)] * rank if dilated else [1] * rank,
        "output_padding": None,
    }
    if not dilated and not name.startswith("Q") and source.once_in(3):
        area["output_padding"] = [source.integer(0, n - 1) for n in strides]
    filters = size(source, 3)
    kernel = (*area["kernel_size"], filters, shape[-1])
    layout = linear(source, name, filters, {"kernel": kernel}, KERNEL)
    return _joined(layout, {**area, "filters": filters})


@recipe("Conv2DTranspose", "QConv2DTranspose", ranks=(3,))
def _transposed2d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _transposed(source, name, shapes[0], 2)


@recipe("Conv1DTranspose", ranks=(2,))
def _transposed1d(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _transposed(source, name, shapes[0], 1)


EQUATIONS = {
    1: ("ab,bc->ac", "...b,bc->...c"),
    2: ("abc,cd->abd", "abc,bd->adc", "abc,bcd->ad", "abc,cd->adb", "...c,cde->...de"),
    3: ("abcd,cde->abe", "abcd,de->abce", "abcd,bce->aed", "abcd,dce->abe", "...cd,cde->...e"),
}


@recipe("EinsumDense")
def _einsum(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    equation = source.one_of(EQUATIONS[len(shapes[0])])
    x, w, y = equation.replace("->", ",").split(",")
    named = x.strip(".")
    sizes = dict(zip(reversed(named), reversed(shapes[0]), strict=False))
    result = y.strip(".")
    sizes |= {c: size(source, 4) for c in w if c not in named}
    written = [c for c in result if c != "a" or x.startswith("...")]
    fresh = [c for c in result if c not in named]
    axes = source.pick(None, *fresh)
    chosen = source.one_of(PLAIN)
    config = {
        "equation": equation,
        "output_shape": [sizes[c] if c in fresh else None for c in written],
        "bias_axes": axes,
        "activation": chosen,
    }
    weights: dict[str, Shape] = {"kernel": tuple(sizes[c] for c in w)}
    if axes is not None:
        behind = result[result.index(axes) + 1 :]
        weights["bias"] = (sizes[axes], *(1 for _ in behind))
    formats = {"kernel": quantizers.fixed_text(source)}
    return Layout(config, weights, formats, is_rough(chosen) or axes is not None)


@recipe("BinaryDense", "TernaryDense", ranks=(1, 2))
def _narrow(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    units, use_bias = size(source, 4), source.flag()
    scale: Any = source.pick(1.0, 1.0, 0.5, "Glorot")
    config = {"units": units, "H": scale, "use_bias": use_bias, "activation": "linear"}
    weights: dict[str, Shape] = {"kernel": (shapes[0][-1], units)}
    weights |= {"bias": (units,)} if use_bias else {}
    return Layout(config, weights, rough=use_bias or scale == "Glorot")


@recipe("QScaleShift")
def _scale_shift(source: Source, name: str, _: Sequence[Shape]) -> Layout:
    chosen, use_bias = activation(source, name), source.flag()
    config = {
        "weight_quantizer": source.pick("quantized_bits(6,1,alpha=1)", "quantized_po2(4)", None),
        "bias_quantizer": quantizers.of_biases(source),
        "use_bias": use_bias,
        "activation": chosen,
    }
    weights: dict[str, Shape] = {"weight": (1, 1), **({"bias": (1, 1)} if use_bias else {})}
    return Layout(config, weights, rough=True)


@recipe("Embedding", indices=True)
def _embedding(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    rows, columns = source.pick(8, 9, 40), size(source, 4)
    config = {"input_dim": rows, "output_dim": columns, "mask_zero": source.once_in(4)}
    formats = {"embeddings": quantizers.fixed_text(source)}
    return Layout(config, {"embeddings": (rows, columns)}, formats)
