"""Untrusted JSON: parsed within limits, read with the place of every value at hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from calocc.compiler.keras.errors import InvalidJson, MalformedConfig, TooLarge

MOST_TEXT = 1 << 26
"""Bytes of an architecture; real ones have about a kilobyte per layer."""
_DEEPEST = 64  # levels; real models need about a dozen, and four more for each nested model


def parse_json(path: Path, item: str, text: str) -> Node:
    """The root of the tree, called `item` in messages; raise InvalidJson or TooLarge."""
    if len(text) > MOST_TEXT:
        raise TooLarge(path, item, len(text), MOST_TEXT)
    try:
        tree: object = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_checked)
    except RecursionError:
        raise InvalidJson(path, item, "nested too deeply") from None
    except ValueError as error:
        raise InvalidJson(path, item, str(error)) from None
    if _is_deep(tree):
        raise InvalidJson(path, item, "nested too deeply")
    return Node(path, item, tree)


def _checked(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Keys appear in messages as they are, so they must be printable; none may be repeated."""
    result: dict[str, object] = {}
    for key, value in pairs:
        if not key.isprintable():
            raise ValueError(f"the key {key!r} is not printable")
        if key in result:
            raise ValueError(f"the key {key!r} is there twice")
        result[key] = value
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"the constant {name}")


def _is_deep(tree: object) -> bool:
    level = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in _children(node)]
    return bool(level)


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return cast(dict[str, object], node).values()
    return cast(list[object], node) if isinstance(node, list) else ()


@dataclass(frozen=True)
class Node:
    """A value in the JSON tree with its place, for messages; methods raise MalformedConfig."""

    path: Path
    place: str
    value: Any

    @property
    def is_dictionary(self) -> bool:
        """Whether it is a dictionary."""
        return isinstance(self.value, dict)

    def has(self, key: str) -> bool:
        """Whether it is a dictionary with a value (not null) for this key."""
        return isinstance(self.value, dict) and self.dictionary().get(key) is not None

    def entry(self, key: str) -> Node:
        """The value of a key that must be there."""
        value = self.dictionary().get(key)
        if value is None:
            raise MalformedConfig(self.path, f"{self.place}.{key}", "present", None)
        return Node(self.path, f"{self.place}.{key}", value)

    def items(self) -> Iterator[Node]:
        """The entries of a list."""
        value: object = self.value
        if not isinstance(value, list):
            raise self.fail("a list")
        for index, item in enumerate(cast(list[object], value)):
            yield Node(self.path, f"{self.place}[{index}]", item)

    def dictionary(self) -> Mapping[str, Any]:
        """The value, which must be a dictionary."""
        value: object = self.value
        if not isinstance(value, dict):
            raise self.fail("a dictionary")
        return cast(dict[str, Any], value)

    def text(self) -> str:
        """The value, which must be a printable text."""
        if not isinstance(self.value, str) or not self.value:
            raise self.fail("a text")
        if not self.value.isprintable():
            raise self.fail("a printable text")
        return self.value

    def index(self) -> int:
        """The value, which must be an integer that is not negative."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.fail("an index")
        return self.value

    def fail(self, expected: str) -> MalformedConfig:
        """The error that says what was expected here."""
        return MalformedConfig(self.path, self.place, expected, self.value)
