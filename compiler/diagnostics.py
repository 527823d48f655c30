"""Errors as data: what is wrong, where, and what the user can do about it.

Each error a user can meet is one dataclass below `CaloccError`, raised where it is found and
printed by the command line in one shape. `tests/errors` holds a golden text for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class CaloccError(Exception, ABC):
    """Something in the model, its data or the options that calocc will not guess about.

    Subclasses are dataclasses whose fields carry the facts and whose properties word them.
    """

    @property
    @abstractmethod
    def where(self) -> str:
        """The place: a file, a layer, an option."""

    @property
    @abstractmethod
    def what(self) -> str:
        """One sentence without full stop: what is wrong there."""

    @property
    @abstractmethod
    def hint(self) -> str:
        """What to do about it."""

    def __str__(self) -> str:
        return f"error: {self.where}: {self.what}\n  hint: {self.hint}"


class Reasoned:
    """The words of errors that carry a `reason` and an `advice`; mixed in before `CaloccError`."""

    layer: str
    reason: str
    advice: str

    @property
    def where(self) -> str:
        return f"layer {self.layer!r}"

    @property
    def what(self) -> str:
        return self.reason

    @property
    def hint(self) -> str:
        return self.advice
