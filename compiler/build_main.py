"""`calocc-build`: run what is installed on a written project, and say what is missing."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from calocc.compiler.devices import Device, load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.manifest import verify

HLS = ("vitis-run", "vitis_hls")
"""What runs the Tcl script: of Vitis since 2023.1, and before."""
OPTIONS = {"csynth": "synth", "cosim": "cosim", "export": "export", "vsynth": "vsynth"}
"""The steps of build_prj.tcl, and what build_opt.tcl calls them."""
NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "csim": (("make",), (os.environ.get("CXX", "g++"),)),
    "csynth": (HLS,),
    "cosim": (HLS,),
    "export": (HLS,),
    "vsynth": (HLS, ("vivado",)),
    "xo": (("make",), ("v++",)),
    "xclbin": (("make",), ("v++",)),
    "host": (("make",), (os.environ.get("CXX", "g++"),)),
}
"""The steps, and the programs each needs: of each group one."""
USUAL = ("csim", "csynth", "cosim", "export", "xclbin")
_LAST_LINES = 5


@dataclass(frozen=True)
class Outcome:
    """What became of a step: `done`, `failed` or `missing`."""

    step: str
    state: str
    seconds: float
    note: str


@dataclass(frozen=True)
class Build:
    """A project and what to build of it."""

    directory: Path
    report: Mapping[str, Any]
    target: str
    units: int
    platform: str | None

    @property
    def _device(self) -> Device:
        return load_device(self.report["target"])

    def run(self, step: str) -> Outcome:
        """Run one step; what it prints goes to `build/STEP.log`."""
        for programs in NEEDS[step]:
            if not any(map(shutil.which, programs)):
                return Outcome(step, "missing", 0, f"{' or '.join(programs)} is not on the PATH")
        if step in ("xo", "xclbin") and not (self.platform or self._device.platform):
            note = f"{self._device.name} is no card that calocc knows a platform of: --platform"
            return Outcome(step, "missing", 0, note)
        command = self.command(step)
        log = self.directory / "build" / f"{step}.log"
        log.parent.mkdir(exist_ok=True)
        started = perf_counter()
        with log.open("w") as file:
            code = subprocess.run(
                command, cwd=self.directory, stdout=file, stderr=subprocess.STDOUT, check=False
            ).returncode
        seconds = perf_counter() - started
        if code == 0:
            return Outcome(step, "done", seconds, " ".join(command))
        last = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return Outcome(step, "failed", seconds, "\n".join([f"exit code {code}, see {log}", *last]))

    def command(self, step: str) -> list[str]:
        """What runs a step; for the Tcl script its choice of steps is written too."""
        if step in OPTIONS:
            self._choose(step)
            if shutil.which("vitis-run"):
                return ["vitis-run", "--mode", "hls", "--tcl", "build_prj.tcl"]
            return ["vitis_hls", "-f", "build_prj.tcl"]
        command = ["make", "-s", step]
        if step in ("xo", "xclbin"):
            command += [f"TARGET={self.target}", f"CUS={self.units}"]
            command += [f"PLATFORM={self.platform}"] if self.platform else []
        return command

    def _choose(self, step: str) -> None:
        """Let build_opt.tcl name this step alone; the first one begins a new project."""
        path = self.directory / "build_opt.tcl"
        names = [line.split()[0] for line in path.read_text().splitlines() if line[:1] == " "]
        chosen = {OPTIONS[step], *(("reset",) if step == "csynth" else ())}
        lines = [f"    {name:<10} {int(name in chosen)}\n" for name in names]
        path.write_text("array set opt {\n" + "".join(lines) + "}\n")


def synthesized(directory: Path, name: str) -> dict[str, float] | None:
    """Latency, interval, clock period and resources of a csynth report; None if there is none."""
    path = directory / f"{name}_prj/solution1/syn/report/{name}_csynth.xml"
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    places = {
        "latency_cycles": ".//SummaryOfOverallLatency/Worst-caseLatency",
        "interval_cycles": ".//SummaryOfOverallLatency/Interval-max",
        "clock_ns": ".//SummaryOfTimingAnalysis/EstimatedClockPeriod",
        "dsp": ".//AreaEstimates/Resources/DSP",
        "bram18": ".//AreaEstimates/Resources/BRAM_18K",
        "uram": ".//AreaEstimates/Resources/URAM",
        "lut": ".//AreaEstimates/Resources/LUT",
        "ff": ".//AreaEstimates/Resources/FF",
    }
    texts = {key: root.findtext(place) for key, place in places.items()}
    return {key: float(text) for key, text in texts.items() if text and text[0].isdigit()}


def estimated(report: Mapping[str, Any]) -> dict[str, float]:
    """The same of calocc's own report."""
    used = {name: row["used"] for name, row in report["resources"].items()}
    head = {key: report[key] for key in ("latency_cycles", "interval_cycles")}
    return {**head, "clock_ns": 1000 / report["clock_mhz"], **used}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("calocc-build", description=__doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", type=Path, help="a directory that calocc has written")
    text = f"of {', '.join(NEEDS)}; by default {', '.join(USUAL)}, as far as is installed"
    add("steps", metavar="STEP", nargs="*", help=text)
    add("--hw-emu", action="store_true", help="build the xclbin for emulation")
    add("--units", type=int, default=1, help="compute units of the xclbin (default %(default)s)")
    add("--platform", help="another Vitis platform than that of the device")
    add("--json", action="store_true", help="print JSON instead of tables")
    return parser


def run(arguments: argparse.Namespace) -> list[Outcome]:
    """Run the steps in order until one fails; raise CaloccError."""
    verify_project(arguments.directory)
    report = json.loads((arguments.directory / "report.json").read_text())
    target = "hw_emu" if arguments.hw_emu else "hw"
    build = Build(
        arguments.directory.absolute(), report, target, arguments.units, arguments.platform
    )
    outcomes: list[Outcome] = []
    for step in arguments.steps or USUAL:
        outcomes.append(build.run(step))
        if outcomes[-1].state == "failed":
            break
    return outcomes


def verify_project(directory: Path) -> None:
    """Raise NotADesign or Damaged for what calocc has not written."""
    from calocc.compiler.design import NotADesign

    try:
        verify(directory)
    except OSError as error:
        raise NotADesign(str(directory), f"it holds no design: {error.strerror}") from None


def succeeded(outcomes: Sequence[Outcome], asked: Sequence[str]) -> bool:
    """Whether nothing failed and nothing that was asked for is missing."""
    return all(
        o.state == "done" or (o.state == "missing" and o.step not in asked) for o in outcomes
    )


def print_tables(console: Console, outcomes: Sequence[Outcome], directory: Path) -> None:
    """What became of the steps; and of a synthesis, what it says beside what calocc has said."""
    table = Table("step", "result", "seconds", "", title=str(directory))
    for o in outcomes:
        colour = {"done": "green", "failed": "red", "missing": "yellow"}[o.state]
        table.add_row(o.step, f"[{colour}]{o.state}[/]", f"{o.seconds:.1f}", o.note)
    console.print(table)
    report = json.loads((directory / "report.json").read_text())
    found = synthesized(directory, report["name"])
    if found is not None:
        expected = estimated(report)
        table = Table("", "calocc", "csynth", title="synthesis")
        for key, value in found.items():
            table.add_row(key, f"{expected[key]:g}", f"{value:g}")
        console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `calocc-build`; exit with 1 if a step fails, or is asked for and cannot be run."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    for step in parsed.steps:
        if step not in NEEDS:
            parser.error(f"there is no step {step}; there are {', '.join(NEEDS)}")
    try:
        outcomes = run(parsed)
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    if parsed.json:
        print(json.dumps([vars(o) for o in outcomes], indent=2))
    else:
        print_tables(Console(), outcomes, parsed.directory)
    if not succeeded(outcomes, parsed.steps):
        sys.exit(1)
