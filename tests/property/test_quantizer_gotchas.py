"""Where QKeras is easily misread: one named test each, against QKeras itself on a small case.

Activations are compiled and run on every value of their operand; weights go through a file. The
main branch of QKeras is not installed: what it adds is compared with 0.9.0 by identities.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdf5_models import h5py, replace_in_config
from keras_layers import keras, qkeras, save
from numpy.typing import NDArray

import calocc
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.importer import import_model
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import (
    QUANTIZERS,
    Quantizer,
    UnsupportedQuantizer,
    from_config,
    parse,
)
from calocc.runtime.emulator import execute

Floats = NDArray[np.float64]

FRONT = "quantized_bits(10,4,alpha=1)"
POINTS = np.arange(-512, 512)[:, None] / 32  # every value of FRONT


def theirs(quantizer: Any, x: Floats) -> Floats:
    """What QKeras makes of float32 numbers."""
    return np.asarray(qkeras.get_quantizer(quantizer)(x.astype(np.float32)), np.float64)


def activated(text: Any, path: Path, front: str = FRONT) -> Any:
    layers = [qkeras.QActivation(front), qkeras.QActivation(text, name="y")]
    return save(keras.Sequential([keras.Input((1,), name="x"), *layers]), path)


def run(path: Path, x: Floats) -> Floats:
    """The compiled model's one output."""
    return np.asarray(calocc.compile(path).predict(x))


# ---- activations ---------------------------------------------------------------------------------

ACTIVATIONS = {
    "half_to_even": "quantized_bits(5,3,alpha=1)",
    "no_alpha_means_one_in_an_activation": "quantized_bits(5,3)",
    "alpha_multiplies_after_rounding": "quantized_bits(5,3,alpha=0.75)",
    "symmetric_leaves_out_the_least_value": "quantized_bits(5,2,1,alpha=1)",
    "unsigned_starts_at_zero": "quantized_bits(5,2,keep_negative=False,alpha=1)",
    "one_signed_bit_is_the_sign": "quantized_bits(1,2,alpha=1)",
    "one_unsigned_bit_is_zero_and_a_half": "quantized_bits(1,0,keep_negative=False,alpha=1)",
    "more_integer_bits_than_bits": "quantized_relu(3,5)",
    "slope_rounded_in_two_steps": "quantized_relu(6,2,negative_slope=0.25)",
    "slope_of_one": "quantized_relu(5,2,negative_slope=1.0)",
    "relu_through_a_sigmoid": "quantized_relu(5,2,use_sigmoid=1)",
    "relu_through_a_sigmoid_with_slope": "quantized_relu(5,2,use_sigmoid=1,negative_slope=0.5)",
    "tanh_is_a_clipped_line": "quantized_tanh(5)",
    "symmetric_tanh": "quantized_tanh(5,symmetric=1)",
    "sigmoid_is_a_clipped_line_of_slope_a_half": "quantized_sigmoid(5)",
    "symmetric_sigmoid_leaves_out_zero": "quantized_sigmoid(5,symmetric=1)",
    "real_tanh_is_a_table": "quantized_tanh(6,use_real_tanh=1)",
    "real_sigmoid_is_a_table": "quantized_sigmoid(6,use_real_sigmoid=1)",
    "hard_swish_is_a_table": "quantized_hswish(6,3,alpha=1)",
    "binary_of_zero_is_positive": "binary(alpha=1)",
    "binary_with_zero_and_one": "binary(use_01=1,alpha=1)",
    "ternary_has_a_threshold_of_a_third": "ternary(alpha=1)",
    "ternary_with_its_own_threshold": "ternary(alpha=2,threshold=1.5)",
    "stochastic_binary_is_plain_at_inference": "stochastic_binary(alpha=1)",
    "stochastic_ternary_is_plain_at_inference": "stochastic_ternary(alpha=1,threshold=0.5)",
    "power_of_two_is_never_zero": "quantized_po2(4)",
    "power_of_two_below_one_keeps_its_bit": "quantized_po2(4,max_value=1)",
    "power_of_two_limited": "quantized_po2(4,max_value=2)",
    "power_of_two_with_even_exponents": "quantized_po2(4,quadratic_approximation=1)",
    "rectified_power_of_two_is_never_zero": "quantized_relu_po2(3)",
    "rectified_power_of_two_with_slope": "quantized_relu_po2(3,negative_slope=0.5)",
}


@pytest.mark.parametrize("gotcha", ACTIVATIONS)
def test_activations_compiled(gotcha: str, tmp_path: Path) -> None:
    text = ACTIVATIONS[gotcha]
    expected = theirs(text, POINTS)
    if text.startswith("stochastic"):
        expected = theirs(text.removeprefix("stochastic_"), POINTS)
    assert np.array_equal(run(activated(text, tmp_path / "m.h5"), POINTS), expected)
    assert len(np.unique(expected)) > 1


OFF_THE_GRID = {
    "mu_law_is_a_table": "quantized_ulaw(6,1)",
    "mu_law_rounds_to_even_before_it_bends": "quantized_ulaw(2,4)",
    "mu_law_of_one_bit_has_two_levels": "quantized_ulaw(1,2)",
    "symmetric_mu_law_leaves_out_the_least_value": "quantized_ulaw(5,2,1)",
    "mu_law_bends_as_told": "quantized_ulaw(5,2,u=15.5)",
    "real_alpha": "quantized_bits(5,3,alpha=0.3)",
    "real_alpha_of_a_sign": "binary(alpha=0.3)",
    "real_alpha_of_zero_and_one": "binary(use_01=1,alpha=0.3)",
    "threshold_stays_where_alpha_is_real": "ternary(alpha=0.7)",
    "real_alpha_of_a_hard_swish": "quantized_hswish(5,2,alpha=0.3)",
}
"""Activations whose values need a quantizer behind them, or 24 bits."""


@pytest.mark.parametrize("gotcha", OFF_THE_GRID)
def test_activations_off_the_grid_are_exact_in_front_of_a_quantizer(
    gotcha: str, tmp_path: Path
) -> None:
    text, behind = OFF_THE_GRID[gotcha], "quantized_bits(12,4,alpha=1)"
    layers = [qkeras.QActivation(t) for t in (FRONT, text, behind)]
    model = keras.Sequential([keras.Input((1,), name="x"), *layers])
    design = calocc.compile(save(model, tmp_path / "m.h5"))
    expected = theirs(behind, theirs(text, POINTS))
    assert np.array_equal(design.predict(POINTS), expected)
    assert len(np.unique(expected)) > 1
    assert [output["certified_bound"] for output in design.report["outputs"]] == [0]


@pytest.mark.parametrize("text", [t for t in OFF_THE_GRID.values() if "alpha" in t])
def test_a_real_alpha_has_24_bits_where_no_quantizer_follows(text: str, tmp_path: Path) -> None:
    result = run(activated(text, tmp_path / "m.h5"), POINTS)
    np.testing.assert_allclose(result, parse(text)(POINTS), rtol=2**-24)


def test_a_bound_of_a_relu_may_lie_off_the_grid(tmp_path: Path) -> None:
    """The bound is not rounded; since files do not keep is_quantized_clip, it is given as text."""
    text = "quantized_relu(4,2,relu_upper_bound=1.40625,is_quantized_clip=False)"
    result = run(activated(text, tmp_path / "m.h5"), POINTS)
    assert result.max() == 1.40625
    assert np.array_equal(result, np.minimum(theirs("quantized_relu(4,2)", POINTS), 1.40625))


def test_the_file_counts_where_it_forgets_what_the_object_had(tmp_path: Path) -> None:
    """QKeras does not write is_quantized_clip, so a stored bound has no effect."""
    trained = qkeras.quantized_relu(4, 2, relu_upper_bound=1.40625, is_quantized_clip=False)
    path = activated(trained, tmp_path / "m.h5")
    result = run(path, POINTS)
    objects = {"QActivation": qkeras.QActivation, "quantized_relu": qkeras.quantized_relu}
    reloaded = keras.models.load_model(path, custom_objects=objects)
    assert np.array_equal(result, reloaded.predict(POINTS, verbose=0))
    assert result.max() == 3.75


def test_values_that_saturate_stay_in_range() -> None:
    """QKeras's x + (xq - x) leaves the range in float32 for large x; the closed form does not."""
    x = np.array([1e6 + 1])
    assert parse("quantized_bits(8,0,alpha=1)")(x) == 127 / 128
    assert theirs("quantized_bits(8,0,alpha=1)", x) == 1.0
    assert parse("quantized_bits(8,0,alpha=1)")(np.array([9.0])) == theirs(
        "quantized_bits(8,0,alpha=1)", np.array([9.0])
    )


def test_more_bits_than_a_float32_has() -> None:
    x = np.array([(2**28 + 1) / 2**29])
    assert parse("quantized_bits(30,0,alpha=1)")(x) == x
    assert theirs("quantized_bits(30,0,alpha=1)", x) == 0.5


# ---- weights -------------------------------------------------------------------------------------


def quantized_weights(path: Path) -> list[Floats]:
    """The quantized constants of an imported model, in order."""

    def values() -> Iterator[Floats]:
        for op in import_model(path).walk():
            if isinstance(op, QuantizeOp) and isinstance(op.x.owner, ConstantOp):
                yield op.evaluate_real(op.x.owner.evaluate_real())

    return list(values())


def dense(kernel: Floats, bias: Floats, kernel_quantizer: Any, bias_quantizer: Any) -> Any:
    quantizers = {"kernel_quantizer": kernel_quantizer, "bias_quantizer": bias_quantizer}
    layer = qkeras.QDense(kernel.shape[1], name="d", **quantizers)
    front = qkeras.QActivation(FRONT, name="q")
    model = keras.Sequential([keras.Input((kernel.shape[0],), name="x"), front, layer])
    layer.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return model


KERNEL = np.random.default_rng(7).normal(0, 0.7, (6, 4))
BIAS = np.array([0.3, -1.6, 0.0, 2.2])
IN_KERNELS = {
    "no_alpha_becomes_auto_po2_in_a_kernel": "quantized_bits(4,0)",
    "no_alpha_becomes_auto_po2_in_a_binary_kernel": "binary()",
    "no_alpha_becomes_auto_po2_in_a_ternary_kernel": "ternary()",
    "auto_scales_are_per_filter": "quantized_bits(4,0,alpha='auto')",
    "integer_bits_do_not_matter_with_auto": "quantized_bits(4,3,alpha='auto')",
    "auto_keeps_negatives_even_if_told_not_to": "quantized_bits(4,0,keep_negative=0,alpha='auto')",
    "powers_of_two": "quantized_po2(4)",
    "mu_law_levels_lie_on_no_grid": "quantized_ulaw(4,1)",
}


@pytest.mark.parametrize("gotcha", IN_KERNELS)
def test_kernels_quantized_at_import(gotcha: str, tmp_path: Path) -> None:
    """Files hold the float weights; a bias quantizer without alpha stays as it is."""
    model = dense(KERNEL, BIAS, IN_KERNELS[gotcha], "quantized_bits(4,2)")
    layer = model.get_layer("d")
    kernel, bias = quantized_weights(save(model, tmp_path / "m.h5"))
    expected = np.asarray(layer.kernel_quantizer_internal(layer.kernel))
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)
    assert np.array_equal(bias, theirs("quantized_bits(4,2,alpha=1)", BIAS))
    assert not np.allclose(kernel, layer.get_weights()[0])


def test_ties_of_scaled_weights_round_away_from_zero(tmp_path: Path) -> None:
    kernel = np.array([[3.0], [0.5], [-0.5], [2.5], [-2.5], [1.5]])
    path = save(
        dense(kernel, BIAS[:1], "quantized_bits(3,0,alpha='auto')", None), tmp_path / "m.h5"
    )
    assert quantized_weights(path)[0].ravel().tolist() == [3, 1, -1, 3, -3, 2]
    assert theirs("quantized_bits(3,0,alpha='auto')", kernel).ravel().tolist() == [
        3,
        1,
        -1,
        3,
        -3,
        2,
    ]
    assert theirs("quantized_bits(3,2,alpha=1)", kernel).ravel().tolist() == [3, 0, 0, 2, -2, 2]


def slow_to_converge() -> Floats:
    """Each least-squares step halves the scale, and five steps are not enough."""
    return np.concatenate([np.full(5**k, 2.0**-k) for k in range(8)])[:, None]


def test_auto_po2_keeps_the_levels_before_the_last_step_in_qkeras_0_9() -> None:
    w = slow_to_converge()
    config = {"bits": 2, "integer": 0, "alpha": "auto_po2"}
    old = from_config({"class_name": "quantized_bits", "config": config})
    assert np.array_equal(old(w), theirs("quantized_bits(2,0,alpha='auto_po2')", w))


def test_auto_po2_takes_the_levels_of_the_last_scale_in_later_qkeras() -> None:
    """Later versions store post_training_scale."""
    w = slow_to_converge()
    config = {"bits": 2, "integer": 0, "alpha": "auto_po2", "post_training_scale": None}
    new = from_config({"class_name": "quantized_bits", "config": config})
    old = parse("quantized_bits(2,0,alpha='auto_po2')")
    assert not np.array_equal(new(w), old(w))
    scale = new.decompose(w)[1]
    assert np.array_equal(scale, old.decompose(w)[1])
    assert np.array_equal(new(w), scale * np.clip(np.floor(w / scale + 0.5), -1, 1))
    assert parse(str(new)) == new


def test_weights_that_are_quantized_already_stay_as_they_are(tmp_path: Path) -> None:
    quantizer = parse("quantized_bits(4,1,alpha=1)")
    model = dense(quantizer(KERNEL), BIAS, str(quantizer), None)
    assert np.array_equal(quantized_weights(save(model, tmp_path / "m.h5"))[0], quantizer(KERNEL))


def test_sums_that_a_float32_cannot_hold(tmp_path: Path) -> None:
    """2^26 + 1 is no float32; QKeras returns 2^26."""
    bits = "quantized_bits(16,15,alpha=1)"
    layer = qkeras.QDense(1, kernel_quantizer=bits, use_bias=False, name="d")
    front = qkeras.QActivation("quantized_bits(14,13,alpha=1)")
    model = keras.Sequential([keras.Input((2,), name="x"), front, layer])
    layer.set_weights([np.array([[2.0**14], [1.0]], np.float32)])
    x = np.array([[2.0**12, 1.0], [-(2.0**12), 3.0]])
    result = run(save(model, tmp_path / "m.h5"), x)
    assert result.ravel().tolist() == [2**26 + 1, -(2**26) + 3]
    assert model.predict(x, verbose=0)[0, 0] == 2**26


# ---- what depends on chance or on the batch ------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "quantized_bits(4,0,alpha='auto')",
        "quantized_bits(4,0,alpha='auto_po2')",
        "quantized_linear(4,0,alpha='auto')",
        "quantized_hswish(4,0,alpha='auto')",
        "binary(alpha='auto')",
        "ternary(alpha='auto_po2')",
        "stochastic_binary(alpha='auto')",
        "stochastic_ternary(alpha='auto')",
    ],
)
def test_activations_scaled_by_the_batch_are_refused(text: str, tmp_path: Path) -> None:
    named = text if text.startswith("stoch") or "linear" not in text else "quantized_bits(4)"
    path = activated(named, tmp_path / "m.h5")
    if named != text:  # QKeras 0.9 does not have it
        replace_in_config(path, "quantized_bits(4)", text)
    with pytest.raises(CaloccError, match="depends on the batch of data") as caught:
        calocc.compile(path)
    assert "alpha='auto" in str(caught.value)
    assert "layer 'y'" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in QUANTIZERS
        if n not in ("quantized_ulaw", "fixed_point", "stochastic_binary", "stochastic_ternary")
    ],
)
def test_random_rounding_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedQuantizer, match="use_stochastic_rounding=True rounds at random"):
        from_config({"class_name": name, "config": {"use_stochastic_rounding": True}})


def test_bernoulli_is_refused() -> None:
    with pytest.raises(UnsupportedQuantizer, match="draws random numbers at inference"):
        from_config({"class_name": "bernoulli", "config": {}})


NOISY = (
    *("quantized_bits", "quantized_linear", "quantized_relu"),
    *("quantized_po2", "quantized_relu_po2", "quantized_hswish"),
)


@pytest.mark.parametrize("name", NOISY)
def test_a_blend_with_the_unquantized_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedQuantizer, match=r"qnoise_factor=0\.5 blends"):
        from_config({"class_name": name, "config": {"qnoise_factor": 0.5}})


# ---- the main branch of QKeras -------------------------------------------------------------------

OF_MAIN: dict[str, dict[str, Any]] = {
    "quantized_bits": {
        "elements_per_scale": None,
        "min_po2_exponent": None,
        "max_po2_exponent": None,
        "post_training_scale": None,
    },
    "quantized_relu": {"enable_fast_inference": True},
    "binary": {
        "scale_axis": None,
        "elements_per_scale": None,
        "min_po2_exponent": None,
        "max_po2_exponent": None,
    },
    "quantized_hswish": {"keep_negative": True, "post_training_scale": None},
    "quantized_linear": {"scale_axis": None, "var_name": "w", "use_variables": True},
}


@pytest.mark.parametrize("name", OF_MAIN)
def test_parameters_that_later_versions_write_are_read(name: str) -> None:
    x = np.random.default_rng(2).normal(0, 1, (30, 1))
    known = from_config({"class_name": name, "config": {"alpha": 1} if name == "binary" else {}})
    config = OF_MAIN[name] | ({"alpha": 1} if name == "binary" else {})
    assert np.array_equal(from_config({"class_name": name, "config": config})(x), known(x))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("quantized_bits", "elements_per_scale", 2),
        ("quantized_bits", "min_po2_exponent", -3),
        ("quantized_bits", "max_po2_exponent", 3),
        ("quantized_bits", "post_training_scale", [1.0, 2.0]),
        ("binary", "scale_axis", 0),
        ("binary", "elements_per_scale", 2),
        ("binary", "min_po2_exponent", -3),
        ("binary", "max_po2_exponent", 3),
        ("quantized_hswish", "keep_negative", False),
        ("quantized_hswish", "post_training_scale", [1.0]),
    ],
)
def test_values_of_later_versions_that_are_not_read_are_refused(
    name: str, key: str, value: object
) -> None:
    with pytest.raises(UnsupportedQuantizer) as caught:
        from_config({"class_name": name, "config": {"alpha": None, key: value}})
    assert (caught.value.name, caught.value.key) == (name, key)
    assert "is not interpreted here" in caught.value.reason


@pytest.mark.parametrize("alpha", [None, 1.0, 2.0, 0.75])
@pytest.mark.parametrize("bits", [2, 3, 6])
@pytest.mark.parametrize("symmetric", [0, 1])
@pytest.mark.parametrize("keep_negative", [0, 1])
def test_alpha_is_a_scale_in_quantized_linear(
    alpha: float | None, bits: int, symmetric: int, keep_negative: int
) -> None:
    """alpha * q(x/alpha), where quantized_bits computes alpha * q(x)."""
    arguments = f"{bits},1,{symmetric},{keep_negative}"
    x = np.arange(-400, 400) / 64 * (alpha or 1)
    linear = parse(f"quantized_linear({arguments},alpha={alpha})")
    plain = theirs(f"quantized_bits({arguments},alpha=1)", x / (alpha or 1))
    assert np.array_equal(linear(x), (alpha or 1) * plain)


def test_one_bit_of_quantized_linear_is_half_a_scale() -> None:
    x = np.array([-3.0, -0.1, 0.0, 0.1, 3.0])
    assert parse("quantized_linear(1,1)")(x).tolist() == [-1, -1, 1, 1, 1]
    assert parse("quantized_linear(1,0,alpha=3)")(x).tolist() == [-1.5, -1.5, 1.5, 1.5, 1.5]


def test_auto_scales_of_quantized_linear() -> None:
    """Those of quantized_bits, but for ties, a range that may be asymmetric, and vectors."""
    w = np.random.default_rng(5).normal(0, 0.6, (40, 3))
    for alpha in ("auto", "auto_po2"):
        linear = parse(f"quantized_linear(4,0,alpha='{alpha}')")
        expected = theirs(f"quantized_bits(4,0,alpha='{alpha}')", w)
        np.testing.assert_allclose(linear(w), expected, rtol=1e-6)
    (scale,) = np.unique(parse("quantized_linear(4,0,0,alpha='auto')").decompose(w)[1][:, :1])
    np.testing.assert_allclose(scale, 2 * np.abs(w[:, 0]).max() / 15)
    unsigned = parse("quantized_linear(4,0,keep_negative=0,alpha='auto')")
    np.testing.assert_allclose(unsigned.decompose(w)[1][0], w.max(axis=0) / 15)
    assert unsigned(w).min() == 0
    np.testing.assert_allclose(parse("quantized_linear(4,0,alpha='auto')")(BIAS), BIAS, rtol=1e-12)
    assert not parse("quantized_linear(4,0,alpha='auto')")(np.zeros((3, 2))).any()


def test_ties_of_quantized_linear_go_to_even() -> None:
    w = np.array([[7.0], [0.5], [1.5], [-2.5]])
    assert parse("quantized_linear(4,0,alpha='auto')")(w).ravel().tolist() == [7, 0, 2, -2]


LINEAR = {
    "plain": "quantized_linear(6,2)",
    "power_of_two_scale": "quantized_linear(5,1,alpha=4)",
    "odd_scale": "quantized_linear(5,1,alpha=0.75)",
    "asymmetric": "quantized_linear(5,2,0)",
    "unsigned": "quantized_linear(5,2,keep_negative=0)",
    "sign": "quantized_linear(1,2)",
}


@pytest.mark.parametrize("gotcha", LINEAR)
def test_quantized_linear_compiled(gotcha: str, tmp_path: Path) -> None:
    path = activated("quantized_bits(4)", tmp_path / "m.h5")
    replace_in_config(path, "quantized_bits(4)", LINEAR[gotcha])
    (expected,) = execute(import_model(path), [POINTS])
    assert np.array_equal(expected, parse(LINEAR[gotcha])(parse(FRONT)(POINTS)))
    design = calocc.compile(path)
    assert np.array_equal(design.predict(POINTS), expected)
    assert design.report["exactness"] == [] or not any(
        row.get("differing_points") for row in design.report["exactness"]
    )


@pytest.mark.parametrize("text", LINEAR.values())
def test_the_format_and_rule_of_quantized_linear(text: str) -> None:
    quantizer = parse(text)
    assert parse(str(quantizer)) == quantizer
    fmt = quantizer.format
    assert fmt is not None
    mantissas = np.ldexp(quantizer(POINTS * 4), fmt.frac)
    assert np.array_equal(mantissas, np.rint(mantissas))
    assert fmt.holds(int(mantissas.min()), int(mantissas.max()))


def test_a_kernel_of_quantized_linear_is_promoted_too(tmp_path: Path) -> None:
    path = save(dense(KERNEL, BIAS, "quantized_bits(4,0)", None), tmp_path / "m.h5")
    linear = {"bits": 4, "integer": 0, "symmetric": 0, "alpha": None, "keep_negative": True}
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        (entry,) = (e for e in config["config"]["layers"] if e["config"]["name"] == "d")
        entry["config"]["kernel_quantizer"] = {"class_name": "quantized_linear", "config": linear}
        file.attrs["model_config"] = json.dumps(config)
    expected: Quantizer = parse("quantized_linear(4,0,alpha='auto_po2')")
    assert np.array_equal(
        quantized_weights(path)[0], expected(KERNEL.astype(np.float32).astype(np.float64))
    )
