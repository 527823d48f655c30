"""The closed forms of the quantizers against QKeras itself, and their text forms.

Inputs are dyadic with few bits, so that float32 (QKeras) and float64 (the closed forms) both
compute exactly, ties included. Where a transcendental function or a division is involved, the
two may differ where the exact value lies on a rounding boundary, and nowhere else.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from quantizer_cases import (
    Case,
    anything,
    bits,
    exact,
    fitted,
    hard,
    plain_bits,
    powers,
    relus,
    signs,
    smooth,
    ulaws,
)

from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.qnn.quantizers import (
    Quantizer,
    UnsupportedQuantizer,
    from_config,
    parse,
    promote_kernel,
)

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
qkeras = importlib.import_module("qkeras.quantizers")

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TIE = 1e-4  # in LSB: far above the errors of float32, far below what a wrong formula does
# The same examples each time: a float32 sum may cross a rounding boundary once in 10^5 runs.
_FEW = settings(max_examples=60, deadline=None, derandomize=True)


def ours(case: Case) -> Quantizer:
    return from_config({"class_name": case[0], "config": case[1]})


def theirs(case: Case, x: Array) -> Array:
    quantizer = getattr(qkeras, case[0])(**case[1])
    return np.asarray(quantizer(x.astype(np.float32)), np.float64)


def dyadic(case: Case, seed: int) -> Array:
    """Multiples of an eighth of the LSB out to twice the range: every tie, few bits."""
    width, integer = case[1].get("bits", 8), case[1].get("integer", 0)
    lsb = 2.0 ** (integer - width)
    draws = np.random.default_rng(seed).integers(-(16 << width), 16 << width, 1000)
    return np.concatenate([draws, 4 * np.arange(-200, 200)]) * (lsb / 8)


def near_half(v: Array) -> Mask:
    return np.abs(v - np.floor(v) - 0.5) < _TIE


def ste_error(x: Array, y: Array) -> Array:
    """What float32 loses in `x + (xq - x)`, and its smallest normal number."""
    return 2.0**-22 * (np.abs(x) + np.abs(y)) + 2.0**-126


@given(exact, st.integers(0, 9999))
@_FEW
def test_exact_quantizers_return_the_bits_of_qkeras(case: Case, seed: int) -> None:
    x = dyadic(case, seed)
    np.testing.assert_array_equal(ours(case)(x), theirs(case, x))


@given(st.one_of(plain_bits, relus, hard), st.integers(0, 9999))
@_FEW
def test_any_float32_input_gives_the_value_of_qkeras(case: Case, seed: int) -> None:
    """Up to what the straight-through form loses: far less than an LSB."""
    x = np.random.default_rng(seed).normal(0, 2, 500).astype(np.float32).astype(np.float64)
    mine = ours(case)(x)
    # The hard sigmoid itself rounds in float32: leave out its ties.
    width, integer = case[1].get("bits", 8), case[1].get("integer", 0)
    sigmoid = 0.5 * x * 2.0**-integer + 0.5
    steps = [near_half(np.ldexp(sigmoid, k)) for k in range(width - 6, width + 1)]
    usual = ~np.any(steps, axis=0)
    close = np.abs(mine - theirs(case, x)) <= ste_error(x, mine)
    assert np.all(close | ~usual)
    assert usual.mean() > 0.9


def real_value(case: Case, x: Array) -> tuple[Array, float]:
    """The value before rounding, and the LSB."""
    name, kwargs = case
    width = kwargs.get("bits", 8)
    if name == "quantized_tanh":
        return np.tanh(x), 2.0 ** (1 - width)
    if name == "quantized_sigmoid":
        return 1 / (1 + np.exp(-x)), 2.0**-width
    shift, bound = kwargs.get("relu_shift", 3), kwargs.get("relu_upper_bound", 6)
    value = x * np.clip(x + shift, 0, bound) / bound
    return value, 2.0 ** (kwargs.get("integer", 0) + 1 - width)


@given(smooth, st.integers(0, 9999))
@_FEW
def test_smooth_quantizers_differ_from_qkeras_on_boundaries_only(case: Case, seed: int) -> None:
    x = np.ldexp(np.random.default_rng(seed).integers(-(2**14), 2**14, 1000), -11)
    value, lsb = real_value(case, x)
    error = np.abs(ours(case)(x) - theirs(case, x))
    assert np.all((error <= ste_error(value, value)) | near_half(value / lsb))
    assert np.all(error <= lsb + ste_error(value, value))


@given(ulaws, st.integers(0, 9999))
@_FEW
def test_ulaw_is_that_of_qkeras(case: Case, seed: int) -> None:
    x = dyadic(case, seed)
    np.testing.assert_allclose(ours(case)(x), theirs(case, x), rtol=2e-6, atol=1e-9)


@given(powers, st.integers(0, 9999))
@_FEW
def test_powers_of_two_differ_from_qkeras_on_boundaries_only(case: Case, seed: int) -> None:
    kwargs = case[1]
    rng = np.random.default_rng(seed)
    magnitude = np.exp2(rng.uniform(-30, 4, 400)).astype(np.float32).astype(np.float64)
    x = np.concatenate([[0.0], magnitude, -magnitude])
    scaled = np.where(x < 0, kwargs.get("negative_slope") or 1.0, 1.0) * x
    factor = 2 if kwargs.get("quadratic_approximation") else 1
    limit = kwargs.get("max_value") or np.inf
    log2 = np.log2(np.clip(np.abs(scaled), 1e-7, limit)) / factor
    boundary = near_half(log2 + 0.5 * (kwargs.get("log2_rounding") == "floor"))
    boundary |= np.abs(np.abs(scaled) / 1e-7 - 1) < _TIE
    mine = ours(case)(x)
    close = np.abs(mine - theirs(case, x)) <= ste_error(np.minimum(x, limit), mine)
    # The limit itself may lie on a boundary, where QKeras depends on the place in the tensor:
    # TensorFlow's vector logarithm and its scalar one for the last elements differ.
    assert np.all(close | boundary)


@pytest.mark.parametrize("k", range(-20, 20))
def test_floor_of_an_exact_power_is_exact(k: int) -> None:
    """QKeras returns the next lower power for 2^3 and 2^15: float32 log(x)/log(2) is rounded."""
    quantizer = parse("quantized_po2(7,log2_rounding='floor')")
    expected = np.clip(2.0**k, 2.0**-32, 2.0**31)
    assert quantizer(np.array([2.0**k, -(2.0**k)])).tolist() == [expected, -expected]


@given(
    fitted,
    st.sampled_from([(30, 4), (3, 3, 4, 5), (12,), (5, 1)]),
    st.sampled_from([0.01, 0.3, 4.0]),
    st.integers(0, 9999),
)
@_FEW
def test_fitted_scales_are_those_of_qkeras(
    case: Case, shape: tuple[int, ...], spread: float, seed: int
) -> None:
    w = np.random.default_rng(seed).normal(0, spread, shape).astype(np.float32)
    w = w.astype(np.float64)
    if case[0] == "quantized_bits":
        w[..., 0] *= len(shape) == 1  # an all-zero channel
    quantizer = from_config({"class_name": case[0], "config": case[1]})
    tolerance = ste_error(w, quantizer(w)) + 2e-6 * np.abs(quantizer(w))
    assert np.all(np.abs(quantizer(w) - theirs(case, w)) <= tolerance)


@given(fitted, st.integers(0, 9999))
@_FEW
def test_decompose_gives_integers_and_one_scale_per_channel(case: Case, seed: int) -> None:
    w = np.random.default_rng(seed).normal(0, 1, (3, 3, 4, 5))
    quantizer = ours(case)
    levels, scale = quantizer.decompose(w)
    kept = case[1].get("scale_axis")
    assert scale.shape == ((3, 1, 1, 1) if kept == 0 else (1, 1, 1, 5))
    np.testing.assert_array_equal(levels, np.rint(levels))
    assert np.max(np.abs(levels)) < 2 ** (case[1].get("bits", 8) - 1)
    np.testing.assert_allclose(levels * scale, quantizer(w), rtol=1e-15)
    assert quantizer.data_dependent
    assert quantizer.format is None
    assert quantizer.rule is None


@given(st.floats(0.125, 8, width=32), bits)
def test_ties_of_a_real_scale_round_away_from_zero(peak: float, width: int) -> None:
    """Half the largest magnitude is `most / 2` levels: a tie in real arithmetic, as most is odd."""
    most = 2 ** (width - 1) - 1
    w = np.array([[peak], [peak / 2], [-peak / 2], [0.0]])
    levels, scale = parse(f"quantized_bits({width},0,alpha='auto')").decompose(w)
    assert levels[:, 0].tolist() == [most, (most + 1) / 2, -(most + 1) / 2, 0.0]
    assert scale.tolist() == [[peak / most]]


def test_a_real_alpha_is_split_off() -> None:
    levels, scale = parse("quantized_bits(4,0,alpha=0.3)").decompose(np.array([0.26, -9.0]))
    assert levels.tolist() == [0.25, -1.0]
    assert scale == 0.3
    folded, one = parse("quantized_bits(4,0,alpha=0.75)").decompose(np.array([0.26, -9.0]))
    assert folded.tolist() == [0.1875, -0.75]
    assert one == 1.0


@given(st.one_of(exact, smooth, powers), st.integers(0, 9999))
@_FEW
def test_outputs_lie_on_the_grid_of_the_format(case: Case, seed: int) -> None:
    quantizer = ours(case)
    fmt = quantizer.format
    if fmt is None:
        assert case[0].endswith("po2")
        return
    x = np.concatenate([dyadic(case, seed), [0.0, 1e-9, -1e-9, 1e9, -1e9]])
    mantissas = np.ldexp(quantizer(x), fmt.frac)
    np.testing.assert_array_equal(mantissas, np.rint(mantissas))
    assert fmt.holds(int(mantissas.min()), int(mantissas.max()))
    reached = Format.holding(int(mantissas.min()), int(mantissas.max()), fmt.frac)
    assert fmt.width - reached.width <= 1


def cast(x: Array, fmt: Format, rounding: Rounding, overflow: Overflow) -> Array:
    v = x / fmt.lsb
    away = np.copysign(np.floor(np.abs(v) + 0.5), v)
    low = -fmt.max_mantissa if overflow is Overflow.SAT_SYM else fmt.min_mantissa
    nearest = np.round(v) if rounding is Rounding.RND_CONV else away
    return np.clip(nearest, low, fmt.max_mantissa) * fmt.lsb


RULES = [
    (rounding, overflow)
    for rounding in (Rounding.RND_CONV, Rounding.RND_INF)
    for overflow in (Overflow.SAT, Overflow.SAT_SYM)
]


@given(st.one_of(exact, smooth, powers), st.integers(0, 9999))
@_FEW
def test_a_rule_means_a_cast_and_no_rule_means_none(case: Case, seed: int) -> None:
    quantizer = ours(case)
    if quantizer.format is None:
        assert quantizer.rule is None
        return
    ties = np.arange(-99, 99) * quantizer.format.lsb / 2
    x = np.concatenate([dyadic(case, seed), np.linspace(-9, 9, 9999), ties])
    same = {
        rule for rule in RULES if np.array_equal(quantizer(x), cast(x, quantizer.format, *rule))
    }
    # An unsigned format saturates alike both ways; else the rule is the only one that fits.
    assert len(same) <= 1 or not quantizer.format.signed
    assert (quantizer.rule in same) == (quantizer.rule is not None)
    assert bool(same) == (quantizer.rule is not None)


@pytest.mark.parametrize(
    ("text", "fmt", "overflow"),
    [
        ("quantized_bits(6,1,alpha=1)", "fixed<6,2>", Overflow.SAT),
        ("quantized_bits(6,1,1,alpha=1)", "fixed<6,2>", Overflow.SAT_SYM),
        ("quantized_bits(6,1,1,0,alpha=1)", "ufixed<6,1>", Overflow.SAT),
        ("quantized_bits(6,6)", "fixed<6,7>", Overflow.SAT),
        ("quantized_relu(6,2)", "ufixed<6,2>", Overflow.SAT),
        ("quantized_relu(6,2,0,1.0)", "fixed<6,3>", Overflow.SAT),
        ("quantized_relu(6,2,relu_upper_bound=1)", "ufixed<6,2>", Overflow.SAT),
        ("quantized_relu(2,1,relu_upper_bound=9,is_quantized_clip=False)", "ufixed<2,1>", "sat"),
        ("quantized_tanh(5)", "fixed<5,1>", Overflow.SAT),
        ("quantized_tanh(5,0,1)", "fixed<5,1>", Overflow.SAT_SYM),
    ],
)
def test_rules(text: str, fmt: str, overflow: Overflow) -> None:
    quantizer = parse(text)
    assert str(quantizer.format) == fmt
    assert quantizer.rule == (Rounding.RND_CONV, overflow)


def test_a_ternary_with_half_its_scale_for_a_threshold_rounds_away_from_zero() -> None:
    rounds = (Rounding.RND_INF, Overflow.SAT_SYM)
    assert parse("ternary(alpha=2,threshold=1)").rule == rounds
    assert parse("ternary(threshold=0.5)").rule == rounds
    assert parse("ternary(alpha=2,threshold=0.5)").rule is None
    assert parse("ternary(alpha=0.75,threshold=0.375)").rule is None


@given(st.one_of(exact, smooth, ulaws, powers), st.integers(0, 9999))
@_FEW
def test_monotone_is_true_exactly_where_outputs_never_fall(case: Case, seed: int) -> None:
    quantizer = ours(case)
    tiny = [-9e-8, 0.0, 9e-8, 1.1e-7, -1.1e-7]
    x = np.sort(np.concatenate([dyadic(case, seed), tiny, np.linspace(-9, 9, 99)]))
    falls = bool(np.any(np.diff(quantizer(x)) < 0))
    assert falls <= (not quantizer.monotone)
    if case[0].endswith("po2"):
        assert falls == (not quantizer.monotone)


@given(anything)
@settings(max_examples=200, deadline=None)
def test_text_reads_back_here_and_in_qkeras(case: Case) -> None:
    quantizer = ours(case)
    assert parse(str(quantizer)) == quantizer
    config = getattr(qkeras, case[0])(**case[1]).get_config()
    if not case[0].startswith("stochastic"):
        assert qkeras.get_quantizer(str(quantizer)).get_config() == config


@given(anything)
@_FEW
def test_the_config_qkeras_stores_reads_back(case: Case) -> None:
    stored = getattr(qkeras, case[0])(**case[1]).get_config()
    wrapped = {"module": "qkeras.quantizers", "class_name": case[0], "config": stored}
    # What QKeras itself forgets when it stores a quantizer.
    lost = {"scale_axis", "is_quantized_clip"}
    kept = {key: value for key, value in case[1].items() if key not in lost}
    assert from_config({**wrapped, "registered_name": case[0]}) == ours((case[0], kept))


@given(st.one_of(plain_bits, signs, relus, fitted))
@_FEW
def test_kernels_are_promoted_as_by_qkeras(case: Case) -> None:
    if case[1].get("threshold") is not None:
        return
    quantizer = getattr(qkeras, case[0])(**case[1])
    quantizer._set_trainable_parameter()
    promoted: dict[str, Any] = {"class_name": case[0], "config": quantizer.get_config()}
    lost = {"scale_axis", "is_quantized_clip"} & case[1].keys()
    if case[1].get("bits") == 1 and quantizer.alpha == "auto_po2":
        with pytest.raises(UnsupportedQuantizer):
            promote_kernel(ours(case))
    elif not lost:
        assert promote_kernel(ours(case)) == from_config(promoted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantized_bits(6,1,alfa=1)", "quantized_bits: alfa=1 is not a known parameter"),
        ("quantized_bits(6,1,bits=6)", "quantized_bits: bits=6 is given twice"),
        ("quantized_bits(6.5)", "quantized_bits: bits=6.5 must be an integer"),
        ("quantized_bits(0)", "quantized_bits: bits=0 must be 1 to 32 here"),
        ("quantized_bits(6,1,2)", "quantized_bits: symmetric=2 must be True or False"),
        (
            "quantized_bits(6,alpha='best')",
            "quantized_bits: alpha='best' must be None, a number, 'auto' or 'auto_po2'",
        ),
        ("quantized_bits(6,alpha=0)", "quantized_bits: alpha=0.0 must be positive"),
        ("quantized_bits(1,alpha='auto')", "quantized_bits: bits=1 must be 2 to 32 here"),
        (
            "quantized_bits(6,qnoise_factor=0.5)",
            "quantized_bits: qnoise_factor=0.5 blends quantized and unquantized values; "
            "set it to 1",
        ),
        (
            "quantized_relu(6,2,use_stochastic_rounding=True)",
            "quantized_relu: use_stochastic_rounding=True rounds at random; set it to False",
        ),
        (
            "quantized_relu(6,2,0,0.3)",
            "quantized_relu: negative_slope=0.3 must be 0 or a power of two from 2^-32 to 1",
        ),
        ("quantized_po2(1)", "quantized_po2: bits=1 leaves no usable range of exponents"),
        ("quantized_tanh(5,0,0,0,1)", "quantized_tanh: argument=1 is one positional argument too"),
        ("bernoulli()", "quantizer: class_name='bernoulli' draws random numbers at inference"),
        ("quantized_bits(6,**x)", "quantized_bits: argument='**' is not allowed"),
        ("quantized_bits(6,open('x'))", "quantized_bits: argument=\"open('x')\" is not a number"),
        ("quantized_bits(6,1).bits", "quantizer: text='quantized_bits(6,1).bits' is not a call"),
        ("quantized_bits(6", "quantizer: text='quantized_bits(6' is not a call"),
        ("(" * 400, "quantizer: text='((((("),
        ("relu", "quantizer: class_name='relu' is not a known quantizer (binary, "),
    ],
)
def test_refusals_name_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnsupportedQuantizer) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


def test_refusals_of_configs() -> None:
    with pytest.raises(UnsupportedQuantizer, match="quantized_bits: post_training_scale=2"):
        from_config({"class_name": "quantized_bits", "config": {"post_training_scale": 2}})
    with pytest.raises(UnsupportedQuantizer, match="binary: extra=1 is not a known key"):
        from_config({"class_name": "binary", "config": {}, "extra": 1})
    with pytest.raises(UnsupportedQuantizer, match="class_name=None must be a text"):
        from_config({"config": {}})
    assert from_config({"class_name": "qkeras>binary", "config": {}}) == parse("binary")
