"""Events per second on DeepCalo: the exact emulator, Keras in float, QKeras, and the csim.

Run from the root of the repository: `python -m benchmarks.emulator`. The float network is the
same one with every quantizer replaced by `linear`; Keras runs as a compiled `tf.function`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from examples.deepcalo.layers import LAYERS
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import calocc
from benchmarks.models import ROOT
from calocc.runtime.reference import load_keras_model, reference_modules

BATCHES = (1, 64, 1024)
FILES = {"image": "test_data.npz", "full": "test_data_full.npz"}
CSIM_EVENTS = 8
SHAPE_KEYS = ("kernel_size", "dilation_rate", "use_bias", "depth_multiplier", "data_format")
LINEAR = {"activation": "linear"}
ENGINES = ("emulator", "1 thread", "TF float", "QKeras", "csim")
OTHERS = ("TF float", "QKeras", "csim")
Inputs = dict[str, NDArray[Any]]
Engine = Callable[[Inputs], object]


@dataclass(frozen=True)
class Cost:
    """Seconds per event: of time, and of all processors together, which other work on the machine
    changes less."""

    time: float
    processors: float


def costs(engines: Mapping[str, Engine], events: Inputs, rounds: int) -> dict[str, Cost]:
    """Medians over rounds in which all engines take their turn, so that whatever else the machine
    does meets them alike."""
    found: dict[str, list[Cost]] = {name: [] for name in engines}
    for run in engines.values():
        run(events)
    for _ in range(rounds):
        for name, run in engines.items():
            found[name].append(cost(run, events))
    return {
        name: Cost(median(c.time for c in turns), median(c.processors for c in turns))
        for name, turns in found.items()
    }


def cost(run: Engine, events: Inputs) -> Cost:
    """What one run costs."""
    count = len(next(iter(events.values())))
    time, processors = perf_counter(), process_time()
    run(events)
    return Cost((perf_counter() - time) / count, (process_time() - processors) / count)


def keras_function(path: Path, quantized: bool) -> Engine:
    """The Keras model as a compiled function of arrays by input name."""
    modules = reference_modules()
    model = load_keras_model(path, LAYERS)
    if not quantized:
        model = _unquantized(modules.keras, model)

    def infer(arrays: list[NDArray[Any]]) -> Any:
        return model(arrays, training=False)

    function = modules.tensorflow.function(infer)
    return lambda events: function([events[name] for name in model.input_names])


def _unquantized(keras: Any, model: Any) -> Any:
    """The model with QKeras layers as their Keras namesakes and activations as they are."""

    def plain(layer: Any) -> Any:
        name, config = type(layer).__name__, layer.get_config()
        if name == "QActivation":
            return keras.layers.Activation("relu" if "relu" in str(layer.activation) else "linear")
        if not name.startswith("Q"):
            return layer.__class__.from_config(config)
        # A batch normalisation is folded into the layer by anyone who deploys the network.
        kind = getattr(keras.layers, name[1:].removesuffix("Batchnorm"))
        known = {k for k in signature(kind.__init__).parameters if "_" not in k or k in SHAPE_KEYS}
        return kind.from_config({k: v for k, v in config.items() if k in known} | LINEAR)

    return keras.models.clone_model(model, clone_function=plain)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print two tables for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns per batch (%(default)s)")
    options = parser.parse_args(arguments)
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "DEFAULT")  # all that TensorFlow would use
    for name, data in FILES.items():
        path = ROOT / "examples" / "deepcalo" / f"deepcalo_{name}.h5"
        with np.load(path.parent / data) as file:
            events: Inputs = {k: file[k] for k in file.files}
        design = calocc.compile(path)
        given = {p.name: events[p.name].astype(np.float32) for p in design.inputs}
        measured = measure(path, design, given, options.rounds)
        rates = {n: {e: 1 / c.time for e, c in of.items()} for n, of in measured.items()}
        Console().print(table(f"{name}: events per second", rates))
        used = {n: {e: 1e6 * c.processors for e, c in of.items()} for n, of in measured.items()}
        Console().print(table(f"{name}: microseconds of processors per event", used))


def measure(
    path: Path, design: calocc.Design, given: Inputs, rounds: int
) -> dict[int, dict[str, Cost]]:
    """For each size of batches what all engines cost; the csim runs events one by one."""
    engines: dict[str, Engine] = {
        "emulator": lambda x: design.predict(x),
        "1 thread": lambda x: design.predict(x, threads=1),
        "TF float": keras_function(path, quantized=False),
        "QKeras": keras_function(path, quantized=True),
    }
    found = {n: costs(engines, resized(given, n), turns(n, rounds)) for n in BATCHES}
    found[1] |= costs({"csim": design.csim().predict}, resized(given, CSIM_EVENTS), rounds)
    return found


def table(title: str, figures: Mapping[int, Mapping[str, float]]) -> Table:
    """Figures by batch and engine, and those of the emulator over those of the others."""
    result = Table("batch", *ENGINES, *(f"emulator / {e}" for e in OTHERS), title=title)
    for batch, of in figures.items():
        plain = [f"{of[e]:.0f}" if e in of else "" for e in ENGINES]
        over = [f"{of['emulator'] / of[e]:.2f}" if e in of else "" for e in OTHERS]
        result.add_row(str(batch), *plain, *over)
    return result


def resized(given: Inputs, events: int) -> Inputs:
    """As many events as asked for, the given ones over and over."""
    return {name: np.resize(x, (events, *x.shape[1:])) for name, x in given.items()}


def turns(events: int, rounds: int) -> int:
    """Short runs are repeated more often."""
    return rounds * max(32 // events, 1)


if __name__ == "__main__":
    main()
