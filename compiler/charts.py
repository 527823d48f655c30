"""Pictures as files: templates, axes, and where a picture can be written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from calocc.compiler.diagnostics import CaloccError

_ENVIRONMENT = Environment(
    loader=PackageLoader("calocc.compiler"),
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
    autoescape=True,
)


@dataclass(eq=False)
class BadChart(CaloccError):
    """A picture that cannot be written where the user wants it."""

    option: str
    path: str
    problem: str
    suffixes: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"option --{self.option} {self.path}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return f"name a file that ends in {' or '.join(self.suffixes)}, in a directory that exists"


def expect_chart(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Raise BadChart for a suffix that is not among these, or a place that takes no file."""
    known = tuple(suffixes)
    if path.suffix not in known:
        raise BadChart(option, str(path), f"{path.suffix or 'no suffix'} is no format", known)
    place = path.absolute()
    if place.is_dir() or not place.parent.is_dir():
        raise BadChart(option, str(path), "it cannot be a file", known)
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        raise BadChart(option, str(path), "there is no permission to write it", known)


def write_chart(option: str, path: Path, text: str) -> None:
    """Write a picture; raise BadChart."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = f"it cannot be written: {error.strerror or error}"
        raise BadChart(option, str(path), problem, (path.suffix,)) from None


def drawn(template: str, **values: Any) -> str:
    """The text of a picture."""
    return _ENVIRONMENT.get_template(template).render(**values)


def ticks(end: float, most: int = 10) -> list[float]:
    """Round numbers from 0 up to `end`, at most so many and one: multiples of 1, 2 or 5 times a
    power of ten."""
    unit = 10.0 ** floor(log10(end / most))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k * most >= end)
    return [k * step for k in range(floor(end / step) + 1)]
