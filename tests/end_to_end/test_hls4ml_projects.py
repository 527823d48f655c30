"""Projects of ours in hls4ml, of hls4ml with our kernels, and what hls4ml reads of synthesis."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from example_models import DEEPCALO, DIGITS, JETS, Example, design_of
from hls4ml_graphs import Layers
from numpy.typing import NDArray

import calocc
from calocc.compiler.design import Design, NotADesign

Reals = NDArray[np.float64]
KERNELS = Path(calocc.__path__[0]) / "codegen/vitis/kernels"


def events(design: Design, count: int) -> list[Reals]:
    """Values inside and outside of the range of the inputs."""
    random = np.random.default_rng(3)
    inputs: list[Reals] = []
    for port in design.inputs:
        assert port.format is not None
        largest = port.format.max_mantissa * port.format.lsb
        inputs.append(random.normal(0, largest / 2, (count, *port.shape)))
    return inputs


@pytest.mark.parametrize(
    ("example", "count"), [(JETS, 500), (DIGITS, 200), (DEEPCALO, 2)],
    ids=["mlp", "cnn-with-residual", "deepcalo-image"],
)  # fmt: skip
def test_linked_projects_give_our_bits(example: Example, count: int, tmp_path: Path) -> None:
    """`link_existing_project(dir).compile().predict(x)`, event by event as hls4ml does it."""
    design = design_of(example, 2)
    link = import_module("hls4ml.converters").link_existing_project
    model = link(str(design.write(tmp_path / "project")))
    model.compile()
    inputs = events(design, count)
    result = model.predict(inputs[0] if len(inputs) == 1 else inputs)
    expected = design.predict(inputs)
    assert isinstance(expected, np.ndarray)
    print(f"{example.model.stem}: {count} events, {(result == expected).mean():.0%} equal")
    np.testing.assert_array_equal(result.reshape(expected.shape), expected)


def test_a_moved_project_is_linked_where_it_is(tmp_path: Path) -> None:
    """hls4ml itself looks where `OutputDir` says that the project was written."""
    design = design_of(JETS, 2)
    moved = tmp_path / "over there" / "project"
    moved.parent.mkdir()
    written = design.write(tmp_path / "here").rename(moved)
    before = (moved / "hls4ml_config.yml").read_bytes()
    with pytest.raises(OSError, match="here"):
        import_module("hls4ml.converters").link_existing_project(str(written)).compile()
    model = calocc.link_existing_project(moved)
    model.compile()
    (x,) = events(design, 20)
    np.testing.assert_array_equal(model.predict(x), design.predict(x))
    np.testing.assert_array_equal(cast(Reals, calocc.load(moved).predict(x)), design.predict(x))
    assert (moved / "hls4ml_config.yml").read_bytes() == before


def test_only_projects_are_linked(tmp_path: Path) -> None:
    with pytest.raises(NotADesign, match=r"it holds no hls4ml_config\.yml"):
        calocc.link_existing_project(tmp_path)


# ---- reports -------------------------------------------------------------------------------------

RESOURCES = {
    "BRAM_18K": (33, 2688),
    "DSP": (120, 5952),
    "FF": (9000, 1743360),
    "LUT": (8000, 871680),
    "URAM": (0, 640),
}


def csynth(top: str) -> str:
    """A report in the schema of Vitis HLS 2023.2 (`solution1/syn/report/<top>_csynth.xml`)."""
    used, available = (
        "".join(f"<{name}>{pair[k]}</{name}>" for name, pair in RESOURCES.items()) for k in (0, 1)
    )
    latency = {"Best-caseLatency": 101, "Average-caseLatency": 102, "Worst-caseLatency": 103}
    intervals = {"Interval-min": 64, "Interval-max": 65}
    times = "".join(f"<{k}>{v}</{k}>" for k, v in {**latency, **intervals}.items())
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<profile>
<section name="General Information" level="0"/>
<ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><unit>ns</unit><ProductFamily>virtexuplusHBM</ProductFamily>
<Part>xcu50-fsvh2104-2-e</Part><TopModelName>{top}</TopModelName>
<TargetClockPeriod>4.00</TargetClockPeriod><ClockUncertainty>1.08</ClockUncertainty>
<FlowTarget>vivado</FlowTarget></UserAssignments>
<PerformanceEstimates><PipelineType>dataflow</PipelineType>
<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>2.914</EstimatedClockPeriod>
</SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><unit>clock cycles</unit>{times}</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates><Resources>{used}</Resources>
<AvailableResources>{available}</AvailableResources></AreaEstimates>
</profile>
"""


def test_hls4ml_parses_reports_of_synthesis(tmp_path: Path) -> None:
    project = design_of(JETS, 2).write(tmp_path / "project")
    report = project / "jets_prj/solution1/syn/report/jets_csynth.xml"
    report.parent.mkdir(parents=True)
    report.write_text(csynth("jets"))
    solutions = '<project><solutions><solution name="solution1" status=""/></solutions></project>'
    (project / "jets_prj/hls.app").write_text(solutions)
    (project / "tb_data/csim_results.log").write_text("0.5 0.25\n0.125 1\n")
    parsed = import_module("hls4ml.report").parse_vivado_report(str(project))
    found = parsed["CSynthesisReport"]
    assert parsed["CSimResults"] == [["0.5", "0.25"], ["0.125", "1"]]
    expected = {"TargetClockPeriod": "4.00", "EstimatedClockPeriod": "2.914", "BestLatency": "101",
                "WorstLatency": "103", "IntervalMin": "64", "IntervalMax": "65"}  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    for name, (used, available) in RESOURCES.items():
        assert (found[name], found[f"Available{name}"]) == (str(used), str(available))


# ---- the top function ----------------------------------------------------------------------------


def test_the_top_function_is_that_of_io_stream(tmp_path: Path) -> None:
    """hls4ml's own writer, on the same model, declares the same ports."""
    net = Layers()
    image = net.input(4, 4, 2, type="fixed<8,3>")
    flat = net.flatten(net.conv(image, 3, 3, result="fixed<10,4>"))
    graph = net.graph([net.dense(flat, 5, result="fixed<12,6>")], tmp_path / "theirs")
    graph.write()
    ours = calocc.from_hls4ml(graph).write(tmp_path / "ours")
    declared = [_ports(p / "firmware", "small") for p in (tmp_path / "theirs", ours)]
    assert (
        declared[0]
        == declared[1]
        == ["nnet::array<ap_fixed<8,3>,2>", "nnet::array<ap_fixed<12,6>,5>"]
    )


def _ports(firmware: Path, name: str) -> list[str]:
    """The beats of the streams of the top function."""
    header = (firmware / f"{name}.h").read_text()
    (arguments,) = re.findall(rf"void {name}\(([^)]*)\);", header)
    types = re.findall(r"hls::stream<(\w+)> &\w+", arguments)
    assert len(types) == len(arguments.split(","))
    defined = re.findall(r"typedef (nnet::array<.*>) (\w+);", (firmware / "defines.h").read_text())
    beats = {name: re.sub(r"\s|\*1(?=>)", "", type) for type, name in defined}
    return [beats[type] for type in types]


# ---- a kernel of ours in a project of hls4ml -----------------------------------------------------


def register_minimum() -> None:
    """hls4ml has no pooling by minimum: a layer of its extension API on our kernel `reduce`."""
    layers = import_module("hls4ml.model.layers")
    template = import_module("hls4ml.backends.template")
    backend = import_module("hls4ml.backends").get_backend("Vitis")

    class GlobalMinPooling1D(layers.Layer):
        def initialize(self) -> None:
            shape, type = self.get_input_variable().shape, self.get_input_variable().type
            self.add_output_variable(shape[-1:], precision=type.precision)

    class Config(template.LayerConfigTemplate):
        def __init__(self) -> None:
            super().__init__(GlobalMinPooling1D)  # pyright: ignore[reportUnknownMemberType]
            self.template = """struct config{index} {{
    typedef {input_t}::value_type accum_t;
    typedef nnet::identity<accum_t> epilogue;
    static const unsigned n_positions = 1;
    static const unsigned n_taps = {n_in};
    static const unsigned n_chan = {n_filt};
    static const unsigned n_pixels = 1;
    static accum_t combine(const accum_t &a, const accum_t &b) {{ return b < a ? b : a; }}
}};
"""

        def format(self, node: Any) -> str:
            sizes = dict(zip(("n_in", "n_filt"), node.get_input_variable().shape, strict=True))
            types = {"input_t": node.get_input_variable().type.name}
            return self.template.format(**self._default_config_params(node), **sizes, **types)

    class Call(template.FunctionCallTemplate):
        def __init__(self) -> None:
            include = ["nnet_utils/calocc_reduce.h"]
            super().__init__(GlobalMinPooling1D, include_header=include)  # pyright: ignore[reportUnknownMemberType]
            self.template = "nnet::reduce<{input_t}, {output_t}, {config}>({input}, {output});"

        def format(self, node: Any) -> str:
            return self.template.format(**self._default_function_params(node))

    layers.register_layer("GlobalMinPooling1D", GlobalMinPooling1D)
    for each in (Config, Call):
        backend.register_template(each)
    for header in ("calocc_types.h", "calocc_reduce.h"):
        backend.register_source(KERNELS / header)


def test_a_kernel_of_ours_in_a_project_that_hls4ml_writes(tmp_path: Path) -> None:
    register_minimum()
    net = Layers()
    x = net.input(7, 3, type="fixed<10,5>")
    rectified = net.activation(x, "relu", result="ufixed<9,4>")
    least = net.add("GlobalMinPooling1D", (3,), (rectified,))
    graph = net.graph([net.dense(least, 3, result="fixed<20,9>")], tmp_path / "project")
    weights = graph.graph[net.layers[-1]["name"]].weights
    kernel, bias = (np.asarray(weights[name].data) for name in ("weight", "bias"))
    graph.compile()
    inputs = np.random.default_rng(0).normal(0, 4, (50, 7, 3)) + 5
    fixed = np.clip(np.floor(inputs * 32) / 32, None, 15.96875)
    least_values = np.where(fixed > 0, fixed, 0).min(axis=1)
    sums = least_values @ (np.floor(kernel * 1024) / 1024) + np.floor(bias * 1024) / 1024
    found = graph.predict(inputs)
    kept = (np.abs(inputs) < 15.9).all(axis=(1, 2))  # hls4ml's types wrap round beyond
    assert kept.sum() > 40
    np.testing.assert_array_equal(found[kept], np.floor(sums * 2048)[kept] / 2048)
