"""Pieces of C++: types, numbers, and the structs that configure a kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.fixed.format import Format, Overflow, Rounding

_ROUNDING = {
    Rounding.TRN: "AP_TRN",
    Rounding.TRN_ZERO: "AP_TRN_ZERO",
    Rounding.RND: "AP_RND",
    Rounding.RND_ZERO: "AP_RND_ZERO",
    Rounding.RND_MIN_INF: "AP_RND_MIN_INF",
    Rounding.RND_INF: "AP_RND_INF",
    Rounding.RND_CONV: "AP_RND_CONV",
}
_OVERFLOW = {
    Overflow.WRAP: "AP_WRAP",
    Overflow.SAT: "AP_SAT",
    Overflow.SAT_SYM: "AP_SAT_SYM",
    Overflow.SAT_ZERO: "AP_SAT_ZERO",
}
_PER_LINE = 12


def fixed_type(
    format: Format, rounding: Rounding = Rounding.TRN, overflow: Overflow = Overflow.WRAP
) -> str:
    """The `ap_fixed` type of a format; modes are named unless they are the defaults."""
    sign = "" if format.signed else "u"
    modes = ""
    if (rounding, overflow) != (Rounding.TRN, Overflow.WRAP):
        modes = f", {_ROUNDING[rounding]}, {_OVERFLOW[overflow]}"
    return f"ap_{sign}fixed<{format.width}, {format.integer}{modes}>"


def literals(mantissas: NDArray[np.int64], frac: int) -> list[str]:
    """Decimal literals of `mantissas * 2^-frac`, each exactly the value of a double.

    Raises ValueError beyond 53 significant bits.
    """
    distinct, index = _distinct(mantissas)
    if np.any(np.abs(distinct) > 1 << 53):
        raise ValueError("a constant has more than 53 significant bits")
    texts = [_literal(v) for v in np.ldexp(distinct.astype(np.float64), -frac).tolist()]
    return [texts[k] for k in index.ravel().tolist()]


def _distinct(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ascending values that include all that are given, and the places of those among them."""
    least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if most - least < values.size:  # weights have few bits: nothing to sort
        return np.arange(least, most + 1, dtype=np.int64), values - least
    distinct: NDArray[np.int64] = np.unique(values)
    return distinct, np.searchsorted(distinct, values)


def _literal(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1 << 31 else repr(value)


def rows(items: list[str], indent: str) -> str:
    """A comma-separated list over several lines."""
    lines = [", ".join(items[k : k + _PER_LINE]) for k in range(0, len(items), _PER_LINE)]
    return f",\n{indent}".join(lines)


@dataclass
class Struct:
    """A C++ struct of types, static constants and static functions."""

    name: str
    comment: str = ""
    types: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    constants: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    members: list[str] = field(default_factory=list[str])

    def define(self, **values: int) -> Struct:
        """Add constants of type unsigned."""
        self.constants.extend(values.items())
        return self

    def alias(self, **types: str) -> Struct:
        """Add types."""
        self.types.extend(types.items())
        return self

    def add(self, members: Iterable[str]) -> Struct:
        """Add whole members, such as functions."""
        self.members.extend(members)
        return self
