"""What g++ says of the generated C++ with all warnings on: all examples, `-O0` to `-O3` of calocc.

Run from the root of the repository: `python -m benchmarks.strict`. The design, its bridge, both
kernels and both test benches are compiled with -Wall -Wextra -Werror; `--optimize` has g++ optimise
too, which takes minutes, while by default it only checks. The pragmas are for Vitis, and ap_types
reads numbers that have no value yet: those two warnings are off. Exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import calocc
from benchmarks.models import PATHS

FLAGS = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")
NOT_OURS = ("-Wno-uninitialized", "-Wno-maybe-uninitialized", "-isystemfirmware/ap_types")


def warnings(project: Path, name: str, optimize: bool) -> str:
    """What g++ says of all files of a project; nothing if it is content."""
    how = ("-O2", "-c", "-o", "/dev/null") if optimize else ("-fsyntax-only",)
    kernels = [f"kernel/{name}_{kind}.cpp" for kind in ("kernel", "stream")]
    units = [
        [f"firmware/{name}.cpp", f"{name}_bridge.cpp"],
        [f"{name}_test.cpp"],
        [f"kernel/{name}_kernel_test.cpp", *kernels],
    ]
    said = ""
    for unit in units:
        together = [part for file in unit[:-1] for part in ("-include", file)]
        command = ["g++", *FLAGS, *NOT_OURS, *how, "-I.", "-Ifirmware", *together, unit[-1]]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        said += done.stderr or ("g++ failed" if done.returncode else "")
    return said


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row as soon as it is known."""
    names = [path.stem for path in PATHS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(names)}")
    parser.add_argument("--levels", type=int, nargs="+", default=range(4), help="of calocc")
    parser.add_argument("--optimize", action="store_true", help="let g++ optimise (-O2)")
    options = parser.parse_args(arguments)
    said = ""
    for path in PATHS:
        for level in options.levels if path.stem in (options.models or names) else ():
            design = calocc.compile(path, opt_level=level)
            with tempfile.TemporaryDirectory() as place:
                project = design.write(Path(place) / "project")
                started = perf_counter()
                text = warnings(project, design.name, options.optimize)
            said += text
            found = "no warnings" if not text else f"{text.count(': error:')} warnings"
            seconds = perf_counter() - started
            print(f"{path.stem:<16} -O{level}  {seconds:6.1f} s of g++  {found}", flush=True)
    if said:
        print(said, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
