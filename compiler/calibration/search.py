"""The fewest bits with which a model of reals keeps an accuracy on calibration data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from calocc.compiler.calibration.accuracy import Accuracy, compared, worst
from calocc.compiler.calibration.bits import Bits
from calocc.compiler.calibration.errors import AccuracyNotReached
from calocc.compiler.calibration.insert import Samples, quantized
from calocc.compiler.calibration.points import Needs
from calocc.compiler.calibration.request import FEWEST, MOST, Request
from calocc.compiler.ports import main_function, output_ports
from calocc.dialects.qnn.recurrent import RecurrentOp
from calocc.runtime.emulator import EVENTS_AT_ONCE, execute

Reals = NDArray[np.float64]

TRIAL_EVENTS = 128
"""Events on which bits are compared; the result is measured on all."""
SAMPLE = 1 << 16
"""Values kept of a point, from which its format is chosen, besides the extremes."""


@dataclass(eq=False)
class Calibration:
    """A model of reals whose batch normalisations are affine, and events (one array per input)."""

    module: ModuleOp
    events: Sequence[Reals]
    request: Request
    progress: Callable[[str], None]
    _errors: dict[Bits, float] = field(default_factory=dict[Bits, float])

    def quantized(self, bits: Bits) -> ModuleOp:
        """The model with quantizers."""
        return quantized(self.module, self.samples, bits)

    def finest(self) -> Bits:
        """The most bits that are tried."""
        most = Bits(MOST, MOST, self.request.criterion)
        weights, activations = self.request.weights_bits, self.request.activations_bits
        return replace(
            most,
            weights=most.weights if weights is None else weights,
            activations=most.activations if activations is None else activations,
        )

    def search(self) -> Bits:
        """The fewest bits that meet the target: both alike, then weights, then activations.

        Raises AccuracyNotReached if the most bits do not.
        """
        finest, target = self.finest(), self.request.target
        if target is None:
            return finest
        if self.error(finest) > target:
            raise AccuracyNotReached(target, self.error(finest), finest)
        alike = [self._both(finest, n) for n in range(FEWEST, MOST + 1)]
        best = _first(alike, lambda bits: self.error(bits) <= target)
        for key in self._open():
            fewer = [replace(best, **{key: n}) for n in range(FEWEST, getattr(best, key) + 1)]
            best = _first(fewer, lambda bits: self.error(bits) <= target)
        return best

    def _open(self) -> list[str]:
        """What the user has not fixed."""
        given = {"weights": self.request.weights_bits, "activations": self.request.activations_bits}
        return [key for key, bits in given.items() if bits is None]

    def _both(self, bits: Bits, n: int) -> Bits:
        return replace(bits, **dict.fromkeys(self._open(), n))

    def error(self, bits: Bits) -> float:
        """The relative error of the worst output on some of the events."""
        if bits not in self._errors:
            results = execute_all(self.quantized(bits), self._trial)
            self._errors[bits] = worst(self.accuracy(results, TRIAL_EVENTS))
            self.progress(
                f"{bits.weights} bits for weights, {bits.activations} for activations: "
                f"relative error {self._errors[bits]:.2g}"
            )
        return self._errors[bits]

    def accuracy(self, results: Sequence[Reals], events: int | None = None) -> list[Accuracy]:
        """The errors of outputs on the first `events` events."""
        names = [port.name for port in output_ports(self.module)]
        return compared(names, results, [exact[:events] for exact in self.exact])

    @property
    def _trial(self) -> list[Reals]:
        return [x[:TRIAL_EVENTS] for x in self.events]

    @cached_property
    def exact(self) -> list[Reals]:
        """The outputs of the model of reals."""
        return execute_all(self.module, self.events)

    @cached_property
    def samples(self) -> Samples:
        """Values seen at each point: the extremes, and others drawn evenly."""
        points = list(Needs.of(self.module).points)
        chunks: dict[SSAValue, list[Reals]] = {value: [] for value in points}
        share = max(SAMPLE * EVENTS_AT_ONCE // len(self.events[0]), 256)

        def keep(value: SSAValue, array: Reals) -> None:
            if value in chunks:
                chunks[value].append(_thinned(array, max(share // _times(value), 1)))

        def observe(op: Operation, results: tuple[Reals, ...]) -> None:
            for pair in zip(op.results, results, strict=True):
                keep(*pair)

        for events in _batches(self.events):
            for pair in zip(main_function(self.module).args, events, strict=True):
                keep(*pair)
            execute(self.module, events, observe)
        return {k: np.concatenate(chunks[value]) for k, value in enumerate(points)}


def _times(value: SSAValue) -> int:
    """How often a value is computed per event."""
    step = value.owner.parent_op()
    return step.steps if isinstance(step, RecurrentOp) else 1


def _thinned(array: Reals, share: int) -> Reals:
    """About `share` of the values, evenly spaced, with the least and the greatest."""
    flat = array.reshape(-1)
    extremes = np.array([flat.min(), flat.max()])
    return np.concatenate([flat[:: max(flat.size // share, 1)], extremes])


def _batches(events: Sequence[Reals]) -> list[list[Reals]]:
    starts = range(0, len(events[0]), EVENTS_AT_ONCE)
    return [[x[k : k + EVENTS_AT_ONCE] for x in events] for k in starts]


def execute_all(module: ModuleOp, events: Sequence[Reals]) -> list[Reals]:
    """The results of a module on reals for all events."""
    parts = [execute(module, batch) for batch in _batches(events)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _first(choices: Sequence[Bits], good: Callable[[Bits], bool]) -> Bits:
    """The first good choice by bisection; the last one is known to be good."""
    low, high = 0, len(choices) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(choices[middle]) else (middle + 1, high)
    return choices[low]
