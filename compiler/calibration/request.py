"""What a user asks of a calibration."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.calibration.errors import BadRequest
from calocc.compiler.calibration.formats import Criterion

FEWEST, MOST = 2, 16
"""Bits that are tried."""
DEFAULT_ACCURACY = 0.01


@dataclass(frozen=True)
class Request:
    """The largest relative error and the bits that are wanted; what is None is found."""

    accuracy: float | None = None
    weights_bits: int | None = None
    activations_bits: int | None = None
    chosen: Criterion | None = None

    @staticmethod
    def of(
        accuracy: float | None,
        weights: int | None,
        activations: int | None,
        criterion: str | None = None,
    ) -> Request:
        """Check the options; raise BadRequest."""
        if accuracy is not None and not 0 < accuracy < 1:
            raise BadRequest("accuracy", f"{accuracy:g} is not a relative error between 0 and 1")
        for option, bits in (("weights-bits", weights), ("activations-bits", activations)):
            if bits is not None and not FEWEST <= bits <= MOST:
                raise BadRequest(option, f"{bits} is not a number of bits from {FEWEST} to {MOST}")
        if criterion not in (None, *Criterion):
            known = ", ".join(Criterion)
            raise BadRequest("criterion", f"{criterion!r} is not one of {known}")
        chosen = None if criterion is None else Criterion(criterion)
        return Request(accuracy, weights, activations, chosen)

    @property
    def criterion(self) -> Criterion:
        """What formats are chosen for: the least square error if nothing is given."""
        return self.chosen or Criterion.SQUARE

    @property
    def given(self) -> bool:
        """Whether anything is asked for."""
        return (self.accuracy, self.weights_bits, self.activations_bits) != (None, None, None)

    @property
    def target(self) -> float | None:
        """The largest relative error; None if bits are given and no error."""
        fixed = self.weights_bits is not None and self.activations_bits is not None
        return DEFAULT_ACCURACY if self.accuracy is None and not fixed else self.accuracy

    def require_nothing(self) -> None:
        """Raise BadRequest if anything is asked for, as there are no data to find it from."""
        options = {
            "accuracy": self.accuracy,
            "weights-bits": self.weights_bits,
            "activations-bits": self.activations_bits,
            "criterion": self.chosen,
        }
        for option, value in options.items():
            if value is not None:
                raise BadRequest(option, "there are no data: it goes with --calibrate")
