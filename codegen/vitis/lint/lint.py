"""Lint for synthesis of a written project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calocc.codegen.vitis.lint.checks import CHECKS, Check
from calocc.codegen.vitis.lint.kernel_checks import KERNEL_CHECKS
from calocc.codegen.vitis.lint.rules import RULES
from calocc.codegen.vitis.lint.syntax import Program, read_program
from calocc.compiler.diagnostics import CaloccError

KERNELS = ("kernel", "stream")
"""The kernels of a project, by the ends of their names."""
OF_KERNELS = {rule: check for rule, check in CHECKS.items() if rule != "static-bounds"}
"""What holds for kernels, too. Their loops run over as many events as the host says."""


@dataclass(frozen=True, order=True)
class Finding:
    """A place that breaks a rule."""

    file: str
    """Relative to the project."""
    line: int
    rule: str
    problem: str

    @property
    def source(self) -> str:
        """Where AMD states the rule."""
        return RULES[self.rule].source

    def row(self) -> dict[str, Any]:
        """As plain data."""
        place = {"file": self.file, "line": self.line}
        return {**place, "rule": self.rule, "problem": self.problem, "source": self.source}


@dataclass(eq=False)
class NotSynthesizable(CaloccError):
    """C++ that Vitis HLS would refuse or build badly."""

    finding: Finding
    count: int

    @property
    def where(self) -> str:
        return f"{self.finding.file}:{self.finding.line}"

    @property
    def what(self) -> str:
        more = f", and {self.count - 1} more places" if self.count > 1 else ""
        return f"{self.finding.problem} ({self.finding.rule}){more}"

    @property
    def hint(self) -> str:
        return f"see {self.finding.source}; if no kernel of yours is at fault, report this"


def require_synthesizable(project: Path, top: str) -> None:
    """Raise NotSynthesizable if anything is found in a project."""
    if findings := lint(project, top):
        raise NotSynthesizable(findings[0], len(findings))


def lint(project: Path, top: str) -> list[Finding]:
    """What Vitis HLS would refuse or build badly in the C++ of a project, in order of place.

    `top` is the name of its top function; `firmware/<top>.cpp` and what it includes are read, as
    they are for synthesis, then the kernels around it.
    """
    design = read_program(project / "firmware", top)
    found = _findings(project, design, CHECKS)
    for kind in KERNELS:
        if (project / f"kernel/{top}_{kind}.cpp").is_file():
            sources, known = tuple(design.sources)[:1], frozenset(design.sources)
            kernel = read_program(project / "kernel", f"{top}_{kind}", sources, known)
            found |= _findings(project, kernel, {**OF_KERNELS, **KERNEL_CHECKS})
    return sorted(found)


def _findings(project: Path, program: Program, checks: Mapping[str, Check]) -> set[Finding]:
    return {
        Finding(path.relative_to(project).as_posix(), node.start_point[0] + 1, rule, what)
        for rule, check in checks.items()
        for path, node, what in check(program)
        if path not in program.known
    }
