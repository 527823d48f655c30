"""Writing a project: all of it or nothing, and never over somebody else's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from project_designs import FixedNetwork

from calocc.codegen.vitis.project import CannotWrite, OccupiedDirectory, Project
from calocc.compiler.design import Design, load
from calocc.dialects.qnn.dense import DenseOp


def design(seed: int = 0) -> Design:
    """A dense layer."""
    net = FixedNetwork(((4,), "fixed<6,2>"), seed=seed)
    (x,) = net.block.args
    sums = net.add(DenseOp(x, net.constant((4, 3), "fixed<5,2>"), layer="dense"))
    return net.design("small", [sums])


def contents(directory: Path) -> dict[str, bytes]:
    """All files below a directory."""
    files = (f for f in directory.rglob("*") if f.is_file())
    return {str(f.relative_to(directory)): f.read_bytes() for f in files}


def test_replaces_a_project(tmp_path: Path) -> None:
    target = design(1).write(tmp_path / "deep" / "project")
    before = contents(target)
    assert design(2).write(target) == target
    assert contents(target) != before
    assert contents(target).keys() == before.keys()
    assert [f.name for f in target.parent.iterdir()] == ["project"]
    assert load(target).name == "small"


def test_takes_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (design().write(tmp_path / "empty") / "model.mlir").is_file()


@pytest.mark.parametrize("name", ["thesis.tex", "model.mlir", "report.json"])
def test_refuses_a_foreign_directory(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("years of work")
    with pytest.raises(OccupiedDirectory):
        design().write(tmp_path / "mine")
    assert contents(tmp_path) == {f"mine/{name}": b"years of work"}


def test_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("years of work")
    with pytest.raises(OccupiedDirectory):
        design().write(tmp_path / "mine")
    assert contents(tmp_path) == {"mine": b"years of work"}


@pytest.mark.parametrize("cause", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("step", ["_write_sources", "_write_build_files", "_text"])
def test_an_interruption_leaves_nothing(
    step: str, cause: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise cause

    monkeypatch.setattr(Project, step, stop)
    with pytest.raises(cause):
        design().write(tmp_path / "project")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_the_old_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(design(1).write(tmp_path / "project"))

    def stop(_: Project) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Project, "_write_test_data", stop)
    with pytest.raises(KeyboardInterrupt):
        design(2).write(tmp_path / "project")
    assert contents(tmp_path / "project") == before
    assert [f.name for f in tmp_path.iterdir()] == ["project"]


def test_a_failed_exchange_brings_the_old_project_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(design(1).write(tmp_path / "project"))
    rename = Path.rename

    def fail_for_the_draft(self: Path, target: Path) -> Path:
        if target.name == "project" and self.name == "project":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_draft)
    with pytest.raises(CannotWrite, match="No space left on device"):
        design(2).write(tmp_path / "project")
    assert contents(tmp_path / "project") == before
    assert [f.name for f in tmp_path.iterdir()] == ["project"]


def test_an_impossible_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="cannot be written"):
        design().write(tmp_path / "file" / "project")
