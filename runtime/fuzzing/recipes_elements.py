"""How layers without kernels are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from calocc.runtime.fuzzing import quantizers
from calocc.runtime.fuzzing.recipes import (
    MORE,
    OF_QKERAS,
    PLAIN,
    Config,
    Layout,
    Shape,
    axis_of,
    is_rough,
    pair,
    recipe,
    size,
)
from calocc.runtime.fuzzing.source import Source


@recipe("Activation")
def _activation(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    chosen = source.pick(*PLAIN, *MORE)
    return Layout({"activation": chosen}, rough=is_rough(chosen))


@recipe("QActivation")
def _quantizer(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    named = source.pick("relu", *OF_QKERAS)
    chosen = named if source.once_in(5) else quantizers.of_activations(source)
    return Layout({"activation": chosen}, rough=is_rough(chosen))


@recipe("QAdaptiveActivation")
def _adaptive(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    kind, each = source.pick("quantized_bits", "quantized_relu"), source.flag()
    config = {
        "activation": kind,
        "total_bits": source.pick(3, 6, 8),
        "symmetric": source.flag(),
        "per_channel": each,
        "po2_rounding": source.flag(),
        "relu_neg_slope": source.pick(0.0, 0.25) if kind == "quantized_relu" else 0.0,
    }
    channels = (shapes[0][-1],) if each else (1,)
    return Layout(config, {"ema_min": channels, "ema_max": channels})


@recipe("FixedPointQuantizer", "HGQ>FixedPointQuantizer")
def _fixed_point(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    overflow = source.pick("SAT", "WRAP", "SAT_SYM", "SAT_ZERO")
    roundings = ("TRN", "RND", "RND_CONV", "TRN_ZERO", "RND_ZERO", "RND_MIN_INF", "RND_INF")
    each = overflow != "SAT_ZERO" and source.flag()
    shape = (*(1 for _ in shapes[0]), shapes[0][-1]) if each else (1,)
    config: Config = {
        "RND": source.one_of(roundings),
        "SAT": overflow,
        "overrides": {"layers": {}},
        "fusible": False,
        "shape": list(shape),
    }
    return Layout(config, {"keep_negative": shape, "bits": shape, "integers": shape})


@recipe("Softmax")
def _softmax(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    return Layout({"axis": axis_of(source, len(shapes[0]))}, rough=True)


@recipe("LeakyReLU")
def _leaky(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    slope = source.pick(0.25, 0.0, 0.1, 0.3, 2.0, -0.2, -0.5)
    return Layout({"alpha": slope}, rough=slope in (0.1, 0.3, -0.2))


@recipe("ELU")
def _elu(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    return Layout({"alpha": source.pick(1.0, 0.3, 1.5)}, rough=True)


@recipe("ReLU")
def _relu(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    config = {
        "max_value": source.pick(None, 0.0, 0.3, 1.0),
        "negative_slope": source.pick(0.0, 0.1, 0.25),
        "threshold": source.pick(0.0, 0.1, 0.5),
    }
    return Layout(config, rough=bool({0.1, 0.3} & set(config.values())))


@recipe("ThresholdedReLU")
def _thresholded(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    return Layout({"theta": source.pick(0.0, 0.25, 0.7, 1.0)}, rough=True)


@recipe("PReLU")
def _prelu(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    shared = source.subset(range(1, len(shapes[0]) + 1))
    slopes = tuple(1 if k in shared else n for k, n in enumerate(shapes[0], 1))
    return Layout({"shared_axes": shared or None}, {"alpha": slopes}, rough=True)


@recipe("BatchNormalization", "QBatchNormalization")
def _normalisation(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    rank = len(shapes[0])
    axes = [axis_of(source, rank)]
    if name == "BatchNormalization" and source.once_in(3):
        axes = source.subset(range(1, rank + 1), least=1)
    counted = sorted({a - 1 if a > 0 else rank + a for a in axes})
    shape = (shapes[0][counted[0]],)
    if len(counted) > 1:
        shape = (1, *(n if k in counted else 1 for k, n in enumerate(shapes[0])))
    config: Config = {
        "axis": axes if name == "BatchNormalization" else axes[0],
        "center": source.flag(),
        "scale": source.flag(),
        "epsilon": source.pick(1e-3, 1e-5),
    }
    weights = {"gamma": shape} if config["scale"] else {}
    weights |= {"beta": shape} if config["center"] else {}
    return Layout(config, {**weights, "moving_mean": shape, "moving_variance": shape}, rough=True)


@recipe("LayerNormalization")
def _layer_norm(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    rank = len(shapes[0])
    axes = source.subset(range(1, rank + 1), least=1) if source.flag() else [rank]
    shape = tuple(shapes[0][axis - 1] for axis in axes)
    config: Config = {
        "axis": axes,
        "center": source.flag(),
        "scale": source.flag(),
        "epsilon": source.pick(1e-3, 1e-2, 0.5),
    }
    weights = {"gamma": shape} if config["scale"] else {}
    weights |= {"beta": shape} if config["center"] else {}
    return Layout(config, weights, rough=True)


# ---- windows -------------------------------------------------------------------------------------


@recipe("MaxPooling2D", "AveragePooling2D", ranks=(3,))
def _pooling2d(source: Source, name: str, _: Sequence[Shape]) -> Layout:
    config = {
        "pool_size": pair(source),
        "strides": pair(source, 2) if source.flag() else None,
        "padding": source.pick("valid", "same"),
    }
    return Layout(config, rough=name.startswith("Average"))


@recipe("MaxPooling1D", "AveragePooling1D", ranks=(2,))
def _pooling1d(source: Source, name: str, _: Sequence[Shape]) -> Layout:
    config = {
        "pool_size": [size(source)],
        "strides": [size(source, 2)] if source.flag() else None,
        "padding": source.pick("valid", "same"),
    }
    return Layout(config, rough=name.startswith("Average"))


@recipe("GlobalAveragePooling2D", "GlobalMaxPooling2D", ranks=(3,))
@recipe("GlobalAveragePooling1D", "GlobalMaxPooling1D", ranks=(2,))
def _global(source: Source, name: str, _: Sequence[Shape]) -> Layout:
    return Layout({"keepdims": source.flag()}, rough="Average" in name)


@recipe("QAveragePooling2D", "QGlobalAveragePooling2D", ranks=(3,))
def _quantized_average(source: Source, name: str, _: Sequence[Shape]) -> Layout:
    area = {"pool_size": pair(source), "strides": None, "padding": source.pick("valid", "same")}
    config = {
        **({} if "Global" in name else area),
        "average_quantizer": source.pick(
            "quantized_bits(8,0,alpha=1)", "quantized_bits(6,0,1,alpha=1)", None
        ),
        "activation": quantizers.of_activations(source) if source.flag() else None,
    }
    return Layout(config, rough=True)


# ---- movement ------------------------------------------------------------------------------------


@recipe("UpSampling2D", ranks=(3,))
def _upsampling2d(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    kind = source.pick("nearest", "bilinear")
    return Layout({"size": pair(source), "interpolation": kind}, rough=kind == "bilinear")


@recipe("UpSampling1D", ranks=(2,))
def _upsampling1d(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    return Layout({"size": size(source)})


@recipe("RepeatVector", ranks=(1,))
def _repeat(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    return Layout({"n": size(source)})


@recipe("Permute")
def _permute(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    return Layout({"dims": source.shuffled(range(1, len(shapes[0]) + 1))})


@recipe("ZeroPadding2D", "Cropping2D", ranks=(3,))
def _edges2d(source: Source, name: str, _: Sequence[Shape]) -> Layout:
    key, most = ("cropping", 1) if name.startswith("Cropping") else ("padding", 2)
    edges = [[source.integer(0, most) for _ in "ab"] for _ in "ab"]
    return Layout({key: edges})


@recipe("ZeroPadding1D", "Cropping1D", ranks=(2,))
def _edges1d(source: Source, name: str, _: Sequence[Shape]) -> Layout:
    key = "cropping" if name.startswith("Cropping") else "padding"
    return Layout({key: [source.integer(0, 2), source.integer(0, 2)]})


@recipe("Flatten")
def _flatten(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({})


@recipe("Reshape")
def _reshape(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    count = prod(shapes[0])
    first = source.one_of([d for d in range(1, count + 1) if count % d == 0])
    rest = source.one_of([d for d in range(1, count // first + 1) if count // first % d == 0])
    target = source.pick([-1], [first, -1], [first, rest, count // first // rest])
    return Layout({"target_shape": target})


@recipe("Dropout", "GaussianDropout", "AlphaDropout", "SpatialDropout1D", "SpatialDropout2D")
def _dropout(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({"rate": 0.5})


@recipe("GaussianNoise")
def _noise(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({"stddev": 0.5})


@recipe("ActivityRegularization")
def _regularisation(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({"l1": 0.1, "l2": 0.0})


@recipe("Identity")
def _identity(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({})


@recipe("Masking", ranks=(2, 3))
def _masking(source: Source, _: str, __: Sequence[Shape]) -> Layout:
    return Layout({"mask_value": source.pick(0.0, 0.5, -1.25)})


# ---- several operands ----------------------------------------------------------------------------


@recipe("Add", "Multiply", "Maximum", "Minimum", operands=(2, 3))
def _merge(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({})


@recipe("Average", operands=(2, 3))
def _average(_: Source, __: str, shapes: Sequence[Shape]) -> Layout:
    return Layout({}, rough=len(shapes) > 2)


@recipe("Subtract", operands=(2, 2))
def _subtract(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({})


@recipe("Concatenate", operands=(2, 3))
def _concatenate(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    return Layout({"axis": axis_of(source, len(shapes[0]))})


@recipe("Dot", ranks=(1, 2), operands=(2, 2))
def _dot(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    return Layout({"axes": axis_of(source, len(shapes[0])), "normalize": False})


# ---- DeepCalo's own ------------------------------------------------------------------------------


@recipe("FiLM", operands=(2, 2))
def _film(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({})


@recipe("Mask_track", "Sum1D", ranks=(2,))
def _tracks(_: Source, __: str, ___: Sequence[Shape]) -> Layout:
    return Layout({})


@recipe("Slice_tensor1D", ranks=(1,))
def _slice(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    start = source.integer(0, shapes[0][0] - 1)
    return Layout({"start": start, "end": source.integer(start + 1, shapes[0][0])})
