"""How to draw quantizers as layers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from keras_layers import OF_QKERAS, QUANTIZED, Spec, drawn, pick, qkeras
from quantizer_cases import Case, exact, powers, smooth, ulaws

from calocc.dialects.qnn.quantizers import QuantizedUlaw, Quantizer, from_config

NAMED = (*QUANTIZED, *OF_QKERAS, "quantized_po2(4)", "relu", "tanh")


def _closed_form(case: Case) -> Quantizer:
    return from_config({"class_name": case[0], "config": case[1]})


FORMS = st.one_of(exact, smooth, powers, ulaws).map(_closed_form)
COMPILED = FORMS.filter(lambda q: q.format or isinstance(q, QuantizedUlaw))
"""Quantizers whose numbers are multiples of one power of two, or have a table."""


@drawn("quantizers", "QActivation")
def _quantized(draw: st.DrawFn, name: str) -> Spec:
    text = pick(draw, None, *NAMED) or str(draw(COMPILED))
    as_object = text in QUANTIZED and draw(st.booleans())
    quantizer: Any = qkeras.get_quantizer(text) if as_object else text
    return Spec(name, {"activation": quantizer}, pick(draw, 1, 2, 3))
