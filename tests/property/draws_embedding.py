"""How to draw layers that read tables."""

from __future__ import annotations

from hypothesis import strategies as st
from keras_layers import Spec, drawn, pick, size


@drawn("embedding", "Embedding")
def _embedding(draw: st.DrawFn, name: str) -> Spec:
    # Of fine numbers QKeras computes integers that float32 rounds down, which Keras cuts off.
    arguments = {
        "input_dim": pick(draw, 8, 9, 40),
        "output_dim": size(draw, 5),
        "mask_zero": draw(st.booleans()),
    }
    return Spec(name, arguments, pick(draw, 1, 2, 3), coarse=True, indices=True)
