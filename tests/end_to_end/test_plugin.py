"""A package that teaches calocc a layer, installed as a user would install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hdf5_models import entry, sequential, write_model

PACKAGE = Path(__file__).parents[2] / "examples" / "plugin_layer"
FORMAT = "quantized_bits(6,2,alpha=1)"


def install(source: Path, target: Path) -> None:
    """`pip install` into a directory of its own."""
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(source)]
    subprocess.run(pip, check=True, capture_output=True, text=True)


def calocc(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the compiler with the packages of `place`."""
    code = "from calocc.compiler.main import main; main()"
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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy, as building leaves files behind."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "source"))


def test_an_installed_package_adds_a_layer(tmp_path: Path, model: Path, source: Path) -> None:
    place = tmp_path / "site"
    place.mkdir()
    without = calocc(place, str(model))
    assert without.returncode == 1
    assert "layer 'y' (Square): this class of layer is not known" in without.stderr
    install(source, place)
    done = calocc(place, str(model), "-o", str(tmp_path / "design"))
    assert done.returncode == 0, done.stderr

    from calocc.compiler.design import load

    x = np.arange(-16, 16).reshape(8, 4) / 8
    expected = np.clip(np.rint(0.5 * x * x * 8) / 8, -4, 3.875)
    assert np.array_equal(load(tmp_path / "design").predict(x), expected)


def test_two_packages_with_one_layer_clash(tmp_path: Path, model: Path, source: Path) -> None:
    place = tmp_path / "site"
    install(source, place)
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


def test_a_broken_package_is_named(tmp_path: Path, model: Path, source: Path) -> None:
    (source / "calocc_powers" / "__init__.py").write_text("import nothing_of_that_name\n")
    install(source, tmp_path / "site")
    done = calocc(tmp_path / "site", str(model))
    assert done.returncode == 1
    assert "plug-in 'powers' (calocc_powers)" in done.stderr
    assert "Traceback" not in done.stderr
