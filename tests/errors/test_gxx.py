"""Compiling C++: what comes out, and the errors a user can meet."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from calocc.runtime.gxx import (
    ApTypesMissing,
    CompilerFailed,
    CompilerMissing,
    ap_types_dir,
    compile_shared,
)


def source(directory: Path, text: str) -> Path:
    path = directory / "given.cpp"
    path.write_text(text)
    return path


def test_a_compiled_library_runs(tmp_path: Path) -> None:
    given = source(
        tmp_path,
        "#include <ap_int.h>\n"
        'extern "C" int f(int x) { ap_int<4> y = x; return y.to_int() + OFFSET; }\n',
    )
    output = tmp_path / "deep" / "given.so"
    compile_shared([given], output, [ap_types_dir()], ["-O0", "-w", "-DOFFSET=100"])
    assert ctypes.CDLL(str(output)).f(9) == 93
    assert [path.name for path in output.parent.iterdir()] == ["given.so"]


def test_the_first_errors_are_shown_and_nothing_is_left_behind(tmp_path: Path) -> None:
    given = source(tmp_path, "int f() { return a + b + c; }\nint g() { return d * e * h; }\n")
    output = tmp_path / "given.so"
    output.write_text("the previous library")
    with pytest.raises(CompilerFailed) as caught:
        compile_shared([given], output)
    lines = str(caught.value).splitlines()
    assert lines[0] == "error: given.cpp: the C++ compiler failed:"
    assert len(lines) == 7
    assert all("was not declared in this scope" in line for line in lines[1:6])
    assert lines[6] == "  hint: compile the file by hand to see all messages"
    assert output.read_text() == "the previous library"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.cpp", "given.so"]


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(CompilerMissing) as caught:
        compile_shared([source(tmp_path, "")], tmp_path / "given.so")
    assert str(caught.value) == (
        "error: C++ compiler: 'no-such-compiler' is not on the PATH\n"
        "  hint: install g++ (C++17), or name another compiler in the environment variable CXX"
    )


def test_missing_headers_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        assert name == "hls4ml"

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    with pytest.raises(ApTypesMissing) as caught:
        ap_types_dir()
    assert str(caught.value) == (
        "error: ap_types headers: no ap_fixed.h in the Python environment "
        "(hls4ml is not installed)\n"
        "  hint: install hls4ml, which ships the headers: pip install hls4ml==1.3.0"
    )


def test_the_headers_are_found_without_importing_hls4ml() -> None:
    program = (
        "import sys; from calocc.runtime.gxx import ap_types_dir; "
        "print((ap_types_dir() / 'ap_fixed.h').is_file(), 'hls4ml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "True False\n"
