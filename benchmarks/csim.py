"""The C++ simulation of DeepCalo beside that of hls4ml: seconds to build, and per event.

Run from the root of the repository: `python -m benchmarks.csim`, with the extra `reference`. Both
take the same model and the same events, in one run, one after the other. Seconds are those of the
processor, of which both use one core, so that other work on the machine matters less. hls4ml gets
what it needs for layers of this size: streams, the strategy Resource and a reuse factor of 2000.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import calocc
from benchmarks.models import DEEPCALO, Model
from calocc.runtime.csim import open_csim
from calocc.runtime.reference import load_keras_model, predict

REUSE = 2000
Reals = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Figures:
    """Processor seconds, and the largest difference of an output from QKeras."""

    convert: float
    build: float
    event: float
    difference: float


def children() -> float:
    """Processor seconds of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def taken(clock: Callable[[], float], work: Callable[[], T]) -> tuple[float, T]:
    """What a clock shows of some work, and the result."""
    started = clock()
    result = work()
    return clock() - started, result


def of_calocc(model: Model, events: Reals, expected: Reals, place: Path) -> Figures:
    """Compile at -O2, build, and run."""
    convert, design = taken(process_time, lambda: calocc.compile(model.path))
    directory = design.write(place / "calocc")
    build, simulator = taken(children, lambda: open_csim(directory, design))
    return figures(convert, build, simulator.predict, events, expected)


def of_hls4ml(model: Model, events: Reals, expected: Reals, place: Path) -> Figures:
    """Convert with hls4ml, run its build script, and run."""
    keras = load_keras_model(model.path)
    # hls4ml asks the module `keras` for its version; the model is one of tf_keras.
    sys.modules["keras"] = importlib.import_module("tf_keras")
    hls4ml: Any = importlib.import_module("hls4ml")

    def converted() -> Any:
        config = hls4ml.utils.config_from_keras_model(keras, granularity="name", backend="Vitis")
        for layer in config["LayerName"].values():
            layer.update(Strategy="Resource", ReuseFactor=REUSE)
        graph = hls4ml.converters.convert_from_keras_model(
            keras,
            hls_config=config,
            output_dir=str(place / "hls4ml"),
            backend="Vitis",
            io_type="io_stream",
        )
        graph.write()
        return graph

    convert, graph = taken(process_time, converted)
    script = ["bash", "build_lib.sh"]
    folder = place / "hls4ml"
    build, _ = taken(
        children, lambda: subprocess.run(script, cwd=folder, check=True, capture_output=True)
    )
    graph.compile()  # once more: it also loads the library
    return figures(convert, build, graph.predict, events.astype(np.float32), expected)


def figures(
    convert: float, build: float, run: Callable[[Any], Any], events: Any, expected: Reals
) -> Figures:
    """Run events after a first one, which reads the weights."""
    run(np.ascontiguousarray(events[:1]))
    seconds, found = taken(process_time, lambda: run(np.ascontiguousarray(events)))
    difference = float(np.abs(np.asarray(found).reshape(expected.shape) - expected).max())
    return Figures(convert, build, seconds / len(events), difference)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=8, help="events of each (default 8)")
    options = parser.parse_args(arguments)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    events = DEEPCALO.events()[: options.events].astype(np.float64)
    (keras,) = predict(DEEPCALO.path, {DEEPCALO.input: events})
    expected = keras.astype(np.float64)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(None):
        ours = of_calocc(DEEPCALO, events, expected, Path(place))
        theirs = of_hls4ml(DEEPCALO, events, expected, Path(place))
    table = Table("", "calocc -O2", "hls4ml", title="C++ simulation of DeepCalo, one core")
    for name in ("convert", "build", "event"):
        table.add_row(name, *(f"{getattr(f, name):.3g} s" for f in (ours, theirs)))
    table.add_row(
        "largest difference from QKeras", *(f"{f.difference:.3g}" for f in (ours, theirs))
    )
    Console().print(table)


if __name__ == "__main__":
    main()
