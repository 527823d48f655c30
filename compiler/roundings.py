"""`--rounding`: how activations round and overflow, and what each choice does to a design."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.calibration.accuracy import compared
from calocc.compiler.diagnostics import CaloccError
from calocc.passes.override_rounding import OverflowName, OverrideRounding, RoundingName

Reals = NDArray[np.float64]

ROUNDINGS: dict[str, RoundingName] = {"truncate": "trn", "round": "rnd", "convergent": "rnd_conv"}
OVERFLOWS: dict[str, OverflowName] = {"saturate": "sat", "wrap": "wrap"}


@dataclass(eq=False)
class BadRounding(CaloccError):
    """A choice of rounding that does not exist, or that there are no data to compare with."""

    option: str
    problem: str

    @property
    def where(self) -> str:
        return f"option --{self.option}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        words = ", ".join((*ROUNDINGS, *OVERFLOWS))
        return f"name one or two of {words}, as in --rounding truncate,wrap"


@dataclass(frozen=True)
class Rounds:
    """What takes the place of the model's own rounding and overflow; None leaves them."""

    rounding: str | None = None
    overflow: str | None = None

    @staticmethod
    def parse(text: str | None) -> Rounds:
        """Read `truncate,wrap` or a part of that; raise BadRounding."""
        words = [word.strip() for word in text.split(",")] if text is not None else []
        rounding = [word for word in words if word in ROUNDINGS]
        overflow = [word for word in words if word in OVERFLOWS]
        if len(rounding) + len(overflow) < len(words):
            raise BadRounding("rounding", f"{text!r} is not a rounding or an overflow")
        if len(rounding) > 1 or len(overflow) > 1:
            raise BadRounding("rounding", f"{text!r} says two things at once")
        return Rounds(*(next(iter(found), None) for found in (rounding, overflow)))

    @property
    def given(self) -> bool:
        """Whether anything changes."""
        return self != Rounds()

    def spec(self) -> str:
        """The pass that applies this choice."""
        rounding = ROUNDINGS[self.rounding] if self.rounding else None
        return str(
            OverrideRounding(rounding, OVERFLOWS[self.overflow] if self.overflow else None).spec()
        )

    def __str__(self) -> str:
        words = [word for word in (self.rounding, self.overflow) if word]
        return ", ".join(words) or "as the model says"


def choices() -> Iterator[Rounds]:
    """The model's own way, and all others."""
    yield Rounds()
    for pair in product(ROUNDINGS, OVERFLOWS):
        yield Rounds(*pair)


def compared_row(
    rounds: Rounds,
    report: Mapping[str, Any],
    results: Reals | list[Reals],
    exact: Sequence[Reals],
) -> dict[str, Any]:
    """A choice as plain data: the errors of each output against the model, and what it costs."""
    values = results if isinstance(results, list) else [results]
    names = [port["name"] for port in report["outputs"]]
    return {
        "rounding": str(rounds),
        "outputs": [accuracy.row() for accuracy in compared(names, values, exact)],
        "latency_cycles": report["latency_cycles"],
        **{name: figure["used"] for name, figure in report["resources"].items()},
    }
