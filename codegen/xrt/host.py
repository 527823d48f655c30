"""The host library of a project: sources that every project has, and one that describes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from calocc.codegen.memory import MemoryPort
from calocc.compiler.scaling import Scaler, Scalers

_HERE = Path(__file__).parent
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # C++; names are C identifiers or quoted
)


def host_sources(
    name: str, stamp: str, inputs: list[MemoryPort], outputs: list[MemoryPort], scalers: Scalers
) -> dict[str, str]:
    """File names and contents below `host/`."""
    files = sorted((_HERE / "host").iterdir())
    texts = {f"host/{path.name}": path.read_text() for path in files if path.is_file()}
    texts["host/design.cpp"] = _ENVIRONMENT.get_template("design.cpp.j2").render(
        name=name,
        id=stamp,
        inputs=[_port(p, scalers.get(p.name)) for p in inputs],
        outputs=[_port(p, None) for p in outputs],
        count=len(inputs) + len(outputs),
    )
    return texts


def _port(port: MemoryPort, scaler: Scaler | None) -> str:
    """The initializer of a `Port`."""
    known = port.port
    format = port.stream.format
    size, lanes = port.stream.size, port.stream.width
    facts = [
        _quoted(port.name),
        f"{size}",
        "true" if format.signed else "false",
        f"{format.width}",
        f"{format.frac}",
        f"Rounding::{known.rounding}",
        f"Overflow::{known.overflow}",
        f"{port.slot_bits // 8}",
        *(f"{lanes}", f"{port.stride}", f"{port.words}"),
        _numbers(scaler.offset if scaler else None),
        _numbers(scaler.scale if scaler else None),
    ]
    return "{" + ", ".join(facts) + "}"


def _quoted(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
    return f'"{escaped}"'


def _numbers(values: NDArray[np.float64] | None) -> str:
    return "{" + ", ".join(map(float.hex, [] if values is None else values.ravel().tolist())) + "}"
