"""Whether the generated C++ gives the emulator's bits in the cycles it claims, at any folding.

Run from the root of the repository: `python -m benchmarks.foldings`. Each example is folded
`--foldings` times: PE, SIMD and pixels of every matrix product and the cycles that all other
processes may take are drawn, with and without divisors of the sizes. The C++ is built with
counters in its loops; its outputs are compared with the emulator's bit for bit, its iterations with
the sum of all schedules.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.models import MODELS, Model
from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.design import Design
from calocc.compiler.network import processes_of
from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.layout import image_of
from calocc.dialects.dataflow.stream import stream_of
from calocc.passes.balance import uniform
from calocc.passes.balancing.folding import Pins, matvecs, refold
from calocc.passes.check_dataflow import find_obstacle
from calocc.passes.size_fifos import set_depths
from calocc.runtime.csim import Csim
from calocc.runtime.gxx import compile_shared

FLAGS = ("-O0", "-w", "-DNDEBUG", "-DCALOCC_COUNT", "-fno-gnu-unique")


@dataclass(frozen=True)
class Outcome:
    """What one folding did.

    Whether bits and iterations are those that are claimed; how many of the matrix products have
    lanes or pixels that do not divide what they fold, and how many have several pixels; how long
    g++ took.
    """

    bits: bool
    iterations: bool
    uneven: int
    pixels: int
    products: int
    seconds: float


def draw_pins(design: Design, generator: random.Random) -> dict[str, dict[str, int]]:
    """A folding for every matrix product, of at most a few thousand products per cycle."""
    pins: dict[str, dict[str, int]] = {}
    for op in matvecs(main_function(design.module)):
        n, m = op.weights.shape
        simd, pe = (min(size, generator.randint(1, most)) for size, most in ((n, 300), (m, 70)))
        pixels = min(op.row, generator.choice([1, 1, 2, 3, 4, 7]))
        pins[op.layer_name] = {"simd": simd, "pe": pe, "pixels": pixels}
    return pins


def folded(design: Design, generator: random.Random) -> Design:
    """The design in a drawn folding that can be built."""
    while True:
        module = design.module.clone()
        function = main_function(module)
        pins: Pins = draw_pins(design, generator)
        refold(function, uniform(module, int(10 ** generator.uniform(2, 5))), pins)
        if find_obstacle(function) is None:
            set_depths(function)
            return Design(design.name, module, design.report)


def unfolded(model: Model) -> Design:
    """The design of an example with all simplifications, not yet balanced."""
    return Compilation(model.path, Options(1)).design()


def check(design: Design, events: NDArray[np.float64], directory: Path) -> Outcome:
    """Build a design there and run events through it."""
    started = perf_counter()
    library = build(design, directory)
    seconds = perf_counter() - started
    csim = Csim(design, library)
    function = main_function(design.module)
    found, expected = csim.predict(events), design.predict(events)
    claimed = [op.schedule().trips * len(events) for op in processes_of(function)]
    products = matvecs(function)
    return Outcome(
        bits=np.array_equal(np.asarray(found), np.asarray(expected)),
        iterations=csim.iterations() == claimed,
        uneven=sum(is_uneven(op) for op in products),
        pixels=sum(op.pixels > 1 for op in products),
        products=len(products),
        seconds=seconds,
    )


def is_uneven(op: MatvecOp) -> bool:
    """Whether its lanes or pixels do not divide what they fold."""
    streams = (stream_of(op.x), op.result.type)
    return any(
        s.shape[-1] % s.layout.lanes or image_of(s.shape)[1] % s.layout.pixels for s in streams
    )


def build(design: Design, directory: Path) -> Path:
    """The simulation library of a design, with counters of iterations."""
    project = design.write(directory / "project")
    firmware = project / "firmware"
    library = project / "counted.so"
    flags = (
        *FLAGS,
        f"-isystem{firmware / 'ap_types'}",
        f'-DWEIGHTS_DIR="{firmware / "weights"}"',
        *("-include", str(firmware / f"{design.name}.cpp")),
    )
    compile_shared([project / f"{design.name}_bridge.cpp"], library, [firmware], flags)
    return library


def run(model: Model, foldings: int, events: int, seed: int) -> list[Outcome]:
    """Check an example at some drawn foldings."""
    design, generator = unfolded(model), random.Random(f"{model.name} {seed}")
    data = model.events()[:events].astype(np.float64)
    outcomes: list[Outcome] = []
    for _ in range(foldings):
        with tempfile.TemporaryDirectory(prefix="calocc_foldings_") as place:
            outcomes.append(check(folded(design, generator), data, Path(place)))
    return outcomes


def table_of(results: dict[str, list[Outcome]]) -> Table:
    """A row per example."""
    table = Table(title="the generated C++ at drawn foldings")
    columns = ("same bits", "same cycles", "products", "uneven", "of pixels", "g++ [s]")
    for column in ("example", "foldings", *columns):
        table.add_column(column, justify="left" if column == "example" else "right", no_wrap=True)
    for name, outcomes in results.items():
        figures = (
            len(outcomes),
            sum(o.bits for o in outcomes),
            sum(o.iterations for o in outcomes),
            sum(o.products for o in outcomes),
            sum(o.uneven for o in outcomes),
            sum(o.pixels for o in outcomes),
        )
        seconds = sum(o.seconds for o in outcomes) / max(len(outcomes), 1)
        table.add_row(name, *map(str, figures), f"{seconds:.1f}")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the examples; 1 if any folding differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--foldings", type=int, default=30)
    parser.add_argument("--events", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", choices=[m.name for m in MODELS], action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    chosen = [m for m in MODELS if not options.model or m.name in options.model]
    results = {m.name: run(m, options.foldings, options.events, options.seed) for m in chosen}
    if options.json:
        print(json.dumps({name: [asdict(o) for o in own] for name, own in results.items()}))
    else:
        Console().print(table_of(results))
    return int(not all(o.bits and o.iterations for own in results.values() for o in own))


if __name__ == "__main__":
    sys.exit(main())
