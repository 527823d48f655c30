"""Quantizers of QKeras with drawn parameters."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Case = tuple[str, dict[str, Any]]
"""The name of a quantizer and its parameters."""

flags = st.booleans()
bits = st.integers(2, 10)
integers = st.integers(0, 4)
alphas = st.sampled_from([None, 1, 1.0, 0.5, 2, 0.75])


def cases(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    return st.fixed_dictionaries({}, optional=parameters).map(lambda kwargs: (name, kwargs))


plain_bits = cases(
    "quantized_bits",
    bits=st.integers(1, 10),
    integer=integers,
    symmetric=st.sampled_from([0, 1, False, True]),
    keep_negative=flags,
    alpha=alphas,
)
slopes = st.sampled_from([0.0, 1.0, 0.5, 0.125, 0.03125])
relus = cases(
    "quantized_relu",
    bits=bits,
    integer=integers,
    use_sigmoid=st.sampled_from([0, 1]),
    negative_slope=slopes,
    relu_upper_bound=st.sampled_from([None, 1.0, 0.75, 3.0, 0.40625]),
    is_quantized_clip=flags,
)
hard = st.one_of(
    cases("quantized_tanh", bits=bits, symmetric=flags, use_real_tanh=st.just(False)),
    cases("quantized_sigmoid", bits=bits, symmetric=flags, use_real_sigmoid=st.just(False)),
)
signs = st.one_of(
    cases("binary", use_01=flags, alpha=alphas),
    cases("ternary", alpha=alphas, threshold=st.sampled_from([None, 0.5, 0.25, 0, 1])),
    cases("stochastic_binary", alpha=alphas, temperature=st.just(5.0)),
    cases("stochastic_ternary", alpha=alphas, threshold=st.just(0.5)),
)
exact = st.one_of(plain_bits, relus, hard, signs)

smooth = st.one_of(
    cases("quantized_tanh", bits=bits, symmetric=flags, use_real_tanh=st.just(True)),
    cases("quantized_sigmoid", bits=bits, symmetric=flags, use_real_sigmoid=st.just(True)),
    cases(
        "quantized_hswish",
        bits=bits,
        integer=integers,
        symmetric=st.sampled_from([0, 1]),
        alpha=st.sampled_from([None, 1.0]),
        relu_shift=st.integers(1, 4),
        relu_upper_bound=st.integers(2, 7),
    ),
)
ulaws = cases(
    "quantized_ulaw",
    bits=bits,
    integer=integers,
    symmetric=st.sampled_from([0, 1]),
    u=st.sampled_from([255.0, 15.0]),
)
po2 = {
    "max_value": st.sampled_from([None, 0.5, 1, 2, 6.0, 2048]),
    "quadratic_approximation": flags,
    "log2_rounding": st.sampled_from(["rnd", "floor"]),
}
powers = st.one_of(
    cases("quantized_po2", bits=st.integers(3, 7), **po2),
    cases("quantized_relu_po2", bits=st.integers(2, 6), negative_slope=slopes, **po2),
)
fitted = st.one_of(
    cases(
        "quantized_bits",
        bits=bits,
        integer=integers,
        keep_negative=flags,
        alpha=st.sampled_from(["auto", "auto_po2"]),
        scale_axis=st.sampled_from([None, 0]),
    ),
    cases("binary", use_01=flags, alpha=st.sampled_from(["auto", "auto_po2"])),
    cases(
        "ternary",
        alpha=st.sampled_from(["auto", "auto_po2"]),
        number_of_unrolls=st.integers(1, 6),
    ),
).filter(lambda case: "alpha" in case[1])
anything = st.one_of(exact, smooth, ulaws, powers, fitted)
