"""Reads HDF5 files of Keras without trusting them.

Sizes are checked before anything is allocated, and nothing outside the file is followed.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.keras.errors import (
    DamagedFile,
    ForeignStorage,
    MalformedConfig,
    NoModelConfig,
    NonFiniteWeight,
    NoWeights,
    TooLarge,
    UnknownWeights,
    WeightType,
)
from calocc.compiler.keras.heaps import bounded_memory, expect_readable
from calocc.compiler.keras.json_tree import MOST_TEXT

h5py: Any = importlib.import_module("h5py")  # it carries no type information

MOST_BYTES = 1 << 29
"""Of all weights together."""
_HIGHEST_RANK = 8
# deflate, shuffle and fletcher32 are part of the HDF5 library; others would load plug-ins.
_FILTERS = frozenset([1, 2, 3])
_DEFLATE_RATIO = 1100
_FAILURES = (
    *(OSError, RuntimeError, LookupError, ValueError),
    *(TypeError, ArithmeticError, MemoryError),
)
"""What h5py raises for inconsistent files."""
_PLAIN_TYPES = (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)

Array = NDArray[Any]
Groups = Mapping[str, Mapping[str, Array]]
"""Weights as model.h5 has them: by layer of the outer model, then by the variable's whole name."""

Result = TypeVar("Result")


def is_hdf5(path: Path) -> bool:
    """Whether the file starts as HDF5 files do."""
    return bool(h5py.is_hdf5(path))


def with_hdf5(
    path: Path, read: Callable[[Hdf5File], Result], content: bytes | None = None
) -> Result:
    """What `read` makes of the file, or of the `content` of a member of the archive `path`.

    Raises DamagedFile where the HDF5 library fails.
    """
    expect_readable(path, content)
    size = path.stat().st_size if content is None else len(content)
    try:
        source = path if content is None else BytesIO(content)
        with h5py.File(source, "r") as file:
            return read(Hdf5File(path, file, size))
    except _FAILURES as error:
        raise DamagedFile(path) from error


class Hdf5File:
    """One open file, and how many bytes of weights were read from it."""

    def __init__(self, path: Path, file: Any, size: int) -> None:
        self.path = path
        self.root = file
        self._size = size
        self._total = 0

    # ---- the layout of model.h5 and of weights files --------------------------------------------

    def config(self) -> str:
        """The JSON text of the architecture."""
        if "model_config" not in self.root.attrs:
            raise NoModelConfig(self.path)
        value = self.attribute(self.root, "model_config")
        text = value.decode() if isinstance(value, bytes) else value
        if not isinstance(text, str):
            raise MalformedConfig(self.path, "model_config", "a text", type(value).__name__)
        if len(text) > MOST_TEXT:
            raise TooLarge(self.path, "model_config", len(text), MOST_TEXT)
        return text

    def model_groups(self) -> Groups:
        """The weights of a whole model."""
        if "model_weights" not in self.root:
            raise NoWeights(self.path)
        return self._groups(self.open(self.root, "model_weights"))

    @property
    def is_numbered(self) -> bool:
        """Whether this is the file of weights inside a .keras archive."""
        return "vars" in self.root and not self._has_names

    @property
    def _has_names(self) -> bool:
        return "layer_names" in self.root.attrs or "layer_names0" in self.root.attrs

    def weight_groups(self) -> Groups:
        """The weights of a weights-only file or of a whole model."""
        if self._has_names:
            return self._groups(self.root)
        if "model_weights" not in self.root:
            raise UnknownWeights(self.path)
        return self.model_groups()

    def _groups(self, groups: Any) -> Groups:
        names = self._names(groups, "layer_names")
        return {name: self._layer(self.open(groups, name)) for name in names}

    def _layer(self, group: Any) -> Mapping[str, Array]:
        names = self._names(group, "weight_names")
        if len(set(names)) < len(names):
            raise DamagedFile(self.path)
        return {name: self.weight(self.open(group, name)) for name in names}

    def _names(self, group: Any, name: str) -> list[str]:
        """A list of names; Keras splits one above 64 kB into `name0`, `name1`, ..."""
        if name in group.attrs:
            return [_text(item) for item in self.attribute(group, name)]
        result: list[str] = []
        part = 0
        while f"{name}{part}" in group.attrs:
            result += [_text(item) for item in self.attribute(group, f"{name}{part}")]
            part += 1
        if not part:
            raise DamagedFile(self.path)
        return result

    # ---- parts ----------------------------------------------------------------------------------

    def attribute(self, node: Any, name: str) -> Any:
        """The value of an attribute that exists: texts or numbers.

        On damaged types of other kinds the HDF5 library has been seen to crash.
        """
        attribute = node.attrs.get_id(name)
        if not isinstance(attribute.get_type(), _PLAIN_TYPES):
            raise DamagedFile(self.path)
        size = math.prod(attribute.shape) * int(attribute.dtype.itemsize)
        if size > self._size:
            raise TooLarge(self.path, f"attribute {name}", size, self._size)
        with _bounded_if(_is_variable(attribute.get_type())):
            return node.attrs[name]

    def open(self, group: Any, name: str) -> Any:
        """The member at a path of hard links; nothing else is followed."""
        node = group
        for part in name.split("/"):
            kind = node.id.links.get_info(part.encode()).type
            item = f"{node.name.rstrip('/')}/{part}"
            if kind == h5py.h5l.TYPE_EXTERNAL:
                raise ForeignStorage(self.path, item, "an external link")
            if kind != h5py.h5l.TYPE_HARD:
                raise ForeignStorage(self.path, item, "a soft link")
            node = node[part]
        return node

    def members(self, group: Any) -> list[str]:
        """The names in a group, sorted; a dataset has none."""
        return sorted(map(_text, group)) if self.is_group(group) else []

    def is_group(self, node: Any) -> bool:
        """Whether it is a group."""
        return isinstance(node, h5py.Group)

    def weight(self, data: Any) -> Array:
        """The values of a dataset, read-only and in native byte order."""
        self._check_kind(data)
        self._check_storage(data)
        self._check_size(data)
        with _bounded_if(bool(_filters(data))):
            values = np.asarray(data[()])
        return checked_weight(self.path, data.name, values)

    def _check_kind(self, data: Any) -> None:
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise WeightType(self.path, data.name, "no dataset with values")
        if h5py.check_enum_dtype(data.dtype) is not None:
            raise WeightType(self.path, data.name, f"of type {data.dtype}")
        check_type(self.path, data.name, data.dtype, data.ndim)

    def _check_storage(self, data: Any) -> None:
        if data.is_virtual:
            raise ForeignStorage(self.path, data.name, "a virtual dataset")
        if data.external:
            raise ForeignStorage(self.path, data.name, "stored in another file")
        if not _filters(data) <= _FILTERS:
            raise ForeignStorage(self.path, data.name, "stored with a plug-in filter")

    def _check_size(self, data: Any) -> None:
        size = math.prod(data.shape) * int(data.dtype.itemsize)
        stored = min(int(data.id.get_storage_size()), self._size)
        limit = stored * _DEFLATE_RATIO if _filters(data) else stored
        if size > limit:
            raise TooLarge(self.path, data.name, size, limit)
        self._total += size
        if self._total > MOST_BYTES:
            raise TooLarge(self.path, "model_weights", self._total, MOST_BYTES)
        chunk = math.prod(data.chunks or ()) * int(data.dtype.itemsize)
        if chunk > MOST_BYTES:
            raise TooLarge(self.path, data.name, chunk, MOST_BYTES)


def check_type(path: Path, item: str, dtype: np.dtype[Any], rank: int) -> None:
    """Raise WeightType unless these are arrays of ordinary numbers."""
    known = dtype.kind in "iu" or (dtype.kind == "f" and dtype.itemsize <= 8)
    if not known:
        raise WeightType(path, item, f"of type {dtype}")
    if rank > _HIGHEST_RANK:
        raise WeightType(path, item, f"of rank {rank}")


def checked_weight(path: Path, item: str, array: Array) -> Array:
    """The array, read-only and in native byte order; raise NonFiniteWeight."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    wrong = int(np.count_nonzero(~np.isfinite(array)))
    if wrong:
        raise NonFiniteWeight(path, item, wrong)
    array.flags.writeable = False
    return array


def _bounded_if(unknown: bool) -> AbstractContextManager[None]:
    """Bound the memory of the process for a read of which the file does not say what it takes.

    All other sizes have been checked. In files that Keras writes only short texts are such: the
    limit, which is one for all threads, stands for milliseconds and not while weights are read.
    """
    return bounded_memory() if unknown else nullcontext()


def _is_variable(kind: Any) -> bool:
    """Whether values of a type are as long as each of them declares."""
    return isinstance(kind, h5py.h5t.TypeStringID) and bool(kind.is_variable_str())


def _filters(data: Any) -> set[int]:
    plist = data.id.get_create_plist()
    return {int(plist.get_filter(index)[0]) for index in range(plist.get_nfilters())}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return value
    raise TypeError("a name is not a text")
