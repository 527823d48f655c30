"""Runs a module on data after every pass, and says which pass changes what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from calocc.compiler.data import arrays_for, to_mantissas
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ports import Port, input_ports, output_ports
from calocc.compiler.stages import Stage, stage_of
from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.fixed.exact import align
from calocc.runtime.emulator import EVENTS_AT_ONCE, execute

Arrays = list[NDArray[np.float64]]


@dataclass(eq=False)
class BitsChanged(CaloccError):
    """A pass on fixed-point numbers after which a design returns other bits."""

    step: str
    output: str
    element: tuple[int, ...]
    """Event and index of the first element that differs."""
    expected: float
    found: float
    differing: int

    @property
    def where(self) -> str:
        return f"pass {self.step}"

    @property
    def what(self) -> str:
        event, *index = self.element
        return (
            f"it changes {self.differing} values of output {self.output!r}; the first is "
            f"{index} of event {event}: {self.found!r} instead of {self.expected!r}"
        )

    @property
    def hint(self) -> str:
        return "only lower-to-fixed and what comes before it may change numbers; mend the pass"


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a module returns for some events: mantissas where `ports` have formats, else reals."""

    ports: tuple[Port, ...]
    values: list[NDArray[Any]]

    def reals(self) -> Arrays:
        """The values as real numbers."""
        return [
            np.asarray(v, np.float64) if p.format is None else to_real(v, p.format.frac)
            for p, v in zip(self.ports, self.values, strict=True)
        ]


def run(module: ModuleOp, arrays: Arrays) -> Outputs:
    """Run events (events, *shape) through a module at any stage, as many at once as fit."""
    ports = input_ports(module)
    inputs = [
        a if p.format is None else to_mantissas(p, a) for p, a in zip(ports, arrays, strict=True)
    ]
    parts = [
        execute(module, [x[first : first + EVENTS_AT_ONCE] for x in inputs])
        for first in range(0, len(inputs[0]), EVENTS_AT_ONCE)
    ]
    return Outputs(output_ports(module), [np.concatenate(p) for p in zip(*parts, strict=True)])


def first_difference(step: str, before: Outputs, after: Outputs) -> BitsChanged | None:
    """Where two runs on fixed-point numbers differ, or None. Formats may differ, values not."""
    for k, (old, new) in enumerate(zip(before.ports, after.ports, strict=True)):
        assert old.format is not None
        assert new.format is not None
        frac = max(old.format.frac, new.format.frac)
        expected = align(before.values[k], old.format.frac, frac)
        found = align(after.values[k], new.format.frac, frac)
        where = np.argwhere(expected != found)
        if len(where):
            place = tuple(int(i) for i in where[0])
            values = (float(to_real(m[place], frac)) for m in (expected, found))
            return BitsChanged(step, new.name, place, *values, differing=len(where))
    return None


@dataclass
class BitsCheck:
    """Compares what a module returns before and after every pass.

    On fixed-point numbers no bit may change; what decides numerics is only measured.
    """

    given: Callable[[tuple[Port, ...]], Arrays]
    """The events for some inputs."""
    rows: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    _last: Outputs | None = None
    _stage: Stage | None = None

    @staticmethod
    def of(x: dict[str, NDArray[np.float64]]) -> BitsCheck:
        """A check with arrays (events, *shape) by input name; raises BadInput when it starts."""
        return BitsCheck(lambda ports: arrays_for(ports, x))

    def start(self, module: ModuleOp) -> None:
        """Run the module before the first pass."""
        self._last, self._stage = self._run(module), stage_of(module)

    def after(self, step: ModulePass, module: ModuleOp) -> None:
        """Run the module after a pass; raise BitsChanged."""
        assert self._last is not None
        before, exact = self._last, self._stage not in (None, Stage.QNN)
        self._last, self._stage = self._run(module), stage_of(module)
        if exact and (changed := first_difference(step.name, before, self._last)):
            self.rows.append((step.name, f"{changed.differing} values differ"))
            raise changed
        self.rows.append((step.name, "the same bits" if exact else _distance(before, self._last)))

    def _run(self, module: ModuleOp) -> Outputs:
        return run(module, self.given(input_ports(module)))

    def print(self, console: Console) -> None:
        """What was found so far."""
        table = Table("pass", "outputs", title="against the module before the pass")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)


def _distance(before: Outputs, after: Outputs) -> str:
    pairs = zip(before.reals(), after.reals(), strict=True)
    most = max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)
    return "equal" if most == 0 else f"differ by at most {most:.3g}"
