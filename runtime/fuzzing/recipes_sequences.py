"""How layers that run over the steps of a sequence are drawn."""

from __future__ import annotations

from collections.abc import Sequence

from calocc.runtime.fuzzing import quantizers
from calocc.runtime.fuzzing.recipes import RECIPES, Config, Layout, Shape, recipe, size
from calocc.runtime.fuzzing.source import Source

STATES = ("quantized_bits(6,1,alpha=1)", "quantized_bits(4,0,1,alpha=1)", "quantized_tanh(5)")
CANDIDATES = ("quantized_tanh(5)", "quantized_bits(4,0,alpha=1)", "quantized_tanh(6,symmetric=1)")
GATES = ("quantized_sigmoid(4)", "quantized_bits(4,1,keep_negative=0,alpha=1)", "hard_sigmoid")
FORMATS = {"activation": "fixed<6,1>", "recurrent_activation": "ufixed<5,0>", "state": "fixed<6,2>"}
"""What recurrent layers of Keras leave open."""
COLUMNS = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}
RECURRENT = (*COLUMNS, *(f"Q{name}" for name in COLUMNS))


def _activations(source: Source, name: str) -> tuple[Config, dict[str, str]]:
    """Activations and quantizers of a recurrent layer, and the formats it leaves open."""
    gated = not name.endswith("SimpleRNN")
    if name.startswith("Q"):
        config: Config = {
            "kernel_quantizer": quantizers.of_kernels(source, fitted=False),
            "recurrent_quantizer": quantizers.of_kernels(source, fitted=False),
            "state_quantizer": source.one_of(STATES),
            "activation": source.one_of(CANDIDATES),
            "bias_quantizer": "quantized_bits(8,3,alpha=1)",
        }
        return config | ({"recurrent_activation": source.one_of(GATES)} if gated else {}), {}
    config = {"activation": source.pick("tanh", "softsign", "sigmoid")}
    if gated:
        config["recurrent_activation"] = source.pick("sigmoid", "hard_sigmoid")
    formats = {k: v for k, v in FORMATS.items() if k == "state" or k in config}
    formats |= {t: quantizers.fixed_text(source) for t in ("kernel", "recurrent_kernel", "bias")}
    return config, formats


def _recurrent_layout(source: Source, name: str, features: int, units: int) -> Layout:
    kind = name.removeprefix("Q")
    columns, use_bias = units * COLUMNS[kind], source.flag()
    config, formats = _activations(source, name)
    config |= {
        "units": units,
        "use_bias": use_bias,
        "go_backwards": source.flag(),
        "return_sequences": source.flag(),
        "return_state": False,
        "stateful": False,
    }
    weights: dict[str, Shape] = {
        "kernel": (features, columns),
        "recurrent_kernel": (units, columns),
    }
    if kind == "GRU":
        config["reset_after"] = source.flag()
    if use_bias:
        weights["bias"] = (2, columns) if config.get("reset_after") else (columns,)
    else:
        formats.pop("bias", None)
    return Layout(config, weights, formats)


@recipe(*RECURRENT, ranks=(2,))
def _recurrent(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    return _recurrent_layout(source, name, shapes[0][-1], size(source, 3))


@recipe("Bidirectional", "QBidirectional", ranks=(2,))
def _both_ways(source: Source, name: str, shapes: Sequence[Shape]) -> Layout:
    kinds = RECURRENT[3:] if name.startswith("Q") else RECURRENT[:3]
    inner = source.one_of(kinds)
    layout = _recurrent_layout(source, inner, shapes[0][-1], size(source, 2))
    config = {
        "layer": {"class_name": inner, "config": {"name": "inner", **layout.config}},
        "merge_mode": source.pick("concat", "sum", "mul", "ave"),
    }
    weights = {
        f"{way}/{w}": s for way in ("forward", "backward") for w, s in layout.weights.items()
    }
    return Layout(config, weights, layout.formats)


INNER = (
    *("Dense", "QDense", "Conv1D", "QConv1D", "SeparableConv1D", "DepthwiseConv1D"),
    *("BatchNormalization", "QActivation", "Activation", "ReLU", "Softmax", "Dropout"),
    *("MaxPooling1D", "AveragePooling1D", "GlobalMaxPooling1D", "ZeroPadding1D", "Cropping1D"),
    *("UpSampling1D", "RepeatVector", "Permute", "Flatten", "LayerNormalization"),
)


@recipe("TimeDistributed", ranks=(2, 3))
def _time_distributed(source: Source, _: str, shapes: Sequence[Shape]) -> Layout:
    own = shapes[0][1:]
    inner = source.one_of([name for name in INNER if len(own) in RECIPES[name].ranks])
    layout = RECIPES[inner].draw(source, inner, [own])
    config = {"layer": {"class_name": inner, "config": {"name": "inner", **layout.config}}}
    return Layout(config, layout.weights, layout.formats, layout.rough)
