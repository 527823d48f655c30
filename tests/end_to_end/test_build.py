"""`calocc-build` with what is installed: g++, and programs that only note how they are called."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from project_designs import FixedNetwork

from calocc.compiler.build_main import main
from calocc.compiler.design import Design
from calocc.dialects.qnn.dense import DenseOp

REPORT = """<profile><PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>2.9
</EstimatedClockPeriod></SummaryOfTimingAnalysis><SummaryOfOverallLatency><Worst-caseLatency>4321
</Worst-caseLatency><Interval-max>undef</Interval-max></SummaryOfOverallLatency>
</PerformanceEstimates><AreaEstimates><Resources><DSP>765</DSP></Resources></AreaEstimates>
</profile>"""
FAKE = """#!/bin/bash
echo "$(basename "$0") $*" >> "{calls}"
if [ -e build_opt.tcl ]; then grep -v '^[}} ]*0$' build_opt.tcl | grep ' 1$' >> "{calls}"; fi
for word in "$@"; do
    if [ "$previous" = -o ]; then mkdir -p "$(dirname "$word")"; echo made > "$word"; fi
    if [ "$word" = small_kernel.cfg ]; then echo made > build/small_kernel.xo; fi
    previous=$word
done
exit {code}
"""


def small() -> Design:
    """A dense layer."""
    net = FixedNetwork(((4,), "fixed<6,2>"))
    (x,) = net.block.args
    sums = net.add(DenseOp(x, net.constant((4, 3), "fixed<5,2>"), layer="dense"))
    return net.design("small", [sums])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small().write(tmp_path / "small")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without anything of Vitis: the usual tools and an empty directory."""
    place = tmp_path / "programs"
    place.mkdir()
    for name in "make g++ bash env mkdir test grep basename dirname as ld".split():
        found = shutil.which(name)
        assert found is not None
        (place / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(place))
    return place


def fake(programs: Path, name: str, code: int = 0) -> Path:
    """A program that notes its arguments and makes what -o names; returns where it notes them."""
    calls = programs / "calls.txt"
    (programs / name).write_text(FAKE.format(calls=calls, code=code))
    (programs / name).chmod(0o755)
    return calls


def build(*arguments: object) -> int:
    """The exit code."""
    try:
        main(list(map(str, arguments)))
    except SystemExit as stop:
        return int(str(stop.code))
    return 0


def test_without_vitis_csim_runs_and_the_rest_is_said_to_be_missing(
    project: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(project, "--json") == 0
    rows = {row["step"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["csim", "csynth", "cosim", "export", "xclbin"]
    assert rows.pop("csim")["state"] == "done"
    assert {row["state"] for row in rows.values()} == {"missing"}
    assert rows["csynth"]["note"] == "vitis-run or vitis_hls is not on the PATH"
    assert rows["xclbin"]["note"] == "v++ is not on the PATH"
    assert build(project, "xclbin") == 1
    assert "v++ is not on the PATH" in capsys.readouterr().out
    assert programs.is_dir()


def test_steps_of_vitis_are_called_one_by_one(
    project: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake(programs, "vitis-run")
    fake(programs, "v++")
    assert build(project, "csynth", "cosim", "export", "xclbin", "--units", "2") == 0
    platform = "--platform xilinx_u50_gen3x16_xdma_5_202210_1"
    hls = "vitis-run --mode hls --tcl build_prj.tcl"
    lines = [" ".join(line.split()) for line in calls.read_text().splitlines()]
    marks = [line for line in lines if not line.startswith("export 1") or "v++" not in line]
    assert marks[:7] == [hls, "reset 1", "synth 1", hls, "cosim 1", hls, "export 1"]
    compile, link, package = [line for line in lines if line.startswith("v++")]
    assert (
        compile
        == f"v++ -c --mode hls {platform} --config small_kernel.cfg --work_dir build/small_kernel"
    )
    for words in (
        f"v++ -l -t hw {platform}",
        "kernel/connectivity_2.cfg",
        "-o build/small.hw.link.xclbin",
    ):
        assert words in link
    assert package.startswith(f"v++ -p -t hw {platform}")
    assert (project / "build/small.hw.xclbin").is_file()
    assert "csynth" in capsys.readouterr().out


def test_a_failing_step_ends_the_build(
    project: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake(programs, "vitis-run", code=3)
    assert build(project, "csynth", "cosim", "--json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"] == "failed"
    assert "exit code 3" in row["note"]
    assert calls.read_text().count("vitis-run") == 1


def test_a_wrong_vector_fails_csim(
    project: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a project whose manifest has been written anew: else it would be refused."""
    from calocc.compiler.manifest import write_manifest

    path = project / "tb_data/tb_output_predictions.dat"
    first, rest = path.read_text().split(" ", 1)
    path.write_text(f"{float(first) + 1} {rest}")
    assert build(project, "csim") == 1
    assert "checksum" in capsys.readouterr().err
    write_manifest(project, {})
    assert build(project, "csim") == 1
    assert "1 of 4 events differ" in capsys.readouterr().out
    assert programs.is_dir()


def test_a_synthesis_is_shown_beside_the_estimate(
    project: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(programs, "vitis_hls")
    report = project / "small_prj/solution1/syn/report/small_csynth.xml"
    report.parent.mkdir(parents=True)
    report.write_text(REPORT)
    assert build(project, "csynth") == 0
    shown = capsys.readouterr().out
    for word in ("4321", "765", "2.9", "latency_cycles"):
        assert word in shown
    assert "interval_cycles" not in shown


def test_what_is_no_project_and_what_is_no_step(
    tmp_path: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path / "nothing") == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert build(project, "bitstream") == 2
    assert os.fspath(project)
