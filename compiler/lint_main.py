"""`calocc-lint`: what Vitis HLS would refuse in a written project, found without it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calocc.codegen.vitis.lint.lint import Finding, lint
from calocc.codegen.vitis.lint.rules import RULES
from calocc.compiler.design import NotADesign
from calocc.compiler.diagnostics import CaloccError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("calocc-lint", description=__doc__)
    parser.add_argument("directory", metavar="DIR", type=Path, nargs="?", help="a written project")
    parser.add_argument("--rules", action="store_true", help="show the rules and where AMD says so")
    parser.add_argument("--json", action="store_true", help="print findings as JSON")
    return parser


def findings_in(directory: Path) -> list[Finding]:
    """The findings in a project of calocc, whose C++ may have been changed; raise NotADesign."""
    try:
        name = str(json.loads((directory / "report.json").read_text())["name"])
    except OSError as error:
        raise NotADesign(str(directory), f"it holds no design: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise NotADesign(str(directory), "its report.json is damaged") from None
    if not (directory / f"firmware/{name}.cpp").is_file():
        raise NotADesign(str(directory), "it holds no C++ sources")
    return lint(directory, name)


def _rules() -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("rule", no_wrap=True)
    for column in ("demand", "source"):
        table.add_column(column, overflow="fold")
    for rule in RULES.values():
        table.add_row(rule.name, rule.demand, rule.source)
    return table


def _show(console: Console, findings: list[Finding]) -> None:
    for finding in findings:
        place = f"{finding.file}:{finding.line}"
        text = f"[bold]{escape(place)}[/]: {finding.rule}: {escape(finding.problem)}"
        console.print(f"{text}\n  {escape(finding.source)}", soft_wrap=True, highlight=False)
    console.print(f"{len(findings)} findings under {len(RULES)} rules")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `calocc-lint`; exit with 1 if there are findings, or the directory holds no project."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    console = Console()
    if parsed.rules:
        console.print(_rules())
        return
    if parsed.directory is None:
        parser.error("name a project")
    try:
        findings = findings_in(parsed.directory)
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    if parsed.json:
        print(json.dumps([finding.row() for finding in findings], indent=2))
    else:
        _show(console, findings)
    sys.exit(1 if findings else 0)
