"""The C++ of the examples at drawn foldings: the bits of the emulator, in the cycles claimed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("example", "foldings"), [("jets", 1), ("digits", 2), ("deepcalo", 1)])
def test_bits_and_cycles_at_drawn_foldings(example: str, foldings: int) -> None:
    """PE and SIMD that do not divide the sizes, and several pixels at once where there are any."""
    options = ["--model", example, "--foldings", str(foldings), "--seed", "1", "--events", "2"]
    command = [sys.executable, "-m", "benchmarks.foldings", *options, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads(done.stdout)[example]
    assert len(outcomes) == foldings
    assert all(o["bits"] and o["iterations"] for o in outcomes)
    assert any(o["uneven"] for o in outcomes)
    assert example == "jets" or any(o["pixels"] for o in outcomes)
