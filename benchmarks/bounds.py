"""Certified bounds of |fixed - real| under attack: never exceeded, and how tight they are.

Run from the root of the repository: `python -m benchmarks.bounds`. A model `X, float` is X without
its quantizers, compiled as float models are: 8 bits for weights, 10 for activations.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.rewriter import Rewriter

from benchmarks.models import MODELS, Model
from calocc.compiler.calibration.request import Request
from calocc.compiler.calibration.search import Calibration
from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.pipeline import NUMERICS, Runner, new_context
from calocc.compiler.ports import main_function, output_ports
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.passes.fold_batch_norm import FoldBatchNorm
from calocc.runtime.attack import Attack

WEIGHTS_BITS, ACTIVATIONS_BITS = 8, 10
CALIBRATION_EVENTS = 256
SHARE = {"jets": 1.0, "digits": 0.02, "deepcalo": 0.0002}
"""What part of the events each model sees: a larger one takes longer."""


def lowered(model: ModuleOp) -> ModuleOp:
    """The model on fixed-point numbers."""
    module = model.clone()
    Runner(new_context(), {}).run(module, NUMERICS)
    return module


def unquantized(module: ModuleOp) -> ModuleOp:
    """The model without its quantizers; batch normalisations become affine."""
    copy = module.clone()
    for op in list(main_function(copy).body.block.ops):
        if isinstance(op, QuantizeOp):
            op.result.replace_all_uses_with(op.x)
            Rewriter.erase_op(op)
    FoldBatchNorm().apply(Context(), copy)
    return copy


def calibrated(model: ModuleOp, events: NDArray[Any]) -> ModuleOp:
    """A model of reals with as many bits as above."""
    request = Request.of(None, WEIGHTS_BITS, ACTIVATIONS_BITS, "mse")
    calibration = Calibration(model, [events.astype(np.float64)], request, lambda _: None)
    return calibration.quantized(calibration.finest())


def pairs(model: Model) -> list[tuple[str, ModuleOp, ModuleOp]]:
    """The model and the same as a float model: names, reals and what is to be lowered."""
    reals = Compilation(model.path, Options()).stage("qnn")
    plain = unquantized(reals)
    quantized = calibrated(plain, model.events()[:CALIBRATION_EVENTS])
    return [(model.name, reals, reals), (f"{model.name}, float", plain, quantized)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table; end with 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    options = parser.parse_args(arguments)
    table = Table("model", "events", "certified", "found", "tightness", title="|fixed - real|")
    exceeded = False
    for model in track(MODELS, "attacking"):
        for name, reals, quantized in pairs(model):
            attack = Attack(reals, lowered(quantized), np.random.default_rng(options.seed))
            (worst,) = attack.run(int(options.events * SHARE[model.name]))
            (port,) = output_ports(attack.lowered)
            bound = np.inf if port.bound is None else port.bound
            exceeded |= worst > bound
            ratio = f"{worst / bound:.2g}" if bound else "equal"
            table.add_row(name, f"{attack.events:,}", f"{bound:.4g}", f"{worst:.4g}", ratio)
    Console().print(table)
    raise SystemExit(int(exceeded))


if __name__ == "__main__":
    main()
