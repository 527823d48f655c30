"""The compiled inner loops of the emulator: built once per machine, kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
from ctypes import c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from calocc.compiler.diagnostics import CaloccError
from calocc.runtime.gxx import compile_shared

KERNELS = Path(__file__).parent / "kernels"
FLAGS = ("-O3", "-march=native", "-pthread")
GROUP, STEP = 16, 4
"""Outputs whose weights lie side by side, and bytes that are multiplied at once; see `dot.h`."""


def fields(type: Any, names: str) -> tuple[tuple[str, Any], ...]:
    """Fields of one type for a structure."""
    return tuple((name, type) for name in names.split())


class Operand(ctypes.Structure):
    """A register, or a constant with a value per channel."""

    _fields_ = (*fields(c_int32, "reg shift"), ("constant", c_void_p))


class Instruction(ctypes.Structure):
    """One scalar op of an epilogue."""

    _fields_ = (
        *fields(c_int32, "op result"),
        *fields(Operand, "a b c"),
        *fields(c_int32, "shift rounding overflow width"),
        *fields(c_int64, "lo hi base size stride"),
        ("table", c_void_p),
    )


class Program(ctypes.Structure):
    """An epilogue."""

    _fields_ = (
        ("instructions", ctypes.POINTER(Instruction)),
        *fields(c_int32, "count registers result channels period wide"),
    )


class Stream(ctypes.Structure):
    """An operand of an epilogue: a value, its steps from pixel to pixel and channel to channel."""

    _fields_ = (*fields(c_int32, "value kind"), *fields(c_int64, "pixel channel"))


class Sink(ctypes.Structure):
    """An epilogue with its operands and its result."""

    _fields_ = (
        ("program", ctypes.POINTER(Program)),
        ("streams", ctypes.POINTER(Stream)),
        *fields(c_int32, "count computed value kind"),
        ("pixels", c_int64),
    )


class Windows(ctypes.Structure):
    """Windows over images."""

    _fields_ = (
        *fields(c_int32, "value kind"),
        *fields(c_int64, "columns pixels down across runs length"),
        ("first", c_void_p),
    )


class Products(ctypes.Structure):
    """Windows times a matrix of weights."""

    _fields_ = (
        ("x", Windows),
        ("sink", Sink),
        *fields(c_void_p, "weights places"),
        ("steps", c_int64),
        *fields(c_int32, "outputs form shift"),
    )


class Reduction(ctypes.Structure):
    """Sums, weighted sums or maxima per channel over windows."""

    _fields_ = (
        ("x", Windows),
        ("sink", Sink),
        ("weights", c_void_p),
        *fields(c_int32, "combination multiplier shift"),
    )


class Elements(ctypes.Structure):
    """An epilogue on its own."""

    _fields_ = (("sink", Sink),)


class TapSum(ctypes.Structure):
    """Sums of taps of repeated pixels."""

    _fields_ = (
        *fields(c_int32, "value kind taps shift"),
        ("sink", Sink),
        ("first", c_void_p),
    )


class Axis(ctypes.Structure):
    """An axis along which elements are moved."""

    _fields_ = fields(c_int64, "size source target")


class Move(ctypes.Structure):
    """Elements moved to other places."""

    _fields_ = (
        *fields(c_int32, "x y x_kind y_kind"),
        *fields(c_int64, "source target filled fill"),
        ("axes", ctypes.POINTER(Axis)),
        ("rank", c_int64),
    )


class Step(ctypes.Structure):
    """A step of a network: its kind and one of the structures above."""

    _fields_ = (("kind", c_int64), ("body", c_void_p))


class Value(ctypes.Structure):
    """Where a value lies: in an array of the caller's, or (array -1) in the arena."""

    _fields_ = fields(c_int64, "bytes array offset")


class Network(ctypes.Structure):
    """Steps on values."""

    _fields_ = (
        ("steps", ctypes.POINTER(Step)),
        ("count", c_int64),
        ("values", ctypes.POINTER(Value)),
        *fields(c_int64, "value_count arena"),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library; None where there is no C++ compiler or none that takes the source."""
    try:
        path = _cache() / f"native-{_fingerprint()}.so"
        if not path.is_file():
            compile_shared([KERNELS / "native.cpp"], path, flags=FLAGS)
        loaded = ctypes.CDLL(str(path))
    except (CaloccError, OSError):
        return None
    for function in (loaded.calocc_run, loaded.calocc_has_quads):
        function.restype = ctypes.c_bool
    return loaded


def _cache() -> Path:
    """`$XDG_CACHE_HOME/calocc`, by default in the home directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "calocc"


def _fingerprint() -> str:
    """Of the sources, the flags, the compiler's name and the processor, as home directories are
    shared between machines."""
    sources = (path.read_text() for path in sorted(KERNELS.iterdir()))
    parts = (*sources, *FLAGS, os.environ.get("CXX", "g++"), platform.machine(), processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def processor() -> str:
    """What the processor can do, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
