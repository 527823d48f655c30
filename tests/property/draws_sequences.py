"""How to draw layers that work on sequences."""

from __future__ import annotations

from hypothesis import strategies as st
from keras_layers import DRAWS, Spec, drawn, pick

INNER = (
    *("Dense", "QDense", "Conv1D", "QConv1D", "SeparableConv1D", "DepthwiseConv1D"),
    *("BatchNormalization", "QActivation", "Activation", "ReLU", "Softmax", "Dropout"),
    *("MaxPooling1D", "AveragePooling1D", "GlobalMaxPooling1D", "ZeroPadding1D", "Cropping1D"),
    *("UpSampling1D", "RepeatVector", "Permute", "Flatten", "Masking"),
    "LayerNormalization",
)


@drawn("sequences", "TimeDistributed")
def _time_distributed(draw: st.DrawFn, name: str) -> Spec:
    inner = draw_inner(draw)
    return Spec(name, {"layer": inner}, inner.rank + 1)


@drawn("layer-norm", "LayerNormalization")
def _layer_norm(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2, 3)
    axes = st.lists(st.integers(1, rank), min_size=1, unique=True)
    arguments = {
        "axis": draw(st.one_of(st.sampled_from([-1, rank]), axes)),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
        "epsilon": pick(draw, 1e-3, 1e-2, 0.5),
    }
    return Spec(name, arguments, rank)


@drawn("sequences", "Masking")
def _masking(draw: st.DrawFn, name: str) -> Spec:
    return Spec(name, {"mask_value": pick(draw, 0.0, 0.5, -1.25)}, pick(draw, 1, 2, 3))


def draw_inner(draw: st.DrawFn) -> Spec:
    """A layer on a vector or a sequence."""
    while True:
        spec = DRAWS[pick(draw, *INNER)](draw)
        if spec.rank < 3:
            return spec
