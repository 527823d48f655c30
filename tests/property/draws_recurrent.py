"""How to draw recurrent layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from keras_layers import BIASES, DRAWS, DYADIC_KERNELS, Spec, drawn, pick, size

from calocc.runtime.reference import reference_modules

reference_modules()  # without which layers of QKeras 0.9 do not run

KERNELS = tuple(k for k in DYADIC_KERNELS if "po2(" not in k)
STATES = ("quantized_bits(6,1,alpha=1)", "quantized_bits(4,0,1,alpha=1)", "quantized_tanh(5)")
CANDIDATES = ("quantized_tanh(5)", "quantized_bits(4,0,alpha=1)", "quantized_tanh(6,symmetric=1)")
GATES = ("quantized_sigmoid(4)", "quantized_bits(4,1,keep_negative=0,alpha=1)", "hard_sigmoid")


def _flags(draw: st.DrawFn, name: str) -> dict[str, Any]:
    keys = ["use_bias", "go_backwards", "return_sequences"]
    if "GRU" in name:
        keys.append("reset_after")
    return {"units": size(draw, 4), **{key: draw(st.booleans()) for key in keys}}


def _plain(draw: st.DrawFn, name: str) -> dict[str, Any]:
    arguments = {"activation": pick(draw, "tanh", "softsign", "sigmoid")}
    if name != "SimpleRNN":
        arguments["recurrent_activation"] = pick(draw, "sigmoid", "hard_sigmoid")
    return arguments


def _quantizers(draw: st.DrawFn, name: str) -> dict[str, Any]:
    arguments = {
        "kernel_quantizer": pick(draw, *KERNELS),
        "recurrent_quantizer": pick(draw, *KERNELS),
        "state_quantizer": pick(draw, *STATES),
        "activation": pick(draw, *CANDIDATES),
    }
    if name != "QSimpleRNN":
        arguments["recurrent_activation"] = pick(draw, *GATES)
    return arguments


def arguments_of(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """What a recurrent layer is made with."""
    flags = _flags(draw, name)
    if not name.startswith("Q"):
        return {**flags, **_plain(draw, name)}
    if flags["use_bias"]:  # or else QKeras would quantize None
        flags["bias_quantizer"] = pick(draw, None, *BIASES[:2])
    return {**flags, **_quantizers(draw, name)}


FORMATS = {"activation": "fixed<6,1>", "recurrent_activation": "ufixed<5,0>", "state": "fixed<6,2>"}
"""What layers of Keras leave open."""


@drawn("recurrent", "SimpleRNN", "LSTM", "GRU")
def _recurrent(draw: st.DrawFn, name: str) -> Spec:
    arguments = arguments_of(draw, name)
    formats = {k: v for k, v in FORMATS.items() if k == "state" or k in arguments}
    return Spec(name, arguments, 2, formats=formats)


@drawn("quantized recurrent", "QSimpleRNN", "QLSTM", "QGRU")
def _quantized_recurrent(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, arguments_of(draw, name), 2, coarse=True)


MERGES = ("concat", "sum", "mul", "ave")


def _both_ways(draw: st.DrawFn, name: str, inner: tuple[str, ...], **options: Any) -> Spec:
    """A layer and perhaps another one for the backward direction, each of a class of `inner`."""
    specs = [DRAWS[pick(draw, *inner)](draw) for _ in range(2)]
    forward, backward = (dict(spec.arguments) for spec in specs)
    backward |= {key: forward[key] for key in ("units", "return_sequences")}
    backward["go_backwards"] = not forward["go_backwards"]
    own = {"layer": replace(specs[0], arguments=forward)}
    if draw(st.booleans()):
        own["backward_layer"] = replace(specs[1], arguments=backward)
    formats = {k: text for spec in own.values() for k, text in spec.formats.items()}
    arguments = {**own, "merge_mode": pick(draw, *MERGES)}
    return Spec(name, arguments, 2, formats=formats, **options)


@drawn("both ways", "Bidirectional")
def _bidirectional(draw: st.DrawFn, name: str) -> Spec:
    return _both_ways(draw, name, ("SimpleRNN", "LSTM", "GRU"))


@drawn("both ways quantized", "QBidirectional")
def _quantized_bidirectional(draw: st.DrawFn, name: str) -> Spec:
    return _both_ways(draw, name, ("QSimpleRNN", "QLSTM", "QGRU"), coarse=True)
