"""The generated Vitis project as a stranger meets it: g++, the test bench, hls4ml, other places."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from example_models import DIGITS, JETS, Example, design_of
from numpy.typing import NDArray
from project_designs import FixedNetwork, every_kind

from calocc.codegen.vitis.emitters.compute import folded_weights
from calocc.compiler.design import Design
from calocc.compiler.network import processes_of
from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import AddOp
from calocc.runtime.csim import Csim, build_csim

Reals = NDArray[np.float64]
STRICT = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-DNDEBUG", "-isystemfirmware/ap_types")
NOT_OURS = ("-Wno-unknown-pragmas", "-Wno-uninitialized", "-Wno-maybe-uninitialized")
"""Pragmas are for Vitis; ap_types masks the bits of numbers that have no value yet."""


@cache
def small() -> Design:
    """The design with every kind of process."""
    return every_kind()


def example(which: Example) -> Callable[[], Design]:
    """A committed example at -O2."""
    return lambda: design_of(which, 2)


DESIGNS = {"jets": example(JETS), "digits": example(DIGITS), "every_kind": small}


def draw_inputs(design: Design, events: int = 10) -> list[Reals]:
    """Values inside and outside the range of the inputs."""
    random = np.random.default_rng(7)
    inputs: list[Reals] = []
    for port in design.inputs:
        assert port.format is not None
        largest = port.format.max_mantissa * port.format.lsb
        inputs.append(random.normal(0, largest / 2, (events, *port.shape)))
    return inputs


def predictions(design: Design, inputs: list[Reals]) -> list[Reals]:
    """The emulator's outputs, always as a list."""
    result = design.predict(inputs)
    return result if isinstance(result, list) else [result]


def run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """A finished process."""
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Projects by the names of `DESIGNS`, each written once."""

    @cache
    def project(name: str) -> Path:
        return DESIGNS[name]().write(tmp_path_factory.mktemp(name) / "project")

    return project


def compile_strictly(project: Path, name: str, file: str, output: str, *flags: str) -> Path:
    """Compile the design together with `file`, unless that is done; warnings are errors."""
    target = project / output
    if not target.is_file():
        places = ("-Ifirmware", f'-DWEIGHTS_DIR="{project}/firmware/weights"')
        sources = ("-include", f"firmware/{name}.cpp", f"{name}_{file}.cpp")
        command = ["g++", *STRICT, *NOT_OURS, *places, *flags, *sources, "-o", output]
        done = run(command, project)
        assert done.returncode == 0, done.stderr
    return target


def build_bench(project: Path, name: str) -> Path:
    """The test bench without optimisation."""
    return compile_strictly(project, name, "test", "bench", "-O0")


def build_library(directory: Path) -> Path:
    """Run the project's own script."""
    done = run(["bash", "build_lib.sh"], directory)
    assert done.returncode == 0, done.stderr
    (library,) = (directory / "firmware").glob("*.so")
    return library


@pytest.mark.parametrize("name", DESIGNS)
def test_bench_compiles_without_a_warning_and_succeeds(
    name: str, workshop: Callable[[str], Path]
) -> None:
    project = workshop(name)
    done = run([str(build_bench(project, name))], project)
    assert (done.returncode, done.stdout) == (0, "0 of 4 events differ\n")
    found = np.loadtxt(project / "tb_data/csim_results.log")
    expected = np.loadtxt(project / "tb_data/tb_output_predictions.dat")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", DESIGNS)
def test_library_compiles_without_a_warning_and_gives_the_bits_of_the_emulator(
    name: str, workshop: Callable[[str], Path]
) -> None:
    design, project = DESIGNS[name](), workshop(name)
    library = ("-O1", "-fPIC", "-shared", "-fno-gnu-unique")
    path = compile_strictly(project, name, "bridge", "strict.so", *library)
    inputs = draw_inputs(design, 40)
    result = Csim(design, path).predict(inputs)
    found = result if isinstance(result, list) else [result]
    for got, expected in zip(found, predictions(design, inputs), strict=True):
        assert len(np.unique(expected)) > 5
        np.testing.assert_array_equal(got, expected, strict=True)


def test_every_kind_of_process_is_there() -> None:
    kinds = {op.name for op in small().module.walk() if op.name.startswith("dataflow.")}
    assert kinds == {
        f"dataflow.{kind}"
        for kind in "buffer concat depthwise embedding fork lanes layer_norm map matvec pad reduce "
        "reshape slice softmax tap_sum upsample window".split()
    }


@pytest.fixture(scope="module")
def bench(workshop: Callable[[str], Path]) -> Path:
    """A project with the executable `bench` of its test bench."""
    project = workshop("every_kind")
    build_bench(project, "every_kind")
    return project


def other_expectation(text: str) -> str:
    """The first value a quarter greater."""
    first, rest = text.split(" ", 1)
    return f"{float(first) + 0.25} {rest}"


def other_input(text: str) -> str:
    """The first event with the values in the opposite order."""
    first, rest = text.split("\n", 1)
    return " ".join(reversed(first.split())) + "\n" + rest


def without_last_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def with_a_line_more(text: str) -> str:
    return text + text.splitlines(keepends=True)[0]


def without_a_value(text: str) -> str:
    return text.split(" ", 1)[1]


def other_weights(text: str) -> str:
    return ", ".join(reversed(text.strip().split(", "))) + "\n"


def with_a_weight_more(text: str) -> str:
    return text.rstrip() + ", 0\n"


INPUTS, OUTPUTS = "tb_data/tb_input_features.dat", "tb_data/tb_output_predictions.dat"
WEIGHTS = "weights"
DAMAGE = [
    (OUTPUTS, other_expectation),
    (OUTPUTS, without_last_line),
    (OUTPUTS, with_a_line_more),
    (OUTPUTS, without_a_value),
    (INPUTS, other_input),
    (INPUTS, without_last_line),
    (INPUTS, with_a_line_more),
    (INPUTS, without_a_value),
    (WEIGHTS, other_weights),
    (WEIGHTS, without_a_value),
    (WEIGHTS, with_a_weight_more),
]


@pytest.mark.parametrize(
    ("file", "change"), DAMAGE, ids=[f"{Path(f).stem}-{c.__name__}" for f, c in DAMAGE]
)
def test_bench_notices(bench: Path, file: str, change: Callable[[str], str]) -> None:
    path = max((bench / "firmware/weights").glob("w*.txt")) if file == WEIGHTS else bench / file
    original = path.read_text()
    assert change(original) != original
    path.write_text(change(original))
    try:
        assert run(["./bench"], bench).returncode != 0
    finally:
        path.write_text(original)


def test_hls4ml_links_and_predicts(tmp_path: Path) -> None:
    design = small()
    model = import_module("hls4ml.converters").link_existing_project(
        str(design.write(tmp_path / "linked"))
    )
    model.compile()
    doubles = draw_inputs(design)
    singles = [x.astype(np.float32) for x in doubles]
    for given in (doubles, singles):
        result = model.predict(given if len(given) > 1 else given[0])
        found = cast(list[Reals], result if isinstance(result, list) else [result])
        expected = predictions(design, [x.astype(np.float64) for x in given])
        for got, values in zip(found, expected, strict=True):
            assert got.dtype == given[0].dtype
            np.testing.assert_array_equal(got.reshape(values.shape), values)


def test_moved_project_builds(tmp_path: Path) -> None:
    design = DESIGNS["jets"]()
    project = design.write(tmp_path / "here")
    moved = tmp_path / "over there" / "project"
    moved.parent.mkdir()
    project.rename(moved)
    inputs = draw_inputs(design)
    result = Csim(design, build_library(moved)).predict(inputs)
    np.testing.assert_array_equal(result, predictions(design, inputs)[0])


def matvecs(design: Design) -> dict[int, MatvecOp]:
    """The matvec processes by the number in the names of their constants."""
    processes = enumerate(processes_of(main_function(design.module)), start=2)
    return {k: op for k, op in processes if isinstance(op, MatvecOp)}


@pytest.mark.parametrize("name", DESIGNS)
def test_weight_files_hold_the_weights(name: str, tmp_path: Path) -> None:
    design = DESIGNS[name]()
    project = design.write(tmp_path / "project")
    found = matvecs(design)
    assert found
    for k, op in found.items():
        text = (project / f"firmware/weights/w{k}.txt").read_text()
        (n, m), simd, pe = op.weights.shape, op.simd, op.pe
        values = np.array([float(v) for v in text.split(",")])
        folds, parts = -(-m // pe), -(-n // simd)
        if op.inputs_first:  # [pe][sf][nf][simd]
            folded = values.reshape(pe, parts, folds, simd).swapaxes(1, 2)
        else:
            folded = values.reshape(pe, folds, parts, simd)
        padded = folded.transpose(2, 3, 1, 0).reshape(parts * simd, folds * pe)
        matrix = padded[:n, :m]
        assert np.count_nonzero(padded) == np.count_nonzero(matrix)
        np.testing.assert_array_equal(matrix, np.ldexp(op.weights.numpy(), -_frac(op)))


def _frac(op: MatvecOp) -> int:
    return op.weight_type.format.frac


def test_synthesis_sees_the_same_weights(tmp_path: Path) -> None:
    """What Vitis compiles in is what simulation loads, element by element."""
    design = small()
    project = design.write(tmp_path / "project")
    found = matvecs(design)
    lines = ['#include <cstdio>\n#include "defines.h"\n#define __SYNTHESIS__']
    lines += [f'#include "weights/w{k}.h"' for k in found]
    lines += ["int main() {"]
    for k in found:
        lines.append(
            f"for (auto *w = &w{k}[0][0][0]; w < &w{k}[0][0][0] + sizeof(w{k}) / sizeof(*w); w++)"
        )
        lines.append('    std::printf("%.17g\\n", w->to_double());')
    (project / "weights.cpp").write_text("\n".join([*lines, "}\n"]))
    flags = ["-std=c++14", "-w", "-isystemfirmware/ap_types", "-Ifirmware"]
    done = run(["g++", *flags, "weights.cpp", "-o", "weights"], project)
    assert done.returncode == 0, done.stderr
    printed = [float(v) for v in run(["./weights"], project).stdout.split()]
    expected = [
        np.ldexp(
            folded_weights(op.weights.numpy(), op.pe, op.simd, op.inputs_first), -_frac(op)
        ).ravel()
        for op in found.values()
    ]
    np.testing.assert_array_equal(printed, np.concatenate(expected))


def test_no_machine_path_but_the_output_directory(tmp_path: Path) -> None:
    project = DESIGNS["jets"]().write(tmp_path / "project")
    places = (str(tmp_path), str(Path.home()), str(Path(__file__).parents[2]))
    for file in (f for f in project.rglob("*") if f.is_file()):
        lines = file.read_text().splitlines()
        marked = [line for line in lines if any(place in line for place in places)]
        is_config = file.name == "hls4ml_config.yml"
        assert marked == ([f"OutputDir: {project}"] if is_config else []), file


def test_equal_designs_are_equal_files(tmp_path: Path) -> None:
    first, second = (every_kind().write(tmp_path / name) for name in ("a", "b"))
    files = {f.relative_to(first) for f in first.rglob("*") if f.is_file()}
    assert files == {f.relative_to(second) for f in second.rglob("*") if f.is_file()}
    for file in files - {Path("hls4ml_config.yml")}:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_scripts_take_the_options_of_hls4ml(tmp_path: Path) -> None:
    project = DESIGNS["jets"]().write(tmp_path / "project")
    options = set(re.findall(r"^    (\w+) +[01]$", (project / "build_opt.tcl").read_text(), re.M))
    used = set(re.findall(r"\$opt\((\w+)\)", (project / "build_prj.tcl").read_text()))
    assert (
        options == used == set("reset csim synth cosim validation export vsynth fifo_opt".split())
    )
    variables = (project / "project.tcl").read_text()
    for line in ('set project_name "jets"', 'set backend "vitis"', "set maximum_size 4096"):
        assert line in variables.splitlines()


def twin(seed: int) -> Design:
    """A dense layer whose weights and bias come from a seed; the name is always the same."""
    net = FixedNetwork(((4,), "fixed<6,2>"), seed=seed)
    (x,) = net.block.args
    sums = net.add(DenseOp(x, net.constant((4, 3), "fixed<5,2>"), layer="dense"))
    biased = net.add(AddOp((sums, net.constant((3,), "fixed<6,3>")), layer="dense"))
    return net.design("twin", [net.cast(biased, "fixed<9,5>", "cast")])


def test_designs_of_one_name_keep_their_constants_apart(tmp_path: Path) -> None:
    """Tables of inline functions would be unique symbols, shared by all libraries of a process."""
    designs = [twin(1), twin(2)]
    first, second = build_csim(designs[0]), build_library(designs[1].write(tmp_path / "project"))
    for library in (first.library, second):
        symbols = run(["readelf", "--syms", "--wide", str(library)], tmp_path).stdout
        assert "twin_double" in symbols
        assert "UNIQUE" not in symbols
    libraries = [first, Csim(designs[1], second)]
    inputs = draw_inputs(designs[0])
    expected = [predictions(d, inputs)[0] for d in designs]
    assert not np.array_equal(expected[0], expected[1])
    for _ in range(2):
        for library, values in zip(libraries, expected, strict=True):
            np.testing.assert_array_equal(library.predict(inputs), values)


def test_kernels_are_those_in_use(tmp_path: Path) -> None:
    design = DESIGNS["jets"]()
    project = design.write(tmp_path / "project")
    headers = {f.name for f in (project / "firmware/nnet_utils").iterdir()}
    kinds = {op.name.partition(".")[2] for op in processes_of(main_function(design.module))}
    kernels = {f"calocc_{kind}.h" for kind in {"axi", "types", "packing", "weights", *kinds}}
    assert headers == {"nnet_types.h"} | kernels
