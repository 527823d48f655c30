"""The generated C++ as a library: the same `predict` as the emulator's, through g++."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.data import Inputs, arrays_for
from calocc.compiler.design import Design, NotADesign, Prediction
from calocc.compiler.network import processes_of
from calocc.compiler.ports import main_function
from calocc.runtime.gxx import compile_shared

FLAGS = (
    "-O1",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-fno-exceptions",
    "-w",
    "-DNDEBUG",
    "-fno-gnu-unique",
)
"""What takes g++ least time for the sake of fast events. DeepCalo runs as fast as with -O2, which
takes longer to build; without vectors it is half as fast. Nothing throws, so that nothing need be
unwound.

ap_types asserts that no assignment drops more bits than there are: hence NDEBUG. Unique symbols
would share the constants of two libraries that one process loads. Warnings would go unread."""


COUNT = "-DCALOCC_COUNT"
"""Lets a library count the iterations of its loops."""


@dataclass(eq=False)
class Csim:
    """A built simulation library; events run one after the other."""

    design: Design
    library: Path
    _keep: tempfile.TemporaryDirectory[str] | None = None
    _loaded: ctypes.CDLL = field(init=False)
    _function: Any = field(init=False)

    def __post_init__(self) -> None:
        self._loaded = ctypes.CDLL(str(self.library))
        self._function = getattr(self._loaded, f"{self.design.name}_double")

    def predict(self, x: Inputs) -> Prediction:
        """Run events through the C++; arguments and result are those of `Design.predict`."""
        arrays = [np.ascontiguousarray(a) for a in arrays_for(self.design.inputs, x)]
        events = len(arrays[0])
        results = [np.empty((events, *p.shape)) for p in self.design.outputs]
        for k in range(events):
            self._function(*(_pointer(a[k]) for a in (*arrays, *results)))
        return results[0] if len(results) == 1 else results

    def iterations(self) -> list[int]:
        """How often the loop of each process has run so far, in the order of the design.

        Raises AttributeError unless the library was built to count.
        """
        counts = (ctypes.c_ulong * len(processes_of(main_function(self.design.module))))()
        getattr(self._loaded, f"{self.design.name}_iterations")(counts)
        return list(counts)


def _pointer(array: NDArray[np.float64]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


def build_csim(design: Design, flags: Sequence[str] = ()) -> Csim:
    """Write the project to a temporary directory and build it there; raise CompilerFailed.

    With the flag `COUNT` loops count their iterations.
    """
    place = tempfile.TemporaryDirectory(prefix=f"calocc_{design.name}_")
    directory = design.write(Path(place.name) / "project")
    return Csim(design, build_library(directory, design.name, flags), place)


def open_csim(directory: Path, design: Design) -> Csim:
    """The simulation library of a written project, built if it is not there yet."""
    return Csim(design, build_library(directory.absolute(), design.name))


def build_library(directory: Path, name: str, flags: Sequence[str] = ()) -> Path:
    """Build the library of a project unless it is newer than its sources.

    `flags` of g++ come after the usual ones.
    """
    return _build(directory, name, f"{name}_bridge.cpp", f"{name}-csim.so", flags)


def build_kernel(directory: Path, name: str) -> Path:
    """Build the library that the host loads in the place of a card, unless it is up to date."""
    return _build(directory, name, f"kernel/{name}_kernel.cpp", f"{name}-kernel.so")


def _build(directory: Path, name: str, file: str, output: str, flags: Sequence[str] = ()) -> Path:
    firmware = directory / "firmware"
    top, around = firmware / f"{name}.cpp", directory / file
    if not (top.is_file() and around.is_file()):
        raise NotADesign(str(directory), "it holds no C++ sources")
    library = firmware / output
    headers = (firmware.glob("*.h"), (firmware / "nnet_utils").glob("*.h"))
    newest = max(f.stat().st_mtime for f in (top, around, *chain(*headers)))
    if not library.is_file() or library.stat().st_mtime < newest:
        places = (f"-isystem{firmware / 'ap_types'}", f'-DWEIGHTS_DIR="{firmware / "weights"}"')
        # One translation unit: the headers, most of what there is to parse, are read once.
        together = ("-include", str(top))
        compile_shared([around], library, [firmware], (*FLAGS, *flags, *places, *together))
    return library
