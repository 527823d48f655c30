"""The compiled inner loops of the emulator: built once per machine, kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
from functools import cache
from pathlib import Path

from calocc.compiler.diagnostics import CaloccError
from calocc.runtime.gxx import compile_shared

SOURCE = Path(__file__).parent / "kernels" / "native.cpp"
FLAGS = ("-O3", "-march=native", "-fopenmp", "-ffp-contract=off")


class Operand(ctypes.Structure):
    """A register, or a constant with a value per channel."""

    _fields_ = (("reg", ctypes.c_int32), ("shift", ctypes.c_int32), ("constant", ctypes.c_void_p))


class Instruction(ctypes.Structure):
    """One scalar op of an epilogue."""

    _fields_ = (
        ("op", ctypes.c_int32),
        ("result", ctypes.c_int32),
        ("a", Operand),
        ("b", Operand),
        ("c", Operand),
        ("shift", ctypes.c_int32),
        ("rounding", ctypes.c_int32),
        ("overflow", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("lo", ctypes.c_int64),
        ("hi", ctypes.c_int64),
        ("base", ctypes.c_int64),
        ("size", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("table", ctypes.c_void_p),
    )


class Program(ctypes.Structure):
    """An epilogue."""

    _fields_ = (
        ("instructions", ctypes.POINTER(Instruction)),
        ("count", ctypes.c_int32),
        ("registers", ctypes.c_int32),
        ("result", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("wide", ctypes.c_int32),
    )


class Geometry(ctypes.Structure):
    """Windows over images."""

    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in (
                *("height", "width", "channels", "kernel_height", "kernel_width"),
                *("stride_height", "stride_width", "dilation_height", "dilation_width"),
                *("pad_top", "pad_left", "out_height", "out_width"),
            )
        ),
        ("fill", ctypes.c_int64),
    )


class Matvec(ctypes.Structure):
    """Windows times a matrix of weights."""

    _fields_ = (
        ("x", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("shift", ctypes.c_int32),
        ("bytes", ctypes.c_int32),
        ("pixels", ctypes.c_int64),
        ("y", ctypes.c_void_p),
    )


class Reduction(ctypes.Structure):
    """Sums, weighted sums or maxima per channel over windows."""

    _fields_ = (
        ("x", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("x_bytes", ctypes.c_int32),
        ("multiplier", ctypes.c_int32),
        ("maximum", ctypes.c_int32),
        ("shift", ctypes.c_int32),
        ("bytes", ctypes.c_int32),
        ("pixels", ctypes.c_int64),
        ("y", ctypes.c_void_p),
    )


class Stream(ctypes.Structure):
    """One operand of an element-wise process."""

    _fields_ = (("x", ctypes.c_void_p), ("bytes", ctypes.c_int64))


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library; None where there is no C++ compiler or none that takes the source."""
    try:
        path = _cache() / f"native-{_fingerprint()}.so"
        if not path.is_file():
            compile_shared([SOURCE], path, flags=FLAGS)
        loaded = ctypes.CDLL(str(path))
    except (CaloccError, OSError):
        return None
    for function in (loaded.calocc_matvec, loaded.calocc_reduce, loaded.calocc_map):
        function.restype = ctypes.c_bool
    return loaded


def _cache() -> Path:
    """`$XDG_CACHE_HOME/calocc`, by default in the home directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "calocc"


def _fingerprint() -> str:
    """Of the source, the flags, the compiler's name and the processor, as home directories are
    shared between machines."""
    parts = (SOURCE.read_text(), *FLAGS, os.environ.get("CXX", "g++"), platform.machine(), _cpu())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _cpu() -> str:
    """What the processor can do, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
