"""What the highest level adds."""

from __future__ import annotations

from pathlib import Path

import calocc

JETS = Path(__file__).parents[2] / "examples/jets/jets.h5"


def test_the_highest_level_finds_a_faster_design() -> None:
    two, three = (
        calocc.compile(JETS, opt_level=level, budget=0.1).report["latency_cycles"]
        for level in (2, 3)
    )
    assert three < two
