"""`calocc-explore` as a user calls it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from calocc.compiler import explore_main
from calocc.compiler.compilation import compile
from calocc.compiler.exploration import evaluate
from calocc.compiler.explore_main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
JETS = EXAMPLES / "jets/jets.h5"
CALIBRATION = EXAMPLES / "jets/test_data.npz"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explored(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    """The rows that a run prints."""
    main([str(JETS), *options, "--json"])
    return json.loads(capsys.readouterr().out)


def test_points_are_what_calocc_compiles(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = explored(capsys, "--budget", "0.01", "0.1", "--packing", "on", "off")
    assert [(r["budget"], r["packing"]) for r in rows] == [
        (0.01, "on"), (0.01, "off"), (0.1, "on"), (0.1, "off"),
    ]  # fmt: skip
    report = compile(JETS, budget=0.1, packing=False).report
    assert rows[3]["latency_us"] == report["latency_us"]
    assert rows[3]["dsp"] == report["resources"]["dsp"]["used"]
    assert rows[3]["error"] == report["outputs"][0]["certified_bound"]
    assert any(row["pareto"] for row in rows)


def test_a_second_run_does_only_what_is_missing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[float] = []

    def counted(key: str, point: Any, setup: Any) -> dict[str, Any]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(point.budget)
        return evaluate.evaluate(key, point, setup)

    monkeypatch.setattr("calocc.compiler.exploration.workers.evaluate", counted)
    grid = ("--budget", "0.01", "0.02", "0.1")
    with pytest.raises(SystemExit) as end:
        main([str(JETS), *grid])
    assert end.value.code == explore_main.INTERRUPTED
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.setattr("calocc.compiler.exploration.workers.evaluate", evaluate.evaluate)
    before = (here / "jets_explore.jsonl").read_text()
    rows = explored(capsys, *grid)
    after = (here / "jets_explore.jsonl").read_text()
    assert after.startswith(before)
    assert (before.count("\n"), after.count("\n"), len(rows)) == (2, 3, 3)
    explored(capsys, *grid)
    assert (here / "jets_explore.jsonl").read_text() == after


def test_failures_are_recorded_and_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(JETS), "--target", "alveo-u50", "pynq-z2", "--budget", "0.01", "--plot", "f.html"])
    shown = capsys.readouterr().out
    assert "failed target pynq-z2" in shown
    assert "in 1 % of it" in shown
    assert "1 of 1 designs are on the Pareto front" in shown
    page = (here / "f.html").read_text()
    assert page.count("<svg") == 1
    assert "src=" not in page


def test_a_bug_is_recorded_and_tried_again(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError("oh")

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "_figures", broken)
        (row,) = explored(capsys, "--budget", "0.1")
    assert "ZeroDivisionError: oh" in row["message"]
    (row,) = explored(capsys, "--budget", "0.1")
    assert "message" not in row


def test_roundings_are_measured_on_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--calibrate", str(CALIBRATION), "--budget", "0.1")
    own, cut = explored(capsys, *data, "--rounding", "model", "truncate,wrap")
    assert own["error"] < 1e-3 < cut["error"]


def test_two_processes_find_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ("--budget", "0.01", "0.1")
    alone = explored(capsys, *grid, "-o", "a.jsonl")
    together = explored(capsys, *grid, "-o", "b.jsonl", "--jobs", "2")
    for row in (*alone, *together):
        row.pop("seconds")
    assert alone == together


def test_a_cluster_finds_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    distributed: Any = importlib.import_module("distributed")
    grid = ("--budget", "0.01", "0.1")
    alone = explored(capsys, *grid, "-o", "a.jsonl")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ""}
    with distributed.LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        remote = explored(capsys, *grid, "-o", "b.jsonl", "--scheduler", address)
    for row in (*alone, *remote):
        row.pop("seconds")
    assert alone == remote


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--target", "alveo-u51"], "there is no device of this name"),
        (["--clock", "250", "0"], "option --clock: 0 is out of range"),
        (["--budget", "1.5"], "option --budget: 1.5 is out of range"),
        (["--rounding", "model", "truncate"], "without data nothing tells"),
        (["--weights-bits", "6", "8"], "without data nothing tells"),
        (["--rounding", "up"], "'up' is not a rounding or an overflow"),
        (["--plot", "front.pdf"], "option --plot front.pdf: .pdf is no format"),
        (["--calibrate", "nowhere.npz"], "nowhere.npz: it cannot be read"),
        (["-o", "missing/x.jsonl"], "missing/x.jsonl: it cannot be written"),
        (["--scheduler", "tcp://127.0.0.1:1"], "no scheduler answers"),
    ],
)
def test_what_cannot_be_explored_is_refused(
    options: list[str],
    problem: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("calocc.compiler.exploration.workers.CONNECT_SECONDS", 1)
    with pytest.raises(SystemExit) as end:
        main([str(JETS), *options])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert problem in error
    assert "hint:" in error
