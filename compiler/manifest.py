"""`manifest.json`: the checksum of every file of a written project, and what it was made of.

Nothing in it depends on when or where a project is written. `build_opt.tcl` is not covered: the
build tools of hls4ml and of calocc write their choice of steps into it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.model import KerasModel
from calocc.dialects.fixed.format import Format

Json = dict[str, Any]

MANIFEST = "manifest.json"
CONFIG = "hls4ml_config.yml"
_NOT_COVERED = frozenset({MANIFEST, "build_opt.tcl"})


@dataclass(eq=False)
class Damaged(CaloccError):
    """A file of a project that is not as calocc has written it."""

    directory: str
    file: str
    problem: str

    @property
    def where(self) -> str:
        return f"{self.directory}: {self.file}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "compile the model again, or bring back the file that calocc has written"


def write_manifest(directory: Path, provenance: Mapping[str, Any]) -> None:
    """Take the checksums of all files below `directory` and write them beside `provenance`."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    names = [path.relative_to(directory).as_posix() for path in files]
    sums = {name: _checksum(directory / name) for name in names if name not in _NOT_COVERED}
    content = {"calocc": version("calocc"), **provenance, "files": sums}
    (directory / MANIFEST).write_text(json.dumps(content, indent=2) + "\n")


def verify(directory: Path) -> Json:
    """The provenance of a project of which every file is as it was written.

    Files that a build has added do not count. Raises Damaged; OSError if there is no manifest.
    """
    content = _read(directory)
    sums = cast(dict[str, str], content.pop("files"))
    for name, expected in sums.items():
        path = directory / name
        if not path.is_file():
            raise Damaged(str(directory), name, "it is missing")
        if _checksum(path) != expected:
            raise Damaged(str(directory), name, "its checksum is not that of the manifest")
    del content["calocc"]
    return content


def _read(directory: Path) -> Json:
    """The manifest as it must be; raise Damaged."""
    try:
        content = json.loads((directory / MANIFEST).read_text())
        sums = content["files"]
        inside = all(".." not in Path(name).parts for name in sums)
        if "calocc" not in content or not all(isinstance(s, str) for s in sums.values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Damaged(str(directory), MANIFEST, "it is no list of checksums") from None
    if not inside:
        raise Damaged(str(directory), MANIFEST, "it names files elsewhere")
    return content


def _checksum(path: Path) -> str:
    data = path.read_bytes()
    if path.name == CONFIG:
        # hls4ml wants the place of the project in its configuration; a project may be moved.
        data = b"".join(x for x in data.splitlines(True) if not x.startswith(b"OutputDir:"))
    return hashlib.sha256(data).hexdigest()


def model_digest(model: KerasModel) -> str:
    """A hash of a model's layers, their configurations and weights, however it was stored."""
    digest = hashlib.sha256()
    for layer in model.layers:
        inbound = [list(map(str, call)) for call in layer.inbound]
        head = (layer.name, layer.class_name, layer.config, inbound)
        digest.update(json.dumps(head, sort_keys=True, default=str).encode())
        for name, values in sorted(layer.weights.items()):
            digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    digest.update(f"{list(map(str, (*model.inputs, '->', *model.outputs)))}".encode())
    return digest.hexdigest()


def plain(value: object) -> Any:
    """An option as JSON: files and arrays by a hash of what they hold, never by where they are."""
    if isinstance(value, Path):
        return {"file": value.name, "sha256": hashlib.sha256(value.read_bytes()).hexdigest()}
    if isinstance(value, np.ndarray):
        array = cast("np.ndarray[Any, Any]", value)
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return {"shape": list(array.shape), "dtype": array.dtype.str, "sha256": digest}
    if isinstance(value, Format):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in sorted(cast("Mapping[str, Any]", value).items())}
    if isinstance(value, list | tuple):
        return [plain(v) for v in cast("Iterable[object]", value)]
    return value if value is None or isinstance(value, str | int | float) else str(value)
