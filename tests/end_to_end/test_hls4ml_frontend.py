"""Models of hls4ml as input: the bits of hls4ml's own C++, and its converters with our backend."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hls4ml_graphs import DEFAULT, Layers, many_layers
from numpy.typing import NDArray

import calocc
from calocc.compiler.design import Design
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.hls4ml.errors import BadHlsConfig
from calocc.compiler.hls4ml.frontend import DiffersFromHls4ml
from calocc.compiler.keras.layers.registry import UnsupportedLayer
from calocc.dialects.dataflow.compute import MatvecOp

Reals = NDArray[np.float64]


def compiled(graph: Any, **options: Any) -> Design:
    """The design of a graph of which nothing is to be noted."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DiffersFromHls4ml)
        return calocc.from_hls4ml(graph, **options)


def predictions(design: Design, inputs: list[Reals]) -> list[Reals]:
    """The emulator's outputs without their shape, always as a list."""
    result = design.predict(inputs)
    return [y.reshape(len(y), -1) for y in (result if isinstance(result, list) else [result])]


def its_own(graph: Any, directory: Path) -> Any:
    """The graph with the library that hls4ml builds, without optimisation to save time."""
    graph.write()
    script = directory / "build_lib.sh"
    script.write_text(script.read_text().replace("-O3", "-O0 -w"))
    graph._compile()
    return graph


def test_bits_are_those_of_the_streaming_kernels_of_hls4ml(tmp_path: Path) -> None:
    net, outputs = many_layers()
    graph = net.graph(outputs, tmp_path / "theirs")
    design = compiled(graph)
    random = np.random.default_rng(0)
    inputs = [random.normal(0, 3, (100, 6, 6, 2)), random.uniform(0, 4, (100, 9, 2))]
    expected = its_own(graph, tmp_path / "theirs").predict(inputs)
    for found, values in zip(predictions(design, inputs), expected, strict=True):
        assert len(np.unique(values)) > 100
        np.testing.assert_array_equal(found, values)


def test_graphs_mean_the_same_before_and_after_code_generation(tmp_path: Path) -> None:
    """Vitis clones streams, pads in layers of their own, and transposes weights for Resource."""
    net, outputs = many_layers()
    inputs = [
        np.random.default_rng(1).normal(0, 2, (50, *net.shapes[n])) for n in list(net.shapes)[:2]
    ]
    ours = compiled(net.graph(outputs, tmp_path, "calocc"), opt_level=0)
    model = {"Precision": {"default": DEFAULT}, "ReuseFactor": 4, "Strategy": "Resource"}
    theirs = compiled(net.graph(outputs, tmp_path, Model=model), opt_level=0)
    for found, expected in zip(*(predictions(d, inputs) for d in (ours, theirs)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_backend_of_hls4ml(tmp_path: Path) -> None:
    """`compile` writes our project and builds it, `predict` runs it."""
    net = Layers()
    x = net.input(5, type="fixed<8,3>")
    graph = net.graph([net.dense(x, 3)], tmp_path / "project", "calocc")
    graph.config.config["Calocc"] = {"opt_level": 1}
    graph.compile()
    inputs = np.random.default_rng(0).normal(0, 2, (20, 5))
    design = calocc.load(tmp_path / "project")
    assert design.report["opt_level"] == 1
    assert design.report["part"] == "xcu50-fsvh2104-2-e"
    assert design.report["clock_mhz"] == 200
    np.testing.assert_array_equal(graph.predict(inputs), predictions(design, [inputs])[0])


def test_the_backend_hands_options_on() -> None:
    create = import_module("hls4ml.utils.config").create_config
    config = create(backend="calocc", part="kv260", clock_period=5, opt_level=1, namespace=None)
    assert config["Calocc"] == {"opt_level": 1}
    assert (config["Part"], config["ClockPeriod"], config["IOType"]) == ("kv260", 5, "io_stream")


def test_narrow_accumulators_are_noted_and_not_followed(tmp_path: Path) -> None:
    net = Layers()
    x = net.input(4)
    cut = net.dense(x, 3, accum="fixed<16,6>")
    small = net.dense(x, 3, accum="fixed<30,4>", result="fixed<16,6,TRN,SAT>")
    with pytest.warns(DiffersFromHls4ml) as caught:
        design = calocc.from_hls4ml(net.graph([cut, small], tmp_path, "calocc"))
    first, second = (str(w.message) for w in caught)
    assert first.startswith(f"layer '{cut}' (Dense): in hls4ml its accumulator fixed<16,6> cuts")
    assert f"'{small}' (Dense): in hls4ml its accumulator fixed<30,4> may overflow" in second
    assert design.report["notes"] == [first, second]


def test_a_reuse_factor_becomes_a_folding(tmp_path: Path) -> None:
    net = Layers()
    y = net.dense(net.input(12), 4)
    names = {y: {"ReuseFactor": 12, "Precision": {"accum": "auto"}}}
    design = compiled(net.graph([y], tmp_path, "calocc", LayerName=names))
    (matvec,) = [op for op in design.module.walk() if isinstance(op, MatvecOp)]
    assert matvec.pe * matvec.simd == 4


def refusal(net: Layers, output: str, directory: Path, **hls: Any) -> CaloccError:
    """What is said of a model that cannot be imported."""
    with pytest.raises(CaloccError) as caught:
        calocc.from_hls4ml(net.graph([output], directory, "calocc", **hls))
    return caught.value


def test_layers_that_do_not_map_are_refused_by_name(tmp_path: Path) -> None:
    net = Layers()
    sizes: dict[str, Any] = {
        "n_in": 4,
        "n_out": 3,
        "vocab_size": 8,
        "embeddings_data": net.values(8, 3),
    }
    words = net.add("Embedding", (4, 3), (net.input(4),), **sizes)
    error = refusal(net, words, tmp_path)
    assert error.where == f"layer '{words}' (Embedding)"
    assert error.what == "calocc does not import this layer of hls4ml"
    assert "Dense" in error.hint


@pytest.mark.parametrize(
    ("function", "words"),
    [("selu", "its function 'selu' has no equal here"), ("softmax", "it only marks")],
)
def test_functions_that_do_not_map_are_refused(function: str, words: str, tmp_path: Path) -> None:
    net = Layers()
    y = net.activation(net.input(4), function)
    names = {y: {"Precision": "fixed<16,6>", "implementation": "argmax"}}
    error = refusal(net, y, tmp_path, LayerName=names)
    assert isinstance(error, UnsupportedLayer)
    assert error.what.startswith(words)


def test_a_graph_takes_no_second_configuration(tmp_path: Path) -> None:
    net = Layers()
    graph = net.graph([net.dense(net.input(4), 2)], tmp_path, "calocc")
    with pytest.raises(BadHlsConfig, match="a ModelGraph has its configuration already"):
        calocc.from_hls4ml(graph, hls4ml_config={"Model": {}})


def test_floats_are_refused(tmp_path: Path) -> None:
    net = Layers()
    y = net.dense(net.input(4), 2, result="float")
    assert (
        "float (StandardFloatPrecisionType) is no fixed-point type"
        in refusal(net, y, tmp_path).what
    )
