"""Runs the `// RUN:` lines of `*.mlir` files inside pytest.

A line is a pipe of `calocc-opt` commands that ends in `filecheck`, as in
`// RUN: calocc-opt %s -p cse | filecheck %s`; `not` before a command expects it to fail. `lit`
runs the same lines as processes (see `lit.cfg.py`); here no process is started.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Generator, Iterable
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import parse_argv_options
from filecheck.parser import Parser

from calocc.compiler import opt_main

_RUN = re.compile(r"^\s*//\s*RUN:\s*(.*?)\s*$", re.MULTILINE)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take every `.mlir` file."""
    if file_path.suffix != ".mlir":
        return None
    return MlirFile.from_parent(parent, path=file_path)  # pyright: ignore[reportUnknownMemberType]


class MlirFile(pytest.File):
    """A file with RUN lines."""

    def collect(self) -> Iterable[pytest.Item]:
        """One test per RUN line."""
        lines: list[str] = _RUN.findall(self.path.read_text())
        if not lines:
            raise self.CollectError(f"{self.path} has no RUN line")
        for k, line in enumerate(lines):
            item: Any = RunLine.from_parent(  # pyright: ignore[reportUnknownMemberType]
                self, name=f"{self.path.stem}-{k}", line=line
            )
            yield item


class RunLine(pytest.Item):
    """One RUN line."""

    def __init__(self, line: str, **arguments: Any):
        super().__init__(**arguments)  # pyright: ignore[reportUnknownMemberType]
        self.line = line

    def runtest(self) -> None:
        """Run the pipe; raise Mismatch unless every command ends as expected."""
        text = b""
        for command in self.line.split("|"):
            words = shlex.split(command.replace("%s", str(self.path)))
            words = [word for word in words if word != "2>&1"]
            text = _command(words, text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The report of filecheck is all there is to see."""
        if isinstance(excinfo.value, Mismatch):
            return f"RUN: {self.line}\n{excinfo.value}"
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[os.PathLike[str], int | None, str]:
        """Where the line stands."""
        return self.path, None, f"{self.path.name}: {self.line}"


class Mismatch(Exception):
    """A command of a RUN line did not do what it should."""


def _command(words: list[str], text: bytes) -> bytes:
    """Run one command on its standard input; return what it writes."""
    match words:
        case ["filecheck", *arguments]:
            _filecheck(arguments, text.decode())
            return b""
        case ["not", "calocc-opt", *arguments]:
            return _opt(arguments, text, failing=True)
        case ["calocc-opt", *arguments]:
            return _opt(arguments, text, failing=False)
        case _:
            raise Mismatch(f"not a command of a RUN line: {words}")


def _opt(arguments: list[str], text: bytes, failing: bool) -> bytes:
    output, failed = io.StringIO(), False
    with redirect_stdout(output), redirect_stderr(output), _stdin(text):
        try:
            opt_main.main(arguments)
        except SystemExit as end:
            failed = bool(end.code)
    if failed is not failing:
        raise Mismatch(f"calocc-opt {'failed' if failed else 'did not fail'}:\n{output.getvalue()}")
    return output.getvalue().encode()


@contextmanager
def _stdin(text: bytes) -> Generator[None]:
    with patch("sys.stdin", io.TextIOWrapper(io.BytesIO(text))):
        yield


def _filecheck(arguments: list[str], text: str) -> None:
    report = io.StringIO()
    with redirect_stderr(report), redirect_stdout(report):
        options = parse_argv_options(["filecheck", *arguments])
        failed = Matcher(options, FInput("stdin", text), Parser.from_opts(options)).run()
    if failed:
        raise Mismatch(f"{report.getvalue()}\n--- output ---\n{text}")
