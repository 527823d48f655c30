"""What the report says would make a design faster, done."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from qnn_networks import network, run_passes
from rich.console import Console
from test_balance import TO_PROCESSES
from test_lowering import DRAWN, SEEDS
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

import calocc
from calocc.compiler.network import network_of
from calocc.compiler.ports import main_function
from calocc.compiler.relief import relief
from calocc.compiler.summary import print_summary
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.passes.balance import Balance
from calocc.passes.balancing.folding import matvecs
from calocc.runtime.critical_path import critical_path
from calocc.runtime.cycles import simulate


@given(SEEDS, st.integers(1, 400))
@DRAWN
def test_the_next_folding_saves_and_costs_what_it_says(seed: int, interval: int) -> None:
    module = network(seed)
    run_passes(module, TO_PROCESSES)
    design = module.clone()
    Balance(interval=interval).apply(Context(), design)
    function = main_function(design)
    timing = network_of(function)
    for row in relief(function, critical_path(timing, simulate(timing))):
        if (faster := row["next"]) is None:
            continue
        pins = tuple(f"{row['layer']}.{key}={faster[key]}" for key in ("pe", "simd", "pixels"))
        other = module.clone()
        Balance(interval=interval, pins=pins).apply(Context(), other)
        before, after = (_product(m, row["layer"]) for m in (design, other))
        saved = before.schedule().trips - after.schedule().trips
        assert saved == faster["saved_cycles"] > 0
        for name, more in faster["resources"].items():
            assert getattr(after.resources(), name) - getattr(before.resources(), name) == more


def _product(module: ModuleOp, layer: str) -> MatvecOp:
    return next(op for op in matvecs(main_function(module)) if op.layer_name == layer)


def test_the_summary_names_what_takes_most() -> None:
    design = calocc.compile(Path("examples/digits/digits.h5"))
    text = StringIO()
    print_summary(Console(file=text, width=120), design.report, Path("out"))
    assert [row["of"] for row in design.report["relief"]] == ["interval", "latency"]
    for row in design.report["relief"]:
        starts = (line.split()[1:4] for line in text.getvalue().splitlines())
        assert [row["of"], row["layer"], f"{row['cycles']:,}"] in list(starts)
