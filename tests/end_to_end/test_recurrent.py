"""Recurrent layers from the model to the generated C++: every stage gives the same bits."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_project import build_bench, run

import calocc
from calocc.compiler.design import Design
from calocc.compiler.keras.importer import module_of
from calocc.compiler.keras.layers.registry import Overrides
from calocc.compiler.keras.reader import read_live
from calocc.dialects.dataflow.recurrent import RecurrentOp
from calocc.runtime.emulator import execute
from calocc.runtime.reference import reference_modules

BITS = "quantized_bits(4,0,alpha=1)"
CELL = {
    **dict.fromkeys(("kernel_quantizer", "recurrent_quantizer", "bias_quantizer"), BITS),
    "state_quantizer": "quantized_bits(6,1,alpha=1)",
    "activation": "quantized_tanh(5)",
}
GATED = {**CELL, "recurrent_activation": "quantized_sigmoid(4)"}
SHAPE = (5, 3)


@cache
def model() -> Any:
    """Layers of every kind, in one and two phases, either way and both ways, as outputs."""
    modules = reference_modules()
    q, keras = modules.qkeras, modules.keras
    keras.utils.set_random_seed(4)
    x = keras.Input(SHAPE, name="x")
    y = q.QActivation("quantized_bits(6,2,alpha=1)", name="front")(x)
    layers = [
        q.QSimpleRNN(4, **CELL, return_sequences=True, name="simple"),
        q.QLSTM(4, **GATED, name="lstm"),
        q.QGRU(4, **GATED, reset_after=True, name="after"),
        q.QGRU(6, **GATED, reset_after=False, go_backwards=True, name="before"),
        q.QBidirectional(q.QSimpleRNN(3, **CELL, return_sequences=True), name="both"),
    ]
    behind = "quantized_bits(8,3,alpha=1)"
    outputs = [q.QActivation(behind, name=f"{v.name}_behind")(v(y)) for v in layers]
    return keras.Model(x, outputs, name="recurrent")


EVENTS = np.random.default_rng(6).normal(0, 1.5, (30, *SHAPE)).astype(np.float32)


@cache
def design(level: int) -> Design:
    """The compiled model."""
    return calocc.compile(model(), level)


def reals() -> list[NDArray[np.float64]]:
    """The outputs of the imported model in float64."""
    module = module_of(read_live(model()), Overrides())
    return execute(module, [EVENTS.astype(np.float64)])


@pytest.mark.parametrize("level", [0, 2])
def test_all_stages_give_the_same(level: int) -> None:
    compiled: Any = design(level)
    results = compiled.predict(EVENTS)
    for result, simulated, real in zip(
        results, compiled.csim().predict(EVENTS), reals(), strict=True
    ):
        assert np.array_equal(result, simulated)
        assert np.array_equal(result, real)
        assert len(np.unique(result)) > 8


def test_steps_of_one_and_of_two_phases_are_folded() -> None:
    slow, fast = (
        {op.layer_name: op for op in design(level).module.walk() if isinstance(op, RecurrentOp)}
        for level in (0, 2)
    )
    assert [len(fast[name].phases()) for name in ("after", "before")] == [1, 2]
    for name, op in fast.items():
        assert (slow[name].inner_lanes, slow[name].pe) == (1, 1)
        assert op.inner_lanes == op.units
    assert any(op.pe > 1 for op in fast.values())


def test_the_bench_compiles_without_a_warning(tmp_path: Path) -> None:
    project = design(2).write(tmp_path / "project")
    done = run([str(build_bench(project, design(2).name))], project)
    assert (done.returncode, done.stdout) == (0, "0 of 4 events differ\n")
