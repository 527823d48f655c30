"""How normalisations and rectifiers are drawn."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from keras_layers import Spec, drawn, pick


def _axes(draw: st.DrawFn, rank: int) -> Any:
    """The last axis, any axis, or several."""
    several = draw(st.sets(st.integers(1, rank), min_size=1))
    return pick(draw, -1, draw(st.integers(1, rank)), sorted(several))


@drawn("normalisations", "BatchNormalization")
def _normalisation(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2, 3)
    arguments = {
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
        "epsilon": pick(draw, 1e-3, 1e-5),
        "axis": _axes(draw, rank),
    }
    return Spec(name, arguments, rank)


@drawn("normalisations", "QBatchNormalization")
def _quantized_normalisation(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2, 3)
    flags: dict[str, Any] = {"center": draw(st.booleans()), "scale": draw(st.booleans())}
    if draw(st.booleans()):
        flags["mean_quantizer"] = pick(draw, None, "quantized_bits(6,1,alpha=1)")
    return Spec(name, {**flags, "axis": pick(draw, -1, draw(st.integers(1, rank)))}, rank)


@drawn("rectifiers", "ELU")
def _elu(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"alpha": pick(draw, 1.0, 0.3, 1.5)}, pick(draw, 1, 2, 3))


@drawn("rectifiers", "ReLU")
def _relu(draw: st.DrawFn, name: str) -> Spec:
    arguments = {
        "max_value": pick(draw, None, 0.0, 0.3, 1.0),
        "negative_slope": pick(draw, 0.0, 0.1, 0.25),
        "threshold": pick(draw, 0.0, 0.1, 0.5),
    }
    return Spec(name, arguments, pick(draw, 1, 2, 3))


@drawn("rectifiers", "ThresholdedReLU")
def _thresholded(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"theta": pick(draw, 0.0, 0.25, 0.7, 1.0)}, pick(draw, 1, 2, 3))


@drawn("rectifiers", "LeakyReLU")
def _leaky(draw: st.DrawFn, name: str) -> Spec:
    slopes = (0.0, 0.1, 0.3, 0.25, 2.0, -0.2, -0.5)
    return Spec(name, {"alpha": pick(draw, *slopes)}, pick(draw, 1, 2, 3))


@drawn("rectifiers", "PReLU")
def _prelu(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2, 3)
    shared = sorted(draw(st.sets(st.integers(1, rank))))
    return Spec(name, {"shared_axes": shared or None}, rank)
