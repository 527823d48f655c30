"""Compiling C++ against the Xilinx `ap_types` simulation headers into shared libraries."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calocc.compiler.diagnostics import CaloccError

_ERROR_LINES = 5


@dataclass(eq=False)
class CompilerMissing(CaloccError):
    """There is no C++ compiler of this name."""

    name: str

    @property
    def where(self) -> str:
        return "C++ compiler"

    @property
    def what(self) -> str:
        return f"{self.name!r} is not on the PATH"

    @property
    def hint(self) -> str:
        return "install g++ (C++17), or name another compiler in the environment variable CXX"


@dataclass(eq=False)
class CompilerFailed(CaloccError):
    """The C++ compiler rejected a source file; `errors` are its first error lines."""

    source: str
    errors: tuple[str, ...]

    @property
    def where(self) -> str:
        return self.source

    @property
    def what(self) -> str:
        return "the C++ compiler failed:\n    " + "\n    ".join(self.errors)

    @property
    def hint(self) -> str:
        return "compile the file by hand to see all messages"


@dataclass(eq=False)
class ApTypesMissing(CaloccError):
    """The `ap_types` headers are not where the hls4ml package keeps them."""

    searched: str

    @property
    def where(self) -> str:
        return "ap_types headers"

    @property
    def what(self) -> str:
        return f"no ap_fixed.h in {self.searched}"

    @property
    def hint(self) -> str:
        return "install hls4ml, which ships the headers: pip install hls4ml==1.3.0"


def ap_types_dir() -> Path:
    """The include directory with `ap_fixed.h`; found without importing hls4ml.

    Raises ApTypesMissing.
    """
    spec = importlib.util.find_spec("hls4ml")
    if spec is None or not spec.submodule_search_locations:
        raise ApTypesMissing("the Python environment (hls4ml is not installed)")
    found = Path(spec.submodule_search_locations[0]) / "templates" / "vivado" / "ap_types"
    if not (found / "ap_fixed.h").is_file():
        raise ApTypesMissing(str(found))
    return found


def compile_shared(
    sources: Sequence[Path],
    output: Path,
    include_dirs: Sequence[Path] = (),
    flags: Sequence[str] = ("-O1",),
    libraries: Sequence[str] = (),
) -> None:
    """Compile `sources` as C++17 into the shared library `output`, linked with `libraries`.

    `output` appears complete or not at all, so that several processes may build it at once. The
    compiler is `g++` or what the environment variable CXX names. `-w` is not given: pass it in
    `flags` to silence the headers. Raises CompilerMissing or CompilerFailed.
    """
    compile_program(sources, output, include_dirs, ("-shared", "-fPIC", *flags), libraries)


def compile_program(
    sources: Sequence[Path],
    output: Path,
    include_dirs: Sequence[Path] = (),
    flags: Sequence[str] = ("-O1",),
    libraries: Sequence[str] = (),
) -> None:
    """Compile `sources` into a program, as `compile_shared` does into a library."""
    compiler = _compiler()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".build-") as scratch:
        built = Path(scratch) / output.name
        command = [compiler, "-std=c++17", *flags]
        command += [f"-I{directory}" for directory in include_dirs]
        command += [*map(str, sources), *libraries, "-o", str(built)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            names = ", ".join(source.name for source in sources)
            raise CompilerFailed(names, _first_errors(done.stderr))
        os.replace(built, output)


def _compiler() -> str:
    name = os.environ.get("CXX", "g++")
    found = shutil.which(name)
    if found is None:
        raise CompilerMissing(name)
    return found


def _first_errors(messages: str) -> tuple[str, ...]:
    """The lines that state errors, or the last lines if none is marked as one."""
    lines = [line.rstrip() for line in messages.splitlines() if line.strip()]
    marks = (": error:", ": fatal error:", "undefined reference")
    errors = [line for line in lines if any(mark in line for mark in marks)]
    return tuple(errors[:_ERROR_LINES] or lines[-_ERROR_LINES:] or ["(no message)"])
