"""The committed examples as the end-to-end tests see them: models, stages, designs and events."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.design import Design
from calocc.compiler.network import processes_of
from calocc.compiler.ports import Port, main_function

Reals = NDArray[np.float64]

EXAMPLES = Path(__file__).parents[2] / "examples"
LEVELS = (0, 1, 2, 3)
TEST_EVENTS = 40
DRAWN_EVENTS = 10
"""Events of each of the kinds below that are drawn at random."""


@dataclass(frozen=True)
class Example:
    """A model file, and the name of its input."""

    path: str
    input: str

    @property
    def model(self) -> Path:
        return EXAMPLES / self.path

    @property
    def name(self) -> str:
        return self.model.stem

    def data(self) -> NDArray[np.float32]:
        """The test events that come with the model."""
        with np.load(self.model.parent / "test_data.npz") as file:
            return file[self.input]


JETS = Example("jets/jets.h5", "jets")
DIGITS = Example("digits/digits.h5", "digits")
DEEPCALO = Example("deepcalo/deepcalo_image.h5", "image")
ALL = (DEEPCALO, JETS, DIGITS)


@cache
def design_of(example: Example, level: int) -> Design:
    return Compilation(example.model, Options(level)).design()


def scheduled_iterations(design: Design, events: int) -> list[int]:
    """How often the loop of each process has to run for so many events."""
    processes = processes_of(main_function(design.module))
    return [events * op.schedule().trips for op in processes]


@cache
def stage_of(example: Example, level: int, stage: str) -> ModuleOp:
    if stage == "dataflow":
        return design_of(example, level).module
    return Compilation(example.model, Options(level)).stage(stage)


@cache
def events_of(example: Example) -> Reals:
    """At least 100 events: test data, then what an input format finds hard."""
    port = design_of(example, 0).inputs[0]
    generator = np.random.default_rng(1)
    given = example.data()[:TEST_EVENTS].astype(np.float64)
    return np.concatenate([given, constant_events(port), *drawn_events(port, generator)])


def constant_events(port: Port) -> Reals:
    """Each edge of the format, its neighbours and zero, in all elements at once."""
    assert port.format is not None
    lsb = port.format.lsb
    lo, hi = port.format.min_mantissa * lsb, port.format.max_mantissa * lsb
    steps = np.array([-1, -0.5, 0, 0.5, 1]) * lsb
    edges = np.concatenate([lo + steps, steps, hi + steps, [-1e6, 1e6]])
    return np.broadcast_to(edges.reshape(-1, *(1 for _ in port.shape)), (len(edges), *port.shape))


def drawn_events(port: Port, generator: np.random.Generator) -> list[Reals]:
    """Corners of the format, its whole range, beyond its range, ties, and next to ties."""
    assert port.format is not None
    shape, lsb = (DRAWN_EVENTS, *port.shape), port.format.lsb
    lo, hi = port.format.min_mantissa * lsb, port.format.max_mantissa * lsb
    ties = np.asarray((generator.integers(-64, 64, shape) + 0.5) * lsb, np.float64)
    return [
        generator.choice([lo, hi], shape),
        generator.uniform(lo, hi, shape),
        generator.uniform(4 * lo, 4 * hi, shape),
        ties,
        np.nextafter(ties, generator.choice([-np.inf, np.inf], shape)).astype(np.float64),
    ]
