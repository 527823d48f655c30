"""Configurations of hls4ml as options, and those that our projects carry."""

from __future__ import annotations

import copy
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from example_models import DIGITS, JETS, Example
from hdf5_models import entry, write_layers
from numpy.typing import NDArray

import calocc
from calocc.codegen.vitis.hls_config import hls_config
from calocc.compiler.design import Design
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.hls4ml.errors import BadHlsConfig, HlsContradiction, HlsWrap
from calocc.compiler.main import main
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.passes.balance import BadPin

Reals = NDArray[np.float64]
RANDOM = np.random.default_rng(11)
MODEL = {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"}


def plain(path: Path) -> Path:
    """A network of plain Keras layers."""
    weights = {
        "c1": {"kernel": RANDOM.normal(0, 0.5, (3, 3, 2, 3)), "bias": RANDOM.normal(0, 0.5, 3)},
        "d1": {"kernel": RANDOM.normal(0, 0.5, (12, 4)), "bias": RANDOM.normal(0, 0.5, 4)},
        "y": {"kernel": RANDOM.normal(0, 0.5, (4, 2)), "bias": RANDOM.normal(0, 0.5, 2)},
    }
    window = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "valid"}
    plain = {"data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1, "use_bias": True}
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 6, 6, 2], dtype="float32"),
        entry("c1", "Conv2D", "x", filters=3, activation="relu", **window, **plain),
        entry("p1", "MaxPooling2D", "c1", pool_size=[2, 2], strides=[2, 2], padding="valid",
              data_format="channels_last"),
        entry("f1", "Flatten", "p1", data_format="channels_last"),
        entry("d1", "Dense", "f1", units=4, activation="relu", use_bias=True),
        entry("y", "Dense", "d1", units=2, activation="linear", use_bias=True),
    ]  # fmt: skip
    return write_layers(path / "plain.h5", layers, weights)


def configuration(**names: dict[str, Any]) -> dict[str, Any]:
    """The defaults of hls4ml, and entries by layer."""
    return {"Model": copy.deepcopy(MODEL), "LayerName": names}


def converted(file: Path, hls: dict[str, Any], directory: Path) -> Any:
    """hls4ml's own reading of a file, with calocc for a backend."""
    create = import_module("hls4ml.utils.config").create_config
    config = create(output_dir=str(directory), project_name="plain", backend="calocc")
    config |= {"KerasH5": str(file), "HLSConfig": copy.deepcopy(hls)}
    return import_module("hls4ml.converters").keras_v2_to_hls(config)


AUTO = {"result": "auto", "weight": "auto", "bias": "auto", "accum": "auto"}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "all alike": {},
    "inferred": {name: {"Precision": AUTO} for name in ("c1", "p1", "d1", "y", "c1_relu")},
    "named": {
        "x": {"Precision": "fixed<10,4,RND,SAT>"},
        "c1": {"Precision": {**AUTO, "weight": "fixed<8,3,RND>", "bias": "fixed<9,3,AP_RND_CONV>"}},
        "c1_relu": {"Precision": {"result": "ufixed<7,3,RND,SAT>"}},
        "d1": {"Precision": {**AUTO, "result": "fixed<14,6,TRN_ZERO,SAT_SYM>"}},
        "y": {"Precision": {**AUTO, "result": "fixed<12,5,RND>"}},
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_types_mean_the_same_for_a_file_as_in_hls4ml(name: str, tmp_path: Path) -> None:
    """The same configuration through hls4ml's reader, whose models have the bits of its C++."""
    file, hls = plain(tmp_path), configuration(**SETTINGS[name])
    ours = calocc.compile(file, opt_level=0, hls4ml_config=hls)
    graph = converted(file, hls, tmp_path / "theirs")
    theirs = calocc.compile(graph, opt_level=0)
    assert [p.format for p in ours.inputs] == [p.format for p in theirs.inputs]
    x = RANDOM.normal(0, 2, (200, 6, 6, 2))
    expected = predicted(theirs, x)
    assert len(np.unique(expected)) > 100
    np.testing.assert_array_equal(predicted(ours, x), expected)


def predicted(design: Design, x: Reals) -> Reals:
    """The one output."""
    result = design.predict(x)
    assert not isinstance(result, list)
    return result


@pytest.mark.parametrize("example", [JETS, DIGITS], ids=lambda e: e.model.stem)
def test_a_project_carries_a_configuration_of_itself(example: Example, tmp_path: Path) -> None:
    design = calocc.compile(example.model)
    project = design.write(tmp_path / "project")
    again = calocc.compile(example.model, hls4ml_config=project / "hls4ml_config.yml")
    assert again.report["notes"] == []
    assert hls_config(again.module) == hls_config(design.module)
    x = RANDOM.normal(0, 2, (50, *design.inputs[0].shape))
    np.testing.assert_array_equal(predicted(again, x), predicted(design, x))


def test_defaults_of_hls4ml_change_nothing_in_a_quantized_model() -> None:
    expected = calocc.compile(JETS.model)
    types = {"QDense": {"Precision": "fixed<4,2>"}}
    design = calocc.compile(JETS.model, hls4ml_config={"Model": MODEL, "LayerType": types})
    assert design.module.is_structurally_equivalent(expected.module)


def product(design: Design, layer: str) -> MatvecOp:
    """The matrix product of a layer."""
    ops = [op for op in design.module.walk() if isinstance(op, MatvecOp)]
    (op,) = [op for op in ops if op.layer_name == layer]
    return op


def test_reuse_factors_by_model_class_and_name() -> None:
    config = {
        "Model": {"ReuseFactor": 8, "Strategy": "Resource"},
        "LayerType": {"qdense": {"ReuseFactor": 16}},
        "LayerName": {"dense_3": {"ReuseFactor": 1}},
    }
    design = calocc.compile(JETS.model, hls4ml_config=config, settings=("dense_4.pe=5",))
    shared, alone, set_by_hand = (product(design, f"dense_{k}") for k in (2, 3, 4))
    assert shared.pe * shared.simd == 64 * 32 // 16
    assert (alone.pe, alone.simd) == (32, 32)
    assert set_by_hand.pe == 5


def test_reuse_factors_are_at_most_the_products_of_what_is_folded(tmp_path: Path) -> None:
    """A recurrent layer multiplies what comes in at once, and what it remembers step by step."""
    weights = {"r": {"kernel": np.ones((1, 3)), "recurrent_kernel": np.ones((3, 3))}}
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 2, 1], dtype="float32"),
        entry("r", "SimpleRNN", "x", units=3, activation="relu", use_bias=False),
        entry("y", "Dense", "r", units=2, activation="linear", use_bias=False),
    ]
    file = write_layers(tmp_path / "r.h5", layers, {**weights, "y": {"kernel": np.ones((3, 2))}})
    config = {"Model": {**MODEL, "ReuseFactor": 5}}
    design = calocc.compile(file, hls4ml_config=config, settings=("r.state=ufixed<6,3>",))
    assert [product(design, name).pe for name in ("r", "y")] == [1, 1]


def test_a_folding_for_a_layer_of_which_nothing_is_left(tmp_path: Path) -> None:
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 2], dtype="float32"),
        entry("gone", "Dense", "x", units=2, activation="linear", use_bias=False),
        entry("y", "Dense", "x", units=2, activation="linear", use_bias=False),
        entry("sum", "Add", "gone", "y"),
    ]
    weights = {"gone": {"kernel": np.zeros((2, 2))}, "y": {"kernel": np.ones((2, 2))}}
    file = write_layers(tmp_path / "gone.h5", layers, weights)
    calocc.compile(file, hls4ml_config={"Model": {**MODEL, "ReuseFactor": 2}})
    with pytest.raises(BadPin, match="no matrix product is left"):
        calocc.compile(file, hls4ml_config={"Model": MODEL}, settings=("gone.pe=1",))


def test_strategies_that_a_design_does_not_have_are_noted() -> None:
    names: dict[str, dict[str, str | int]] = {
        "dense_2": {"Strategy": "Resource", "ReuseFactor": 64},
        "dense_3": {"Strategy": "Unrolled"},
        "dense_4": {"Strategy": "distributed_arithmetic"},
    }
    config = {"Model": {**MODEL, "ReuseFactor": 2}, "LayerName": names}
    design = calocc.compile(JETS.model, hls4ml_config=config)
    assert design.report["notes"] == [
        "strategy resource asks for weights in block RAM; they are few enough for LUT memory in "
        "dense_2",
        "strategy unrolled asks for all products at once; set ReuseFactor for that, they are "
        "folded in dense_3",
        "strategy distributed_arithmetic asks for sums of shifted inputs; there are multipliers in "
        "dense_4",
    ]
    names["dense_2"]["ReuseFactor"] = 2048
    names["dense_3"]["ReuseFactor"] = 1
    (only,) = calocc.compile(JETS.model, hls4ml_config=config).report["notes"]
    assert only.endswith("dense_4")


def test_part_and_clock_are_those_of_the_configuration_unless_given(tmp_path: Path) -> None:
    content = {"Part": "xck26-sfvc784-2LV-c", "ClockPeriod": 5, "HLSConfig": {"Model": MODEL}}
    file = tmp_path / "hls4ml_config.yml"
    file.write_text("KerasModel: !keras_model model.h5\n" + yaml.safe_dump(content))
    design = calocc.compile(JETS.model, hls4ml_config=file)
    assert (design.report["target"], design.report["clock_mhz"]) == ("kv260", 200)
    other = calocc.compile(JETS.model, target="vu9p", clock_mhz=100.0, hls4ml_config=file)
    assert (other.report["target"], other.report["clock_mhz"]) == ("vu9p", 100)


def test_a_result_that_a_quantized_model_does_not_round_is_noted() -> None:
    names = {"dense_4": {"Precision": {"result": "fixed<8,4>", "accum": "fixed<8,4>"}}}
    design = calocc.compile(JETS.model, hls4ml_config=configuration(**names))
    rounded, summed = design.report["notes"]
    assert rounded == (
        "layer 'dense_4': its result is rounded to fixed<8,4>, which the model does not do"
    )
    assert summed.startswith(
        "layer 'dense_4': the accumulator fixed<8,4> does not hold its sums; calocc takes fixed<"
    )


def refusal(model: Path, config: Any) -> CaloccError:
    """What is said of a configuration."""
    with pytest.raises(CaloccError) as caught:
        calocc.compile(model, opt_level=0, hls4ml_config=config)
    return caught.value


@pytest.mark.parametrize("variable", ["weight", "bias", "result"])
def test_a_type_that_a_quantizer_contradicts_is_refused(variable: str) -> None:
    layer = "relu_1" if variable == "result" else "dense_1"
    names = {layer: {"Precision": {variable: "fixed<4,3>"}}}
    error = refusal(JETS.model, configuration(**names))
    assert isinstance(error, HlsContradiction)
    assert error.where == f"hls4ml_config, LayerName '{layer}'"
    assert f"fixed<4,3> cannot hold the values of layer '{layer}'" in error.what


def test_weights_do_not_wrap_round(tmp_path: Path) -> None:
    names = {"d1": {"Precision": {"weight": "fixed<8,0>"}}}
    error = refusal(plain(tmp_path), configuration(**names))
    assert isinstance(error, HlsWrap)
    assert "lie outside of fixed<8,0> and would wrap round" in error.what
    saturated = {"d1": {"Precision": {"weight": "fixed<8,0,RND,SAT>"}}}
    calocc.compile(plain(tmp_path), opt_level=0, hls4ml_config=configuration(**saturated))


BAD: list[tuple[Any, str, str]] = [
    ({"Model": {"Precison": "fixed<16,6>"}}, "Model", "did you mean Precision?"),
    ({"Model": {"Precision": {"wieght": "auto"}}}, "Model, Precision", "did you mean weight?"),
    ({"Model": {"Precision": "float"}}, "Model, Precision default", "write fixed<W,I>"),
    ({"Model": {"Strategy": "Ressource"}}, "Model", "use one of latency"),
    ({"Model": {"ReuseFactor": 0}}, "Model", "give one"),
    ({"LayerName": {"dense_9": {}}}, "LayerName 'dense_9'", "did you mean dense_"),
    ({"LayerName": []}, "LayerName", "see hls4ml's documentation"),
    ({"HLSConfg": {}}, "", "did you mean HLSConfig?"),
    ({"ClockPeriod": "fast", "HLSConfig": {}}, "ClockPeriod", "give one"),
    ([], "", "see hls4ml's documentation"),
]


@pytest.mark.parametrize(("content", "place", "hint"), BAD, ids=[repr(b[0])[:40] for b in BAD])
def test_entries_without_a_meaning_are_refused(
    content: Any, place: str, hint: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.yml"
    file.write_text(yaml.safe_dump(content))
    error = refusal(JETS.model, file)
    assert isinstance(error, BadHlsConfig)
    assert error.place == place
    assert hint in error.hint


@pytest.mark.parametrize("content", [None, b"Model: {", b"\xff\xfe"])
def test_files_that_are_no_configuration(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    if content is not None:
        file.write_bytes(content)
    error = refusal(JETS.model, file)
    assert isinstance(error, BadHlsConfig)
    assert error.where == f"configuration {file}"


def test_the_command_line_takes_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yml"
    names = {"dense_4": {"Precision": {"result": "fixed<8,4>"}}}
    file.write_text(yaml.safe_dump({"HLSConfig": configuration(**names), "ClockPeriod": 5}))
    arguments = [str(JETS.model), "--hls4ml-config", str(file), "-o", str(tmp_path / "project")]
    main([*arguments, "--json"])
    assert json.loads(capsys.readouterr().out)["clock_mhz"] == 200
    main(arguments)
    assert "warning: layer 'dense_4': its result is rounded" in capsys.readouterr().out
