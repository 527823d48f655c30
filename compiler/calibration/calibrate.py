"""From a model of reals and data to a model with formats, and the accuracy that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.calibration.accuracy import Accuracy, worst
from calocc.compiler.calibration.bits import Bits
from calocc.compiler.calibration.errors import AccuracyNotReached
from calocc.compiler.calibration.points import Needs
from calocc.compiler.calibration.request import Request
from calocc.compiler.calibration.search import Calibration
from calocc.compiler.inputs import Arrays, calibration_arrays
from calocc.passes.fold_batch_norm import FoldBatchNorm

Reals = NDArray[np.float64]
Prediction = Reals | list[Reals]

MOST_EVENTS = 1024
"""Events beyond which data say no more about formats."""


@dataclass(eq=False)
class Calibrated:
    """A model with the formats that its data need."""

    calibration: Calibration
    bits: Bits
    module: ModuleOp

    accuracy: list[Accuracy] = field(default_factory=list[Accuracy])
    """That of the integer program, once it was measured."""

    def measured(self, predict: Callable[[list[Reals]], Prediction]) -> dict[str, Any]:
        """Bits, and the errors of the integer program that `predict` runs, as plain data."""
        calibration = self.calibration
        results = predict(list(calibration.events))
        results = results if isinstance(results, list) else [results]
        self.accuracy = calibration.accuracy(results)
        return {
            "weights_bits": self.bits.weights,
            "activations_bits": self.bits.activations,
            "criterion": str(self.bits.criterion),
            "target": calibration.request.target,
            "events": len(calibration.events[0]),
            "outputs": [accuracy.row() for accuracy in self.accuracy],
        }

    @property
    def is_accurate(self) -> bool:
        """Whether the integer program, too, has the accuracy that was asked for."""
        target = self.calibration.request.target
        return target is None or worst(self.accuracy) <= target

    def refined(self) -> ModuleOp:
        """The model with another bit for what the user has not fixed; raise AccuracyNotReached."""
        finest = self.calibration.finest()
        more = Bits(
            min(self.bits.weights + 1, finest.weights),
            min(self.bits.activations + 1, finest.activations),
            self.bits.criterion,
        )
        if more == self.bits:
            target = self.calibration.request.target or 0.0
            raise AccuracyNotReached(target, worst(self.accuracy), self.bits)
        self.bits, self.module = more, self.calibration.quantized(more)
        return self.module


def calibrate_model(
    module: ModuleOp, data: Arrays, source: str, request: Request, progress: Callable[[str], None]
) -> Calibrated | None:
    """Find formats for a `qnn` module that cannot do without them, or where bits are asked for.

    Returns None for a model that brings all formats that it needs, but for those of inputs.
    Raises BadData or AccuracyNotReached.
    """
    folded = module.clone()
    FoldBatchNorm().apply(Context(), folded)
    if not (Needs.of(folded).forced or request.given):
        return None
    events = [x[:MOST_EVENTS] for x in calibration_arrays(module, data, source)]
    calibration = Calibration(folded, events, request, progress)
    bits = calibration.search()
    return Calibrated(calibration, bits, calibration.quantized(bits))
