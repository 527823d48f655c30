"""Packages that teach calocc more, installed as a user would install them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hdf5_models import entry, sequential, write_model

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "plugin_layer"
FORMAT = "quantized_bits(6,2,alpha=1)"


def install(source: Path, target: Path) -> None:
    """`pip install` into a directory of its own."""
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(source)]
    subprocess.run(pip, check=True, capture_output=True, text=True)


def calocc(place: Path, *arguments: str, tool: str = "main") -> subprocess.CompletedProcess[str]:
    """Run the compiler, or another tool of calocc, with the packages of `place`."""
    code = f"from calocc.compiler.{tool} import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(place)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """q -> Square(gain=0.5) -> q"""
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, 4]),
        entry("q", "QActivation", activation=FORMAT),
        entry("y", "Square", gain=0.5),
        entry("out", "QActivation", activation=FORMAT),
    ]
    return write_model(tmp_path / "model.h5", sequential(*layers), {})


def installed(package: Path, place: Path) -> Path:
    """The place of a package that is built from a copy, as building leaves files behind."""
    install(Path(shutil.copytree(package, place / "source")), place / "site")
    return place / "site"


@pytest.fixture(scope="module")
def powers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place where the package of a layer is installed."""
    return installed(PACKAGE, tmp_path_factory.mktemp("powers"))


def test_an_installed_package_adds_a_layer(tmp_path: Path, model: Path, powers: Path) -> None:
    without = calocc(tmp_path, str(model))
    assert without.returncode == 1
    assert "layer 'y' (Square): this class of layer is not known" in without.stderr
    done = calocc(powers, str(model), "-o", str(tmp_path / "design"))
    assert done.returncode == 0, done.stderr

    from calocc.compiler.design import load

    x = np.arange(-16, 16).reshape(8, 4) / 8
    expected = np.clip(np.rint(0.5 * x * x * 8) / 8, -4, 3.875)
    assert np.array_equal(load(tmp_path / "design").predict(x), expected)


def test_two_packages_with_one_layer_clash(tmp_path: Path, model: Path, powers: Path) -> None:
    place = Path(shutil.copytree(powers, tmp_path / "site"))
    source = Path(shutil.copytree(PACKAGE, tmp_path / "source"))
    other = source / "calocc_powers"
    other.rename(source / "other_powers")
    text = (source / "pyproject.toml").read_text()
    text = text.replace("calocc_powers", "other_powers").replace("calocc-powers", "other-powers")
    (source / "pyproject.toml").write_text(text)
    install(source, place)
    done = calocc(place, str(model))
    assert done.returncode == 1
    assert "class 'Square': both" in done.stderr
    assert "calocc_powers" in done.stderr
    assert "other_powers" in done.stderr


def test_a_broken_package_is_named(tmp_path: Path, model: Path, powers: Path) -> None:
    place = Path(shutil.copytree(powers, tmp_path / "site"))
    (place / "calocc_powers" / "__init__.py").write_text("import nothing_of_that_name\n")
    done = calocc(place, str(model))
    assert done.returncode == 1
    assert "plug-in 'powers' (calocc_powers)" in done.stderr
    assert "Traceback" not in done.stderr


# The complete plug-in: a layer, its ops and kernel, a pass, a target, a device.

COMPLETE = PACKAGE.with_name("plugin")
ROWS, CHANNELS = 6, 4


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place where it is installed."""
    return installed(COMPLETE, tmp_path_factory.mktemp("complete"))


def running_model(path: Path, *, last: bool) -> Path:
    """q -> RunningSum -> q; or of the last row only"""
    crop = [entry("crop", "Cropping1D", cropping=[ROWS - 1, 0])] if last else []
    layers = [
        entry("x", "InputLayer", batch_input_shape=[None, ROWS, CHANNELS]),
        entry("q", "QActivation", activation=FORMAT),
        entry("run", "RunningSum"),
        *crop,
        entry("out", "QActivation", activation="quantized_bits(8,4,alpha=1)"),
    ]
    return write_model(path, sequential(*layers), {})


AGREES = """
import json, sys
import numpy as np
import calocc
for level in range(4):
    design = calocc.compile(sys.argv[1], opt_level=level, target="lab-board")
    x = np.random.default_rng(level).integers(-40, 40, (64, {rows}, {channels})) / 8
    q = np.clip(np.rint(x * 8) / 8, -4, 3.875)
    y = np.cumsum(q, axis=1)[:, {first}:]
    expected = np.clip(np.rint(y * 8) / 8, -16, 15.875)
    assert np.array_equal(design.predict(x), expected), level
    if level % 2 == 0:
        assert np.array_equal(design.csim().predict(x), expected), level
print(json.dumps([op.name for op in design.module.walk()]))
"""


@pytest.mark.parametrize("last", [False, True], ids=["all-rows", "last-row"])
def test_a_complete_plugin_from_layer_to_kernel(complete: Path, tmp_path: Path, last: bool) -> None:
    model = running_model(tmp_path / "run.h5", last=last)
    code = AGREES.format(rows=ROWS, channels=CHANNELS, first=ROWS - 1 if last else 0)
    environment = {**os.environ, "PYTHONPATH": str(complete)}
    command = [sys.executable, "-c", code, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    # Its pass is in the pipeline: of the last row alone, no running sum is left.
    assert ("running.running_sum" in done.stdout) is not last


def test_its_passes_and_targets_are_known_to_calocc_opt(complete: Path, tmp_path: Path) -> None:
    model = running_model(tmp_path / "run.h5", last=True)
    listed = calocc(complete, "--list-passes", tool="opt_main")
    assert "keep-last-sum" in listed.stdout
    pipeline, keep = "hoist-quantize,lower-to-fixed,dce", "canonicalize,keep-last-sum,dce"
    text = calocc(complete, str(model), "-p", f"{pipeline},{keep}", tool="opt_main")
    assert "qnn.pool" in text.stdout, text.stderr
    assert "running.sum" not in text.stdout
    graph = f"{pipeline},partition-streams"
    shown = calocc(complete, str(model), "-p", graph, "-t", "process-graph", tool="opt_main")
    assert shown.stdout.startswith("digraph {"), shown.stderr
    assert "->" in shown.stdout


def test_a_place_that_no_pipeline_has_is_refused(tmp_path: Path, complete: Path) -> None:
    place = Path(shutil.copytree(complete, tmp_path / "site"))
    module = place / "calocc_running" / "universe.py"
    module.write_text(module.read_text().replace('after="canonicalize"', 'after="nothing"'))
    done = calocc(place, str(running_model(tmp_path / "run.h5", last=False)))
    assert done.returncode == 1
    assert "no pipeline has the pass 'nothing'" in done.stderr


def test_a_missing_kernel_is_named(tmp_path: Path, complete: Path) -> None:
    place = Path(shutil.copytree(complete, tmp_path / "site"))
    (place / "calocc_running" / "kernels" / "calocc_running_sum.h").unlink()
    design = tmp_path / "design"
    model = running_model(tmp_path / "run.h5", last=False)
    done = calocc(place, str(model), "-o", str(design))
    assert done.returncode == 1
    assert "kernel calocc_running_sum.h: no package brings this header" in done.stderr
    assert not design.exists()


def test_a_wrong_pass_is_found_as_the_page_on_fuzzing_shows(tmp_path: Path) -> None:
    """What is drawn changes with the fuzzer: only the pass and the commands have to be the same."""
    place = installed(ROOT / "examples" / "plugin_broken", tmp_path)
    page = (ROOT / "docs" / "fuzzing.md").read_text().splitlines()
    command = next(line for line in page if line.startswith("calocc-fuzz --random --examples 1"))
    found = calocc(place, *command.split()[1:], tool="fuzz_main")
    assert "bits after cheap-casts" in found.stdout, found.stderr
    replay, opt = (
        shlex.split(line)[1:] for line in found.stdout.splitlines() if line.startswith("  calocc-")
    )
    assert "bits after cheap-casts" in calocc(place, *replay, tool="fuzz_main").stdout
    blamed = calocc(place, *opt, tool="opt_main").stderr
    assert "error: pass cheap-casts: it changes" in blamed
    shutil.rmtree(place / "calocc_truncating-0.1.0.dist-info")
    without = calocc(place, *replay, tool="fuzz_main").stderr
    assert "there is no pass 'cheap-casts'" in without
