"""What an exploration sweeps: every combination of the values given for each option."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

from calocc.compiler.calibration.request import Request
from calocc.compiler.compilation import Options
from calocc.compiler.devices import load_device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.roundings import Rounds
from calocc.passes.balance import GOALS, LAYOUTS


@dataclass(eq=False)
class BadGrid(CaloccError):
    """Options that cannot be swept."""

    option: str
    problem: str
    advice: str

    @property
    def where(self) -> str:
        return f"option --{self.option}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return self.advice


@dataclass(eq=False)
class CannotRead(CaloccError):
    """A file that an exploration needs."""

    file: str
    problem: str

    @property
    def where(self) -> str:
        return self.file

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "name a file that exists and may be read"


@dataclass(frozen=True)
class Point:
    """One combination of what is swept; None leaves the model's own rounding, or bits to
    `accuracy`."""

    target: str = "alveo-u50"
    clock: float = 250.0
    budget: float = 0.8
    optimize: str = "latency"
    layout: str = "mixed"
    packing: str = "on"
    rounding: str | None = None
    weights_bits: int | None = None
    activations_bits: int | None = None


@dataclass(frozen=True)
class Grid:
    """The values of each option of `Point`, by the same names."""

    target: tuple[str, ...] = ("alveo-u50",)
    clock: tuple[float, ...] = (250.0,)
    budget: tuple[float, ...] = (0.8,)
    optimize: tuple[str, ...] = (GOALS[0],)
    layout: tuple[str, ...] = (LAYOUTS[0],)
    packing: tuple[str, ...] = ("on",)
    rounding: tuple[str | None, ...] = (None,)
    weights_bits: tuple[int | None, ...] = (None,)
    activations_bits: tuple[int | None, ...] = (None,)

    def points(self) -> Iterator[Point]:
        """All combinations, each once; the last option varies fastest."""
        names = [field.name for field in fields(Point)]
        axes = [dict.fromkeys(getattr(self, name)) for name in names]
        for values in product(*axes):
            yield Point(**dict(zip(names, values, strict=True)))

    def check(self, data: Path | None) -> None:
        """Raise BadGrid, UnknownDevice, BadRounding or BadRequest for values that no design can
        have; `data` are those of calibration."""
        for name in self.target:
            load_device(name)
        for text in self.rounding:
            Rounds.parse(text)
        _require("clock", self.clock, 1, 1000, "give clocks of 1 to 1000 MHz")
        _require("budget", self.budget, 1e-9, 1, "give fractions above 0, up to 1")
        for bits in product(self.weights_bits, self.activations_bits):
            Request.of(None, *bits)
        for name in ("rounding", "weights_bits", "activations_bits"):
            if data is None and getattr(self, name) != (None,):
                raise BadGrid(
                    name.replace("_", "-"),
                    "without data nothing tells what it does to the results",
                    "name typical inputs with --calibrate",
                )


def _require(name: str, values: tuple[float, ...], least: float, most: float, advice: str) -> None:
    for value in values:
        if not (isfinite(value) and least <= value <= most):
            raise BadGrid(name.replace("_", "-"), f"{value:g} is out of range", advice)


@dataclass(frozen=True)
class Setup:
    """What all points have in common: files, and options that are not swept."""

    model: Path
    weights: Path | None = None
    data: Path | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    settings: tuple[str, ...] = ()
    accuracy: float | None = None

    def options(self, point: Point) -> Options:
        """What the compiler is asked for."""
        bits = point.weights_bits, point.activations_bits
        request = Request.of(self.accuracy, *bits)
        return Options(
            target=point.target,
            clock_mhz=point.clock,
            inputs=dict(self.inputs),
            calibrate=self.data,
            settings=self.settings,
            weights=self.weights,
            request=request,
            rounds=Rounds.parse(point.rounding),
            optimize=point.optimize,
            budget=point.budget,
            layout=point.layout,
            packing=point.packing == "on",
        )

    def identity(self) -> str:
        """A hash of the contents of all files, of the options, and of calocc's version."""
        from importlib.metadata import version

        files = [_digest(path) for path in (self.model, self.weights, self.data)]
        options = [self.inputs, self.settings, self.accuracy]
        return _hash([version("calocc"), files, options])


def key(identity: str, point: Point) -> str:
    """The name of a point among the results."""
    return _hash([identity, asdict(point)])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def _digest(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        problem = f"it cannot be read: {error.strerror or error}"
        raise CannotRead(str(path), problem) from None
