"""Reads the config of a layer so that no key is overlooked.

Every key is either taken (interpreted), expected to hold its default, or known not to matter at
inference; `finish` refuses the rest. An importer cannot forget a parameter this way.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, cast

from calocc.compiler.keras.errors import (
    MissingKey,
    NotDefault,
    RefusedQuantizer,
    UninterpretedKey,
    WrongValue,
)
from calocc.compiler.keras.model import KerasLayer
from calocc.dialects.qnn.quantizers import (
    QUANTIZER_NAMES,
    Quantizer,
    UnsupportedQuantizer,
    from_config,
    parse,
)

# Keys that only matter for training, or repeat what the reader has read.
_HARMLESS = frozenset(["name", "trainable", "batch_input_shape", "momentum"])
_HARMLESS_ENDS = ("_regularizer", "_initializer", "_constraint", "_range")
_FLOAT32 = "float32"
_LARGEST = sys.float_info.max
_LARGEST_INT = 1 << 31


class LayerConfig:
    """The config of one layer, with a record of the keys that were read.

    Where a method has a `default`, None means that the key must be there. All methods raise the
    errors of `errors.py`, which name the layer, its class, the key and the value.
    """

    def __init__(self, layer: KerasLayer) -> None:
        self.layer = layer
        self._config = layer.config
        self._read: set[str] = set()

    def take(self, key: str, default: Any = None) -> Any:
        """The raw value, or the default if the key is absent."""
        self._read.add(key)
        return self._config.get(key, default)

    def ignore(self, *keys: str) -> None:
        """Declare keys that have no influence at inference for this class."""
        self._read.update(keys)

    def expect_default(self, key: str, default: object) -> None:
        """Require that the key is absent or holds this value."""
        value = self.take(key, default)
        if _plain(value) != _plain(default):
            raise NotDefault(self.layer.name, self.layer.class_name, key, value, default)

    def take_int(self, key: str, default: int | None = None) -> int:
        """An integer (not a float, not a bool)."""
        value = self._present(key, default)
        return value if _is_int(value) else self._fail(key, "an integer")

    def take_float(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._present(key, default)
        return float(value) if _is_finite(value) else self._fail(key, "a finite number")

    def take_optional_float(self, key: str, default: float | None = None) -> float | None:
        """A finite number, or None where the file has null."""
        return None if self.take(key, default) is None else self.take_float(key, default)

    def take_bool(self, key: str, default: bool | None = None) -> bool:
        """True or False."""
        value = self._present(key, default)
        return value if isinstance(value, bool) else self._fail(key, "True or False")

    def take_str(
        self, key: str, default: str | None = None, choices: Collection[str] | None = None
    ) -> str:
        """A text, one of the choices if given. Keras names are compared in lower case."""
        value = self._present(key, default)
        if not isinstance(value, str):
            self._fail(key, "a text")
        if choices is not None and value.lower() not in choices:
            self._fail(key, f"one of {', '.join(choices)}")
        return value if choices is None else value.lower()

    def take_ints(
        self, key: str, rank: int, default: tuple[int, ...] | None = None
    ) -> tuple[int, ...]:
        """`rank` integers; a single integer stands for `rank` equal ones."""
        value = self._present(key, default)
        entries = cast(list[object], value if isinstance(value, list | tuple) else [value] * rank)
        if len(entries) != rank or not all(_is_int(entry) for entry in entries):
            self._fail(key, f"{rank} integers" if rank > 1 else "an integer")
        return cast(tuple[int, ...], tuple(entries))

    def take_pair(self, key: str, default: tuple[int, int] | None = None) -> tuple[int, int]:
        """Two integers (height, width); a single one stands for both."""
        first, second = self.take_ints(key, 2, default)
        return first, second

    def take_shape(self, key: str) -> tuple[int | None, ...]:
        """A shape; None for dimensions that are not fixed, as the batch."""
        value = self._present(key, None)
        entries = cast(list[object], value) if isinstance(value, list | tuple) else [value]
        if not isinstance(value, list | tuple) or not all(_is_size(entry) for entry in entries):
            self._fail(key, "a list of sizes")
        return cast(tuple[int | None, ...], tuple(entries))

    def take_object(self, key: str) -> tuple[str, Mapping[str, Any]] | None:
        """Class name and config of a serialised Keras object, or None where there is none."""
        value = self.take(key)
        if value is None:
            return None
        match _entries(value):
            case {"class_name": str() as name, "config": config} if _entries(config) is not None:
                return name, config
            case _:
                self._fail(key, "an object with class_name and config")

    def take_quantizer(self, key: str) -> Quantizer | None:
        """A quantizer, stored as text or as object, or None where there is none."""
        value = self.take(key)
        if value is None:
            return None
        try:
            return parse(value) if isinstance(value, str) else from_config(self._object(key, value))
        except UnsupportedQuantizer as error:
            raise RefusedQuantizer(self.layer.name, self.layer.class_name, key, error) from None

    def take_activation(self, key: str) -> Quantizer | str:
        """A quantizer, or the name of a Keras activation (`linear` where there is none)."""
        value = self.take(key)
        name = _activation_name(value)
        if name is None:
            self._fail(key, "the name of an activation or a quantizer")
        if name.rpartition(">")[2] in QUANTIZER_NAMES or name.endswith("("):
            return self._quantizer(key)
        return name

    def finish(self) -> None:
        """Refuse the first key that was neither read nor is harmless."""
        for key, value in self._config.items():
            if key not in self._read and not _is_harmless(key):
                self._check_type(key, value)

    def _check_type(self, key: str, value: object) -> None:
        """Refuse a key, except for one that says `float32`, dense and not ragged."""
        layer = self.layer
        if key == "dtype":
            if _dtype(value) != _FLOAT32:
                raise NotDefault(layer.name, layer.class_name, key, value, _FLOAT32)
        elif key not in ("ragged", "sparse") or value is not False:
            raise UninterpretedKey(layer.name, layer.class_name, key, value)

    def _quantizer(self, key: str) -> Quantizer:
        quantizer = self.take_quantizer(key)
        return self._fail(key, "a quantizer") if quantizer is None else quantizer

    def _object(self, key: str, value: object) -> Mapping[str, Any]:
        entries = _entries(value)
        return entries if entries is not None else self._fail(key, "a quantizer")

    def _present(self, key: str, default: object) -> Any:
        value = self.take(key, default)
        if key not in self._config and default is None:
            raise MissingKey(self.layer.name, self.layer.class_name, key)
        return value

    def _fail(self, key: str, expected: str) -> NoReturn:
        value = self._config.get(key)
        raise WrongValue(self.layer.name, self.layer.class_name, key, value, expected)


def _is_harmless(key: str) -> bool:
    return key in _HARMLESS or key.endswith(_HARMLESS_ENDS)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_INT


def _is_finite(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -_LARGEST <= value <= _LARGEST  # also right for huge JSON integers


def _is_size(value: object) -> bool:
    return value is None or (isinstance(value, int) and _is_int(value) and value >= 1)


def _plain(value: object) -> object:
    """Lists as tuples, so that JSON compares equal to Python."""
    if isinstance(value, list | tuple):
        return tuple(_plain(entry) for entry in cast(list[object], value))
    return value


def _entries(value: object) -> Mapping[str, Any] | None:
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _dtype(value: object) -> object:
    """The name of a dtype, which newer Keras wraps as `{"class_name": "Policy", ...}`."""
    match _entries(value):
        case {"class_name": "Policy", "config": {"name": str() as name}}:
            return name
        case _:
            return value


def _activation_name(value: object) -> str | None:
    """The name in a text or an object; a call with arguments keeps its opening parenthesis."""
    if value is None:
        return "linear"
    if isinstance(value, str):
        name, parenthesis, _ = value.partition("(")
        return name.strip() + parenthesis or None
    match _entries(value):
        case {"class_name": "function", "config": str() as name}:
            return name
        case {"class_name": str() as name}:
            return name if name.rpartition(">")[2] in QUANTIZER_NAMES else None
        case _:
            return None
