"""A written project is the one that was written, wherever it is: checksums and provenance."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from example_models import JETS

import calocc
from calocc.compiler.design import NotADesign
from calocc.compiler.keras.reader import read_model
from calocc.compiler.manifest import CONFIG, Damaged, model_digest

X = JETS.data()[:5]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that stays as it is."""
    return calocc.compile(JETS.model, opt_level=1).write(tmp_path_factory.mktemp("one") / "jets")


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A copy of the project, in another place."""
    return shutil.copytree(original, tmp_path / "elsewhere" / "moved")


def covered(project: Path) -> list[str]:
    """The files whose checksums the manifest has."""
    return list(json.loads((project / "manifest.json").read_text())["files"])


def test_a_moved_project_loads_and_predicts(original: Path, project: Path) -> None:
    loaded = calocc.load(project)
    np.testing.assert_array_equal(loaded.predict(X), calocc.load(original).predict(X))
    again = loaded.write(project.parent / "again")
    for name in ["manifest.json", *covered(project)]:
        if name != CONFIG:
            assert (again / name).read_bytes() == (project / name).read_bytes(), name


def test_every_file_is_covered(project: Path) -> None:
    files = {str(f.relative_to(project)) for f in project.rglob("*") if f.is_file()}
    assert files - set(covered(project)) == {"manifest.json", "build_opt.tcl"}


def flip(path: Path) -> None:
    """One bit of a file's middle byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [flip, Path.unlink], ids=["flipped", "missing"])
def test_a_damaged_file_is_named(project: Path, damage: Callable[[Path], None]) -> None:
    for name in covered(project):
        data = (project / name).read_bytes()
        damage(project / name)
        with pytest.raises(Damaged) as caught:
            calocc.load(project)
        assert caught.value.file == name
        (project / name).write_bytes(data)
    assert calocc.load(project).name == "jets"


def test_what_builds_leave_behind_is_no_damage(project: Path) -> None:
    (project / "build_opt.tcl").write_text("array set opt { csim 0 }\n")
    (project / "firmware/jets-1234.so").write_bytes(b"library")
    lines = (project / CONFIG).read_text().splitlines(keepends=True)
    moved = [f"OutputDir: {project}\n" if x.startswith("OutputDir:") else x for x in lines]
    assert moved != lines
    (project / CONFIG).write_text("".join(moved))
    assert calocc.load(project).name == "jets"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": []}', '{"files": {"a": 1}}', '{"files": {"../a": "0"}}']
)
def test_a_damaged_manifest_is_named(project: Path, text: str) -> None:
    if text.startswith('{"files": {'):
        text = text.replace("{", '{"calocc": "0.1.0", ', 1)
    (project / "manifest.json").write_text(text)
    with pytest.raises(Damaged) as caught:
        calocc.load(project)
    assert caught.value.file == "manifest.json"


def test_a_directory_without_manifest_is_no_design(project: Path) -> None:
    (project / "manifest.json").unlink()
    with pytest.raises(NotADesign):
        calocc.load(project)


def test_the_manifest_tells_model_and_options(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", jets=X)
    formats, data = {"jets": "fixed<16,7>"}, str(tmp_path / "x.npz")
    design = calocc.compile(JETS.model, 0, "zcu102", inputs=formats, calibrate=data)
    manifest = json.loads((design.write(tmp_path / "jets") / "manifest.json").read_text())
    digest = model_digest(read_model(JETS.model))
    assert manifest["model"] == {"name": "jets.h5", "sha256": digest}
    options = manifest["options"]
    assert (options["opt_level"], options["target"], options["inputs"]) == (0, "zcu102", formats)
    assert options["calibrate"]["file"] == "x.npz"
    assert str(tmp_path) not in json.dumps(manifest)


def test_other_weights_have_another_digest() -> None:
    first, second = read_model(JETS.model), read_model(JETS.model)
    assert model_digest(first) == model_digest(second)
    kernel = second.layer("dense_1").weights["kernel"]
    changed = kernel.copy()
    changed[0, 0] += 1
    cast(dict[str, object], second.layer("dense_1").weights)["kernel"] = changed
    assert model_digest(first) != model_digest(second)
