"""Models of real numbers in the fuzzer: formats from drawn data, as `--calibrate` finds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.calibration.calibrate import calibrate_model
from calocc.compiler.calibration.request import Request
from calocc.compiler.inputs import quantize_inputs
from calocc.compiler.ports import Port, input_ports

EVENTS = 32
"""Events that formats are chosen from."""
SOURCE = "drawn data"


@dataclass(frozen=True)
class Data:
    """Data by their seed, and what a user asks of a calibration with them."""

    seed: int
    weights_bits: int
    activations_bits: int
    criterion: str

    def formats(self, module: ModuleOp) -> tuple[ModuleOp, ModuleOp | None]:
        """A module on reals with the formats that it lacks, and the one to compare it with, if that
        is another one.

        Raises what a calibration raises: CaloccError.
        """
        random = np.random.default_rng(self.seed)
        arrays = {port.name: _events(random, port) for port in input_ports(module)}
        request = Request.of(None, self.weights_bits, self.activations_bits, self.criterion)
        found = calibrate_model(module, arrays, SOURCE, request, lambda _: None)
        if found is not None:
            return found.module, found.calibration.module
        module = module.clone()
        quantize_inputs(module, arrays, SOURCE)
        return module, None


def _events(random: np.random.Generator, port: Port) -> NDArray[np.float64]:
    """Events as a detector may give them: of any scale, some of them all zeros."""
    values = random.normal(0, 2.0 ** random.integers(-3, 5), (EVENTS, *port.shape))
    return np.where(random.random(EVENTS).reshape(-1, *(1 for _ in port.shape)) < 0.9, values, 0.0)
