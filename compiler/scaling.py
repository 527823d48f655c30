"""`--scaler`: what a host does to inputs before they are quantized: (x - offset) * scale.

A file has an offset and a scale for some or all of the inputs: a `.npz` file the arrays
`NAME.offset` and `NAME.scale`, a `.json` file `{"NAME": {"offset": ..., "scale": ...}}`. Each is a
number, or an array that numpy broadcasts to the shape of an event. What is not given is 0 or 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.inputs import load_arrays
from calocc.compiler.ports import Port

Given = Mapping[str, Mapping[str, ArrayLike]]
SCALERS = "scaler.json"
"""The file that a project keeps them in."""
_PARTS = {"offset": 0.0, "scale": 1.0}


@dataclass(eq=False)
class BadScaler(CaloccError):
    """A scaler that does not fit the inputs of a model."""

    source: str
    problem: str

    @property
    def where(self) -> str:
        return self.source

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return (
            'give {"INPUT": {"offset": ..., "scale": ...}} as JSON, or a .npz file with the arrays '
            "INPUT.offset and INPUT.scale"
        )


@dataclass(frozen=True, eq=False)
class Scaler:
    """The scaling of one input: arrays of float64 of the shape of an event."""

    offset: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale events (events, *shape); infinite where the result is too large."""
        with np.errstate(over="ignore"):
            return (x - self.offset) * self.scale


Scalers = dict[str, Scaler]


def scalers_for(
    ports: Sequence[Port], given: Given | str | Path, source: str = "scaler"
) -> Scalers:
    """The scalers of inputs by name, from a file or a dictionary; raise BadScaler or BadData."""
    if isinstance(given, str | Path):
        given, source = Path(given), str(given)
    values = _read(given) if isinstance(given, Path) else given
    shapes = {port.name: port.shape for port in ports}
    for name in values:
        if name not in shapes:
            raise BadScaler(source, f"the model has no input {name!r}; it has {', '.join(shapes)}")
    return {name: _scaler(shapes[name], parts, source, name) for name, parts in values.items()}


def _scaler(
    shape: tuple[int, ...], parts: Mapping[str, ArrayLike], source: str, name: str
) -> Scaler:
    if not isinstance(parts, Mapping) or not parts or set(parts) - set(_PARTS):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadScaler(source, f"input {name!r} needs an offset, a scale, or both, nothing else")
    arrays = [_array(shape, parts.get(k, d), source, f"{name}.{k}") for k, d in _PARTS.items()]
    return Scaler(*arrays)


def _array(shape: tuple[int, ...], value: ArrayLike, source: str, name: str) -> NDArray[np.float64]:
    try:
        array = np.broadcast_to(np.asarray(value, np.float64), shape).copy()
    except (ValueError, TypeError):
        raise BadScaler(source, f"{name} does not fit the shape {shape}") from None
    if not np.isfinite(array).all():
        raise BadScaler(source, f"{name} is not finite")
    return array


def _read(path: Path) -> Given:
    if path.suffix != ".json":
        return _grouped(path)
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise BadScaler(str(path), f"it cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise BadScaler(str(path), "it is no JSON") from None
    if not isinstance(content, dict):
        raise BadScaler(str(path), "it is no object with an entry per input")
    return cast(Given, content)


def _grouped(path: Path) -> Given:
    grouped: dict[str, dict[str, Any]] = {}
    for key, array in load_arrays(path).items():
        name, _, part = key.rpartition(".")
        grouped.setdefault(name, {})[part] = array
    return grouped


def scalers_json(scalers: Scalers) -> str:
    """The text of the file that a project keeps them in; floats come back as they were."""
    content = {
        name: {"offset": scaler.offset.tolist(), "scale": scaler.scale.tolist()}
        for name, scaler in scalers.items()
    }
    return json.dumps(content) + "\n"
