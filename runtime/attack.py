"""Searches for inputs on which a fixed-point program is far from its model in real arithmetic.

Random inputs rarely meet a bound that holds for all. So the search keeps the worst events that it
has found and changes some of their values: to anything, to the ends of the format, by an LSB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.ports import Port, input_ports, output_ports
from calocc.dialects.fixed.arithmetic import quantize_real, to_real
from calocc.dialects.fixed.format import Format
from calocc.runtime.emulator import execute

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

COPIES = 31
"""Changed copies, in each round of the search, of every event that it begins with."""


@dataclass
class Attack:
    """A `qnn` module on reals, the same lowered, and what was found so far.

    `kept` events begin each round; 32 times as many are run at once. `worst` is the largest
    |fixed - real| of each output, `culprits` are the inputs that show it (1, *shape), `largest` is
    the largest |real|, `events` the number of those tried.
    """

    model: ModuleOp
    lowered: ModuleOp
    random: np.random.Generator
    kept: int = 32
    worst: list[float] = field(default_factory=list[float])
    culprits: list[list[Ints]] = field(default_factory=list[list[Ints]])
    largest: float = 0.0
    events: int = 0

    def run(self, events: int) -> list[float]:
        """Try so many more events, half of them at random; return `worst`."""
        until = self.events + events
        while self.events < until - events // 2:
            self._try(self._anything(self.kept * (1 + COPIES)))
        best = self._anything(self.kept)
        while self.events < until:
            candidates = [self._changed(p, x) for p, x in zip(self._ports, best, strict=True)]
            distance = self._try(candidates)
            order = np.argsort(-distance, kind="stable")[: self.kept]
            best = [x[order] for x in candidates]
        return self.worst

    def note(
        self, mantissas: Sequence[Ints], fixed: Sequence[Ints], reals: Sequence[Reals]
    ) -> Reals:
        """Take events (events, *shape) by input with what the two modules compute, by output;
        return the largest distance of each event."""
        distances = [
            np.abs(to_real(f, _format(port).frac) - r).reshape(len(r), -1).max(axis=1)
            for port, f, r in zip(output_ports(self.lowered), fixed, reals, strict=True)
        ]
        self.largest = max(self.largest, *(float(np.abs(r).max(initial=0.0)) for r in reals))
        self._remember(distances, mantissas)
        self.events += len(distances[0])
        return np.max(distances, axis=0)

    @property
    def _ports(self) -> Sequence[Port]:
        return input_ports(self.lowered)

    def _anything(self, events: int) -> list[Ints]:
        """Mantissas at random; in every other event only the ends of the format."""
        arrays: list[Ints] = []
        for port in self._ports:
            lo, hi = _ends(port)
            anything = self.random.integers(lo, hi + 1, (events, *port.shape))
            anything[::2] = np.where(self.random.random(anything[::2].shape) < 0.5, lo, hi)
            arrays.append(anything)
        return arrays

    def _changed(self, port: Port, best: Ints) -> Ints:
        """The best events and many copies, in each of which some values are others."""
        lo, hi = _ends(port)
        copies = np.repeat(best, COPIES, axis=0)
        shares = self.random.choice([0.01, 0.05, 0.3], len(copies))
        chosen = self.random.random(copies.shape).T < shares
        by_one = copies + self.random.choice([-1, 1], copies.shape)
        anything = self.random.integers(lo, hi + 1, copies.shape)
        ends = np.where(self.random.random(copies.shape) < 0.5, lo, hi)
        kinds = self.random.integers(0, 3, copies.shape)
        others = np.where(kinds == 0, ends, np.where(kinds == 1, by_one, anything))
        changed = np.where(chosen.T, np.clip(others, lo, hi), copies)
        return np.concatenate([best, changed])

    def _try(self, mantissas: Sequence[Ints]) -> Reals:
        """Run events; the largest distance of each, over all outputs."""
        pairs = [_as_host(*pair) for pair in zip(self._ports, mantissas, strict=True)]
        fixed = execute(self.lowered, [m for m, _ in pairs])
        reals = execute(self.model, [x for _, x in pairs])
        return self.note(mantissas, fixed, reals)

    def _remember(self, distances: Sequence[Reals], mantissas: Sequence[Ints]) -> None:
        """Keep the worst event of each output."""
        self.worst = self.worst or [-1.0] * len(distances)
        self.culprits = self.culprits or [[]] * len(distances)
        for k, distance in enumerate(distances):
            event = int(distance.argmax())
            if distance[event] > self.worst[k]:
                self.worst[k] = float(distance[event])
                self.culprits[k] = [m[event : event + 1] for m in mantissas]


def _format(port: Port) -> Format:
    assert port.format is not None
    return port.format


def _ends(port: Port) -> tuple[int, int]:
    return _format(port).min_mantissa, _format(port).max_mantissa


def _as_host(port: Port, mantissas: Ints) -> tuple[Ints, Reals]:
    """What a host sends for the values of these mantissas, and the values on the grid of the port:
    not the least one of a format, if it saturates symmetrically."""
    reals = to_real(mantissas, _format(port).frac)
    sent = quantize_real(reals, _format(port), port.rounding, port.overflow)
    return sent, to_real(sent, _format(port).frac)
