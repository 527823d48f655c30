"""How to draw layers that sum products over chosen axes."""

from __future__ import annotations

from hypothesis import strategies as st
from keras_layers import PLAIN, Spec, drawn, pick, size

EQUATIONS = {
    1: ("ab,bc->ac", "...b,bc->...c"),
    2: (
        "abc,cd->abd",
        "abc,bd->adc",
        "abc,bcd->ad",
        "abc,cd->adb",
        "...c,cde->...de",
        "ab...,bd->ad...",
    ),
    3: ("abcd,cde->abe", "abcd,de->abce", "abcd,bce->aed", "abcd,dce->abe", "...cd,cde->...e"),
}


@drawn("einsum", "EinsumDense")
def _einsum(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, *EQUATIONS)
    equation = pick(draw, *EQUATIONS[rank])
    return Spec(name, {"equation": equation, **_result(draw, equation)}, rank)


def _result(draw: st.DrawFn, equation: str) -> dict[str, object]:
    """Sizes of the axes that the equation brings in (Keras takes None for those it knows)."""
    operand, _, result = equation.replace("->", ",").split(",")
    fresh = [c for c in result.strip(".") if c not in operand]
    written = [c for c in result.strip(".") if c != "a"]
    return {
        "output_shape": tuple(size(draw, 4) if c in fresh else None for c in written),
        "bias_axes": pick(draw, None, *fresh),
        "activation": pick(draw, *PLAIN),
    }


@drawn("einsum", "Dot")
def _dot(draw: st.DrawFn, name: str) -> Spec:
    rank = pick(draw, 1, 2)
    axis = pick(draw, *range(1, rank + 1), -1)
    return Spec(name, {"axes": axis}, rank, 2)
