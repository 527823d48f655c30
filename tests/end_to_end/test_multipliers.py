"""Designs for FPGAs whose DSP slices multiply fewer bits than those of UltraScale+."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

import calocc
from calocc.compiler.design import Design
from calocc.dialects.dataflow.compute import MatvecOp

ROOT = Path(__file__).parents[2]


@cache
def digits(target: str) -> Design:
    return calocc.compile(ROOT / "examples/digits/digits.h5", target=target)


def packed(design: Design) -> dict[str, int]:
    """How many products share a DSP slice, layer by layer."""
    ops = (op for op in design.module.walk() if isinstance(op, MatvecOp))
    return {op.layer_name: op.packing.count for op in ops}


def test_fewer_products_share_smaller_multipliers() -> None:
    """Three products of the dense layers take 27 bits, of which a DSP48E1 has 25."""
    large, small = packed(digits("zcu102")), packed(digits("pynq-z2"))
    assert all(small[layer] <= count for layer, count in large.items())
    assert (small["dense_1"], large["dense_1"]) == (2, 3)


def test_the_design_says_what_it_is_made_for(tmp_path: Path) -> None:
    """The kernels take the port as a constant, and a module that is read back knows it."""
    for target, wide in (("pynq-z2", 25), ("zcu102", 27)):
        directory = digits(target).write(tmp_path / target)
        text = (directory / "firmware/parameters.h").read_text()
        assert text.count(f"wide_port = {wide};") == text.count("wide_port = ") > 0
        assert packed(calocc.load(directory)) == packed(digits(target))


def test_bits_are_the_same() -> None:
    design = digits("pynq-z2")
    x = np.random.default_rng(0).uniform(0, 1, (20, 8, 8, 1))
    np.testing.assert_array_equal(design.csim().predict(x), design.predict(x))
    np.testing.assert_array_equal(design.predict(x), digits("zcu102").predict(x))
