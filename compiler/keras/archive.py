"""Reads `.keras` archives without unpacking anything to disk."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from calocc.compiler.keras.errors import DamagedFile, TooLarge, UnusableMember
from calocc.compiler.keras.hdf5 import MOST_BYTES
from calocc.compiler.keras.json_tree import MOST_TEXT

_ARCHITECTURE = "config.json"
_WEIGHTS = "model.weights.h5"
_SIGNATURE = b"PK\x03\x04"
# Weights hardly compress, unless most of them are zero; below this size nobody minds.
_RATIO, _ALWAYS = 100, 1 << 24
_ENCRYPTED = 1

Result = TypeVar("Result")


def is_archive(path: Path) -> bool:
    """Whether the file starts as zip archives do."""
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def archived_config(path: Path) -> str:
    """The JSON text of the architecture; raise UnusableMember, TooLarge or DamagedFile."""
    content = _with_archive(path, lambda archive: _member(path, archive, _ARCHITECTURE, MOST_TEXT))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UnusableMember(path, _ARCHITECTURE, "is no UTF-8 text") from None


def archived_weights(path: Path) -> bytes:
    """The HDF5 file of weights; raise UnusableMember, TooLarge or DamagedFile."""
    return _with_archive(path, lambda archive: _member(path, archive, _WEIGHTS, MOST_BYTES))


def _with_archive(path: Path, read: Callable[[ZipFile], Result]) -> Result:
    try:
        with ZipFile(path) as archive:
            return read(archive)
    except (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise DamagedFile(path) from error  # what zipfile raises for inconsistent files


def _member(path: Path, archive: ZipFile, name: str, most: int) -> bytes:
    info = _only(path, archive, name)
    if info.flag_bits & _ENCRYPTED:
        raise UnusableMember(path, name, "is encrypted")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise UnusableMember(path, name, "is compressed by another method than deflate")
    limit = min(most, max(_ALWAYS, info.compress_size * _RATIO))
    if info.file_size > limit:
        raise TooLarge(path, name, info.file_size, limit)
    with archive.open(info) as file:
        return file.read(info.file_size)


def _only(path: Path, archive: ZipFile, name: str) -> ZipInfo:
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise UnusableMember(path, name, "is there twice" if found else "is missing")
    return found[0]
