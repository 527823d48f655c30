"""Where drawn things take their decisions from: a seeded generator, or hypothesis.

What is drawn is written once against `Source`. `Seeded` is fast and needs no package;
`calocc.testing` puts the `draw` of hypothesis in its place, which shrinks decision by decision.
Decisions are ordered from the simplest one up: 0 and the first choice are what shrinking tends to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Source(ABC):
    """A sequence of decisions."""

    @abstractmethod
    def integer(self, lo: int, hi: int) -> int:
        """Any integer from `lo` to `hi`."""

    def pick(self, *choices: T) -> T:
        """One of the choices."""
        return choices[self.integer(0, len(choices) - 1)]

    def one_of(self, choices: Sequence[T]) -> T:
        """One element of a sequence."""
        return choices[self.integer(0, len(choices) - 1)]

    def flag(self) -> bool:
        """True half of the time."""
        return self.integer(0, 1) == 1

    def once_in(self, n: int) -> bool:
        """True once in n times."""
        return self.integer(0, n - 1) == n - 1

    def subset(self, choices: Sequence[T], least: int = 0) -> list[T]:
        """Some of the choices, in their order, at least so many."""
        chosen = {k for k in range(len(choices)) if self.flag()}
        missing = [k for k in range(len(choices)) if k not in chosen]
        while len(chosen) < least:
            chosen.add(missing.pop(self.integer(0, len(missing) - 1)))
        return [choices[k] for k in sorted(chosen)]

    def shuffled(self, choices: Sequence[T]) -> list[T]:
        """The choices in any order."""
        rest = list(choices)
        return [rest.pop(self.integer(0, len(rest) - 1)) for _ in choices]

    def seed(self) -> int:
        """A seed for arrays, which are not drawn element by element."""
        return self.integer(0, 2**32 - 1)


class Seeded(Source):
    """Decisions from a generator; equal keys give equal decisions on every machine."""

    def __init__(self, *key: object) -> None:
        digest = sha256("/".join(map(str, key)).encode()).digest()
        self._random = Random(int.from_bytes(digest[:8]))

    def integer(self, lo: int, hi: int) -> int:
        """Equally distributed."""
        return self._random.randint(lo, hi)
