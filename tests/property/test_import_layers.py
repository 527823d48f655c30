"""Imported layers against Keras, and compiled layers against their float64 meaning."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from float32_error import Ball, float32_balls
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_layers import DRAWS, GROUPS, Branches, Spec, branches, keras, qkeras, randomize, save

import calocc
from calocc.compiler.design import Design
from calocc.compiler.keras.importer import import_model
from calocc.compiler.keras.layers import deepcalo
from calocc.compiler.keras.layers.registry import IMPORTERS, Overrides
from calocc.compiler.pipeline import Runner, new_context
from calocc.compiler.settings import parse_settings
from calocc.runtime.emulator import execute
from calocc.runtime.reference import predict

DRAWN_IN = [import_module(p.stem) for p in sorted(Path(__file__).parent.glob("draws_*.py"))]
"""Modules whose import fills the registry of draws."""

FRONT = "quantized_bits(5,2,alpha=1)"
BEHIND = (
    "quantized_bits(5,2,alpha=1)",
    "quantized_bits(3,0,1,alpha=1)",
    "quantized_relu(4,1)",
    "quantized_relu(6,2,negative_slope=0.25)",
    "quantized_tanh(5)",
    "ternary(alpha=1)",
)
# Shrinking builds hundreds of Keras models; a failure names its one layer anyway.
EXAMPLES = settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])
FEW = settings(EXAMPLES, max_examples=4)
VAGUE = 0.3
by_group = pytest.mark.parametrize("group", GROUPS)


@contextmanager
def saved(model: Any) -> Generator[Path]:
    """The model in a file."""
    with tempfile.TemporaryDirectory() as folder:
        yield save(model, Path(folder) / "model.h5")


def test_every_imported_layer_is_drawn_here() -> None:
    elsewhere = {n for n, f in IMPORTERS.items() if f.__module__ == deepcalo.__name__}
    elsewhere.add("QDenseBatchnorm")  # QKeras 0.9 does not have it: see test_import_products.py
    assert DRAWS.keys() == IMPORTERS.keys() - elsewhere


# ---- reals against Keras -----------------------------------------------------------------------


@by_group
@EXAMPLES
@given(data=st.data())
def test_imported_layers_agree_with_keras(group: str, data: st.DataObject) -> None:
    drawn = data.draw(branches(GROUPS[group]))
    for name, vague in vague_shares(drawn).items():
        assert vague <= VAGUE, f"the comparison says little about {drawn.specs[name]}"


def vague_shares(drawn: Branches) -> dict[str, float]:
    """Compare with Keras; the share of each layer's values about which float32 says little."""
    model, inputs = drawn.build(), drawn.inputs()
    folded = [n for n, s in drawn.specs.items() if "Batchnorm" in s.class_name]
    balls = check_against_keras(model, dict(zip(drawn.shapes, inputs, strict=True)), folded)
    return {
        name: float((ball.radius > 1e-3 * (1 + np.abs(ball.value).max())).mean())
        for name, ball in zip(drawn.specs, balls, strict=True)
    }


def check_against_keras(
    model: Any, inputs: Mapping[str, Any], folded: Sequence[str] = ()
) -> list[Ball]:
    """Import the model and compare all outputs within the error of float32."""
    with saved(model) as path:
        module = import_model(path)
    expected = predict(model, inputs)
    balls = float32_balls(module, [inputs[str(name)] for name in model.input_names], folded)
    for name, ball, value in zip(model.output_names, balls, expected, strict=True):
        assert value.shape == ball.value.shape, name
        excess = np.abs(value - ball.value) - ball.radius
        assert (excess <= 0).all(), f"{name}: {excess.max()} beyond {ball.radius.max()}"
    return balls


def test_a_product_of_more_than_24_bits_is_rounded_in_float32() -> None:
    """-3.25 has 4 bits, the slope 21, and their product 25."""
    model = keras.Sequential([keras.Input((1,), name="x"), keras.layers.PReLU()])
    model.set_weights([np.array([float.fromhex("-0x1.4fa33p0")])])
    (ball,) = check_against_keras(model, {"x": np.array([[-3.25]], np.float32)})
    assert 0 < ball.radius[0, 0] < 1e-6


def test_the_comparison_with_keras_notices_a_wrong_epsilon() -> None:
    spec = Spec("BatchNormalization", {"epsilon": 1e-3}, 1)
    right = Branches({"vector": (4,)}, {"y": spec}, 1)
    wrong = replace(right, specs={"y": replace(spec, arguments={"epsilon": 1.1e-3})})
    inputs = {"vector": right.inputs()[0]}
    with saved(wrong.build()) as path:
        (ball,) = float32_balls(import_model(path), list(inputs.values()))
    (value,) = predict(right.build(), inputs)
    assert (np.abs(value - ball.value) > ball.radius).any()


# ---- fixed-point numbers against reals ---------------------------------------------------------


@by_group
@FEW
@given(data=st.data())
def test_compiled_layers_are_exact(group: str, data: st.DataObject) -> None:
    drawn = data.draw(branches(GROUPS[group]))
    behind = {name: data.draw(st.sampled_from(BEHIND)) for name in drawn.specs}
    proved, comparable = check_compiled(drawn, behind)
    assert len(proved) >= 0.7 * len(comparable)


def check_compiled(drawn: Branches, behind: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Compare -O0, -O2 and float64 bit by bit; which layers are proved, and which could be."""
    model = drawn.build(FRONT, behind)
    inputs = dict(zip(drawn.shapes, drawn.inputs(8), strict=True))
    with saved(model) as path:
        reals = reference(path, [x.astype(np.float64) for x in inputs.values()], drawn.settings)
        slow, fast = (calocc.compile(path, level, settings=drawn.settings) for level in (0, 2))
    comparable = [name for name, spec in drawn.specs.items() if not has_recipe(spec)]
    proved = [name for name in comparable if is_proved(slow, name)]
    results = zip(drawn.specs, reals, outputs(slow, inputs), outputs(fast, inputs), strict=True)
    for name, real, plain, optimised in results:
        assert np.array_equal(plain, optimised), f"-O2 changes {drawn.specs[name]}"
        if name in proved:
            assert np.array_equal(plain, real), f"{drawn.specs[name]}, {behind[name]}"
    return proved, comparable


def has_recipe(spec: Spec) -> bool:
    """Integer recipes round otherwise than the real functions."""
    inner = spec.arguments.get("layer", spec)
    recipes = {"softmax", "layernormalization"}
    return bool(recipes & {inner.class_name.lower(), inner.arguments.get("activation")})


def reference(path: Path, inputs: Sequence[Any], given: tuple[str, ...] = ()) -> list[Any]:
    """float64 with the scales of kernels behind the sums, where they round no zero away."""
    module = import_model(path, Overrides(parse_settings(given).formats))
    as_imported = execute(module, inputs)
    Runner(new_context(), {}).run(module, "fold-batch-norm,factor-scales")
    results = execute(module, inputs)
    for one, other in zip(as_imported, results, strict=True):
        assert np.mean(one != other) <= 0.1
    return results


def is_proved(design: Design, layer: str) -> bool:
    """Whether the report claims that a layer and the quantizer behind it equal the reference."""
    rows = [r for r in design.report["exactness"] if r["layer"] in (layer, f"{layer}_behind")]
    return all(row.get("differing_points") == 0 for row in rows)


def outputs(design: Design, inputs: Mapping[str, Any]) -> list[Any]:
    """The results of a design as a list."""
    result = design.predict(inputs)
    return result if isinstance(result, list) else [result]


# ---- graphs ------------------------------------------------------------------------------------

KERNEL = "quantized_bits(4,0,alpha=1)"


def quantized(text: str, name: str) -> Any:
    return qkeras.QActivation(text, name=name)


def dense(units: int, name: str) -> Any:
    return qkeras.QDense(units, kernel_quantizer=KERNEL, bias_quantizer=KERNEL, name=name)


def chain() -> Any:
    """A Sequential model."""
    rest = [keras.layers.Flatten(name="f"), dense(3, "d"), quantized(FRONT, "y")]
    return keras.Sequential([keras.Input((4, 2), name="x"), quantized(FRONT, "q"), *rest])


def two_inputs_and_outputs() -> Any:
    """An inner value is an output too, and the inputs are not in alphabetical order."""
    b, a = keras.Input((4,), name="b"), keras.Input((3,), name="a")
    first = quantized(FRONT, "qa")(a)
    second = quantized("quantized_relu(5,1)", "qb")(b)
    joined = keras.layers.Concatenate(name="joined")([first, second])
    inner = quantized(FRONT, "inner")(dense(3, "d")(joined))
    return keras.Model([b, a], [keras.layers.Add(name="sum")([inner, first]), inner])


def shared_layer() -> Any:
    """One layer called three times: in a chain, and on another input."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    layer, cut = dense(4, "shared"), quantized(FRONT, "cut")
    once = cut(layer(quantized(FRONT, "qa")(a)))
    twice = cut(layer(once))
    other = cut(layer(quantized(FRONT, "qb")(b)))
    return keras.Model([a, b], [twice, other, once])


def unneeded_layers() -> Any:
    """Layers beside the way to the output: a second call, and one that calocc cannot import."""
    x = keras.Input((4,), name="x")
    layer = dense(4, "d")
    y = layer(quantized(FRONT, "q")(x))
    layer(keras.layers.UnitNormalization(name="unknown")(y))
    return keras.Model(x, quantized(FRONT, "y")(y))


def one_value_twice() -> Any:
    """The same tensor as two outputs, as two operands, and an input as an output."""
    x = keras.Input((4,), name="x")
    q = quantized(FRONT, "q")(x)
    y = keras.layers.Add(name="sum")([q, q])
    return keras.Model(x, [y, y, q])


GRAPHS = (chain, two_inputs_and_outputs, shared_layer, unneeded_layers, one_value_twice)


@pytest.mark.parametrize("build", GRAPHS)
def test_graphs(build: Any) -> None:
    model = build()
    randomize(model, 3)
    random = np.random.default_rng(5)
    inputs = {
        str(name): random.normal(0, 1, (8, *x.shape[1:])).astype(np.float32)
        for name, x in zip(model.input_names, model.inputs, strict=True)
    }
    check_against_keras(model, inputs)
    with saved(model) as path:
        reals = execute(import_model(path), list(inputs.values()))
        designs = [calocc.compile(path, opt_level=level) for level in range(3)]
    for design in designs:
        assert [p.name for p in design.inputs] == list(inputs)
        assert [p.name for p in design.outputs] == list(model.output_names)
        for result, real in zip(outputs(design, inputs), reals, strict=True):
            assert np.array_equal(result, real)
