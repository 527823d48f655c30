"""The C++ host library of a project: built with g++, called through its C interface."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.data import BadInput
from calocc.compiler.design import Design
from calocc.compiler.diagnostics import CaloccError
from calocc.runtime.csim import build_kernel
from calocc.runtime.deployment import HostOptions
from calocc.runtime.gxx import compile_shared

Reals = NDArray[np.float64]

FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fno-gnu-unique", "-pthread")
"""Scaling must round as numpy does: no multiply and add in one."""

HINTS = {
    1: "give finite numbers",
    2: "see whether `xbutil examine` shows the card, and choose it with device=",
    3: "build the image of this very design: calocc-build DIR xclbin",
    4: "see the log of the driver (dmesg), and reset the card with `xbutil reset`",
    5: "allow more with timeout=, or reset the card with `xbutil reset`",
    6: "see the log of the driver (dmesg), and reset the card with `xbutil reset`",
}
"""By `calocc_status`."""


@dataclass(eq=False)
class DeviceFailed(CaloccError):
    """A card, or its simulation, that does not do what it should; `status` as in calocc.h."""

    name: str
    on: str
    status: int
    problem: str

    @property
    def where(self) -> str:
        return f"design {self.name!r} on {self.on}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return HINTS.get(self.status, "this is a fault of the host library: please report it")


@dataclass(eq=False)
class XrtMissing(CaloccError):
    """The headers of XRT are not installed."""

    searched: str

    @property
    def where(self) -> str:
        return "XRT"

    @property
    def what(self) -> str:
        return f"there is no xrt/xrt_device.h in {self.searched}"

    @property
    def hint(self) -> str:
        return "install XRT (on Debian: apt-get install libxrt-dev), or set XILINX_XRT to its place"


class _Options(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_char_p),
        ("image", ctypes.c_char_p),
        ("device", ctypes.c_uint),
        ("units", ctypes.c_uint),
        ("batch", ctypes.c_uint),
        ("timeout_ms", ctypes.c_uint),
        ("retries", ctypes.c_uint),
    )


class _Statistics(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_ulonglong) for name in ("calls", "events", "runs", "retries"))


@dataclass
class Host:
    """An open model of a host library."""

    design: Design
    on: str
    library: Any
    model: int

    def predict(self, arrays: Sequence[Reals]) -> list[Reals]:
        """Run raw events; raise DeviceFailed."""
        events = len(arrays[0])
        results = [np.empty((events, *p.shape)) for p in self.design.outputs]
        status = self.library.calocc_predict(
            self.model, _pointers(arrays), _pointers(results), events
        )
        if status != 0:
            raise _failure(self.design, self.on, self.library)
        return results

    def retries(self) -> int:
        """Runs of the kernel that were repeated."""
        return int(self.library.calocc_count(self.model).retries)

    def close(self) -> None:
        """Let go of the device."""
        self.library.calocc_close(self.model)


def _pointers(arrays: Sequence[Reals]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))


def _failure(design: Design, on: str, library: Any) -> CaloccError:
    """The last failure in this thread."""
    status, text = library.calocc_last_status(), library.calocc_error().decode()
    if status == 1:
        return BadInput(design.inputs[0].name, text, HINTS[1])
    return DeviceFailed(design.name, on, status, text)


def open_host(directory: Path, design: Design, on: str, options: HostOptions) -> Host:
    """Build what is not built yet, and open the device; raise CaloccError."""
    library = load_library(build_host(directory, design.name, on))
    return open_model(library, design, on, given_options(directory, design.name, on, options))


def given_options(directory: Path, name: str, on: str, options: HostOptions) -> _Options:
    """The options as C takes them."""
    if on == "csim":
        image = build_kernel(directory, name)
    else:
        image = options.image or directory / "build" / f"{name}.hw.xclbin"
    return _Options(
        on.encode(),
        os.fsencode(image),
        options.device,
        options.units,
        options.batch,
        round(1000 * options.timeout),
        options.retries,
    )


def open_model(library: Any, design: Design, on: str, options: _Options) -> Host:
    """Open the device; raise DeviceFailed."""
    model = library.calocc_open(ctypes.byref(options))
    if not model:
        raise _failure(design, on, library)
    return Host(design, on, library, model)


def load_library(path: Path) -> Any:
    """Load a host library and say what its functions take."""
    library = ctypes.CDLL(str(path))
    library.calocc_open.restype = ctypes.c_void_p
    library.calocc_close.argtypes = (ctypes.c_void_p,)
    library.calocc_predict.argtypes = (*(ctypes.c_void_p,) * 3, ctypes.c_size_t)
    library.calocc_count.argtypes = (ctypes.c_void_p,)
    library.calocc_count.restype = _Statistics
    library.calocc_error.restype = ctypes.c_char_p
    return library


def build_host(directory: Path, name: str, on: str) -> Path:
    """Build the host library unless it is newer than its sources; raise CompilerFailed."""
    library = directory / "build" / f"{name}-{on}.so"
    files = sorted((directory / "host").iterdir())
    if not library.is_file() or library.stat().st_mtime < max(f.stat().st_mtime for f in files):
        compile_host(directory, library, on)
    return library


def compile_host(directory: Path, library: Path, on: str, others: Sequence[Path] = ()) -> None:
    """Compile the host library for csim, or for XRT too, together with `others`."""
    left_out = "no_xrt.cpp" if on == "xrt" else "xrt_device.cpp"
    sources = [f for f in sorted((directory / "host").glob("*.cpp")) if f.name != left_out]
    include, libraries = xrt_place() if on == "xrt" else ((), ())
    # One translation unit: the headers, most of what there is to parse, are read once.
    *before, last = *sources, *others
    together = [part for source in before for part in ("-include", str(source))]
    flags = [*FLAGS, *include, *together]
    compile_shared([last], library, [directory / "host"], flags, [*libraries, "-ldl"])


def xrt_place() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How to find the headers and the library of XRT: in XILINX_XRT, or where Debian has them.

    Raises XrtMissing.
    """
    root = os.environ.get("XILINX_XRT")
    include = Path(root, "include") if root else Path("/usr/include/xrt")
    if not (include / "xrt" / "xrt_device.h").is_file():
        raise XrtMissing(str(include))
    place = (f"-L{root}/lib", f"-Wl,-rpath,{root}/lib") if root else ()
    return (f"-isystem{include}",), (*place, "-lxrt_coreutil")
