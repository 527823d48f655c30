"""How to draw transposed convolutions."""

from __future__ import annotations

import importlib
from typing import Any

from hypothesis import strategies as st
from keras_layers import BIASES, DYADIC_KERNELS, PLAIN, QUANTIZED, Spec, drawn, pick, size


def of_qkeras() -> Any:
    """QConv2DTranspose; QKeras 0.9 looks up `stack` where current TensorFlow does not have it."""
    module: Any = importlib.import_module("qkeras.qconvolutional")
    module.array_ops.stack = importlib.import_module("tensorflow").stack
    return module.QConv2DTranspose


def _axis(draw: st.DrawFn, same: bool, padded: bool) -> tuple[int, int, int | None]:
    """Taps, stride and output padding; an even number of taps needs some of it under `same`."""
    taps, stride = size(draw, 4), size(draw, 3)
    if not padded:
        return taps, stride, None
    least = 1 if same and taps % 2 == 0 else 0
    stride = max(stride, least + 1)
    return taps, stride, draw(st.integers(least, stride - 1))


def _window(draw: st.DrawFn, rank: int, paddable: bool) -> dict[str, Any]:
    same, padded = draw(st.booleans()), paddable and draw(st.booleans())
    axes = [_axis(draw, same, padded) for _ in range(rank)]
    taps, strides, extra = zip(*axes, strict=True)
    window: dict[str, Any] = {"padding": "same" if same else "valid", "kernel_size": taps}
    if padded:
        return {**window, "strides": strides, "output_padding": extra}
    if draw(st.booleans()):
        return {**window, "dilation_rate": size(draw, 3)}
    return {**window, "strides": strides}


@drawn("transposed", "Conv1DTranspose", "Conv2DTranspose")
def _plain(draw: st.DrawFn, name: str) -> Spec:
    rank = 1 if "1D" in name else 2
    arguments = {
        "filters": size(draw, 4),
        "use_bias": draw(st.booleans()),
        "activation": pick(draw, *PLAIN),
    }
    return Spec(name, {**arguments, **_window(draw, rank, paddable=True)}, rank + 1)


@drawn("transposed", "QConv2DTranspose")
def _quantized(draw: st.DrawFn, name: str) -> Spec:
    of_qkeras()
    arguments = {
        "filters": size(draw, 4),
        "use_bias": draw(st.booleans()),
        "kernel_quantizer": pick(draw, *DYADIC_KERNELS),
        "bias_quantizer": pick(draw, None, *BIASES),
        "activation": pick(draw, None, *PLAIN, *QUANTIZED),
    }
    # QKeras drops the output padding it is given.
    return Spec(name, {**arguments, **_window(draw, 2, paddable=False)}, 3)
