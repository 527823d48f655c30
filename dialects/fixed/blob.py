"""Arrays outside the printed IR: `#fixed.blob<key : tensor<...>>`.

The key is a hash of the bytes, so equal arrays are equal attributes, a text parsed twice gives
equal modules, and dumps stay readable. The bytes travel in the `dialect_resources` section of a
module's text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialect_interfaces.op_asm import OpAsmDialectInterface
from xdsl.dialects.builtin import (
    AnyFloat,
    Float32Type,
    Float64Type,
    IntegerType,
    StringAttr,
    TensorType,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.ir import Attribute, ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed.types import tensor_type


class BlobStore(OpAsmDialectInterface):
    """Bytes by content hash; declaring the same bytes twice is the same blob."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes: dict[str, bytes] = {}

    def add(self, data: bytes) -> str:
        """Keep `data`; return its key."""
        key = "b" + hashlib.sha256(data).hexdigest()[:16]
        self._bytes[key] = data
        return key

    def __contains__(self, key: str) -> bool:
        return key in self._bytes

    def get(self, key: str) -> bytes:
        """The bytes of `key`; raise KeyError if no resource section has defined it."""
        return self._bytes[key]

    def declare_resource(self, key: str) -> str:
        """Keys are content hashes: they never clash and are never renamed."""
        return key

    def parse_resource(self, key: str, val: str) -> None:
        """Take the hex text of a resource section; reject bytes that do not match their key."""
        if self.add(bytes.fromhex(val[2:])) != key:
            raise ValueError(f"blob {key} does not match its hash")

    def lookup(self, key: str) -> str | None:
        """The hex text of `key`, None if it is unknown."""
        return "0x" + self._bytes[key].hex() if key in self._bytes else None

    def build_resources(self, keys: Iterable[str]) -> dict[str, str]:
        """The resource section of a module that uses `keys`."""
        return {key: text for key in keys if (text := self.lookup(key)) is not None}


BLOBS = BlobStore()

_INTEGERS: Sequence[IntegerType] = (i8, i16, i32, i64)


@irdl_attr_definition
class BlobAttr(ParametrizedAttribute):
    """An integer or float array of the given shape, stored under the hash of its bytes."""

    name = "fixed.blob"
    key: StringAttr
    type: TensorType[IntegerType | AnyFloat]

    @staticmethod
    def of(array: NDArray[Any]) -> BlobAttr:
        """The blob of an array; integers shrink to the narrowest of i8, i16, i32, i64."""
        if np.issubdtype(array.dtype, np.integer):
            array = array.astype(_narrowest(array))
        key = StringAttr(BLOBS.add(np.ascontiguousarray(array).tobytes()))
        return BlobAttr(key, tensor_type(array.shape, _element_type(array.dtype)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.type.get_shape()

    def numpy(self) -> NDArray[Any]:
        """The array: int64 for integers, float64 for floats.

        Raises VerifyException if no resource section has defined its bytes, or not as many.
        """
        if self.key.data not in BLOBS:
            raise VerifyException(f"no resource section defines blob {self.key.data}")
        stored = np.frombuffer(BLOBS.get(self.key.data), _dtype(self.type.element_type))
        if stored.size != self.type.element_count():
            raise VerifyException(f"blob {self.key.data} holds {stored.size} elements")
        wide = np.int64 if stored.dtype.kind == "i" else np.float64
        return stored.reshape(self.shape).astype(wide)

    def verify(self) -> None:
        """Only i8 to i64, f32 and f64 are stored."""
        _dtype(self.type.element_type)

    def print_parameters(self, printer: Printer) -> None:
        """Print `<key : tensor<...>>` and mark the key as used in the resource section."""
        with printer.in_angle_brackets():
            printer.print_resource_handle("fixed", self.key.data)
            printer.print_string(" : ")
            printer.print_attribute(self.type)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        """Parse what `print_parameters` prints."""
        with parser.in_angle_brackets():
            # xDSL has no public way to parse a resource handle; the version is pinned.
            key = parser._parse_dialect_resource_handle("fixed", BLOBS)  # pyright: ignore[reportPrivateUsage]
            parser.parse_characters(":")
            return StringAttr(key), parser.parse_type()


def _narrowest(array: NDArray[Any]) -> type[np.signedinteger[Any]]:
    lo, hi = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= lo and hi <= np.iinfo(dtype).max:
            return dtype
    return np.int64


def _element_type(dtype: np.dtype[Any]) -> IntegerType | AnyFloat:
    if dtype == np.float32:
        return f32
    if dtype == np.float64:
        return f64
    return _INTEGERS[dtype.itemsize.bit_length() - 1]


def _dtype(element: Attribute) -> np.dtype[Any]:
    if isinstance(element, Float32Type):
        return np.dtype(np.float32)
    if isinstance(element, Float64Type):
        return np.dtype(np.float64)
    if element in _INTEGERS:
        return np.dtype(f"i{2 ** _INTEGERS.index(element)}")
    raise VerifyException(f"a blob holds i8 to i64, f32 or f64, not {element}")
