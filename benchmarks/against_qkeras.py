"""How far designs are from what QKeras itself predicts, and why.

Run from the root of the repository: `python -m benchmarks.against_qkeras`. Takes the test events
of each example, and events drawn uniformly (`--events`), which reach more of the input's range.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.models import MODELS
from calocc.runtime.compare import Comparison, Flip, against_keras

REACH = 2.0
"""Uniform events lie in -2 to 2, in units of the inputs, where the test events lie as well."""


def describe(flip: Flip | None) -> str:
    """One example of a value that float32 rounds to another level."""
    if flip is None:
        return "none"
    distance = "" if flip.distance is None else f", {flip.distance:.1e} LSB from the boundary"
    place = ",".join(map(str, flip.index))
    return (
        f"{flip.layer}[{place}]: {flip.operand:.9g} -> {flip.expected:g}, "
        f"Keras {flip.found:g}{distance}"
    )


def add_rows(table: Table, model: str, data: str, comparison: Comparison) -> None:
    """A row per output."""
    flipped = sum(layer.differing for layer in comparison.layers)
    values = sum(layer.values for layer in comparison.layers)
    for output in comparison.outputs:
        table.add_row(
            model,
            f"{comparison.events:,} {data}",
            f"{output.differing:,} of {output.values:,}",
            f"{output.largest:.1f}",
            f"{flipped:,} of {values:,}",
            describe(comparison.flip),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=256, help="uniform events (%(default)s)")
    options = parser.parse_args(arguments)
    table = Table(title="calocc against QKeras (TensorFlow, float32)")
    for column in ("model", "events", "outputs differ", "by LSB", "quantized values flipped"):
        table.add_column(column)
    table.add_column("first flip: float64 operand -> level", overflow="fold")
    for model in MODELS:
        events = {model.input: model.events()}
        add_rows(table, model.name, "test", against_keras(model.path, events))
        drawn = model.uniform(options.events, REACH)
        add_rows(table, model.name, "uniform", against_keras(model.path, drawn))
    Console().print(table)


if __name__ == "__main__":
    main()
