"""Traces, budgets and roundings as users ask for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_models import DIGITS, JETS, Example, design_of, stage_of

import calocc
from calocc.compiler.design import NotTraceable, load
from calocc.compiler.main import main
from calocc.compiler.pipeline import Runner, new_context
from calocc.compiler.roundings import BadRounding, Rounds, choices
from calocc.passes.lowering.budget import BudgetNotReached
from calocc.runtime.emulator import execute

FEW = 32


def events(example: Example) -> Any:
    return example.data()[:FEW].astype(np.float64)


def test_a_trace_has_every_layer_fixed_and_real() -> None:
    design = design_of(DIGITS, 2)
    layers = design.trace(events(DIGITS))
    names = [row["layer"] for row in design.report["layers"]]
    assert {n for n in names if n.startswith(("conv", "relu", "dense", "pool"))} <= set(layers)
    for name, layer in layers.items():
        assert layer.fixed.shape == layer.real.shape
        assert layer.fixed.shape[0] == FEW
        if name.startswith(("relu", "dense")):
            assert layer.largest_difference == 0, name
    np.testing.assert_array_equal(layers["dense_2"].fixed, design.predict(events(DIGITS)))


def test_a_design_that_was_loaded_has_no_layers(tmp_path: Path) -> None:
    design_of(JETS, 2).write(tmp_path / "jets")
    with pytest.raises(NotTraceable):
        load(tmp_path / "jets").trace(events(JETS))


def test_a_budget_is_stated_and_too_small_a_one_refused() -> None:
    design = calocc.compile(JETS.model, max_error=0.5)
    (output,) = design.report["outputs"]
    assert 0 < output["certified_bound"] <= 0.5
    with pytest.raises(BudgetNotReached, match=r"0\.000999"):
        calocc.compile(JETS.model, max_error=1e-4)


def test_the_greatest_logit_alone_wins_where_that_is_asked_for() -> None:
    design = calocc.compile(JETS.model, exact_argmax=True)
    logits, result = (design.trace(events(JETS))[name].fixed for name in ("dense_4", "softmax"))
    for row, best in zip(logits, result, strict=True):
        np.testing.assert_array_equal(best == best.max(), row == row.max())
    (bound,) = (port["certified_bound"] for port in design.report["outputs"])
    assert bound < design_of(JETS, 2).report["outputs"][0]["certified_bound"]


@pytest.mark.parametrize("text", ["truncate,wrap", "truncate", "wrap", "round,saturate"])
def test_other_roundings_are_those_of_the_model_with_other_quantizers(text: str) -> None:
    design = calocc.compile(DIGITS.model, rounding=text)
    reals = stage_of(DIGITS, 2, "qnn").clone()
    Runner(new_context(), {}).run(reals, Rounds.parse(text).spec())
    (expected,) = execute(reals, [events(DIGITS)])
    np.testing.assert_array_equal(design.predict(events(DIGITS)), expected)
    assert design.report["rounding"] == ", ".join(text.split(","))
    assert (expected != design_of(DIGITS, 2).predict(events(DIGITS))).any()


def test_generated_code_wraps_as_the_emulator_does() -> None:
    design = calocc.compile(JETS.model, rounding="truncate,wrap")
    np.testing.assert_array_equal(design.csim().predict(events(JETS)), design.predict(events(JETS)))


def test_roundings_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(DIGITS.model.parent / "test_data.npz")
    out = str(tmp_path / "out")
    main([str(DIGITS.model), "--calibrate", data, "--compare-rounding", "--json", "-o", out])
    report = json.loads(capsys.readouterr().out)
    rows = {row["rounding"]: row["outputs"][0]["relative_rms"] for row in report["roundings"]}
    assert list(rows) == [str(choice) for choice in choices()]
    assert rows["as the model says"] == rows["convergent, saturate"] == 0
    assert rows["truncate, saturate"] > rows["round, saturate"] > 0
    np.savez(few := str(tmp_path / "few.npz"), digits=DIGITS.data()[:20])
    main([str(DIGITS.model), "--calibrate", few, "--compare-rounding", "-o", out])
    shown = capsys.readouterr().out
    assert "truncate, wrap" in shown
    assert "…" not in shown  # nothing is cut off, in 80 columns either


@pytest.mark.parametrize("text", ["", "up", "truncate,round", "saturate,wrap", "truncate;wrap"])
def test_roundings_that_make_no_sense(text: str) -> None:
    with pytest.raises(BadRounding):
        Rounds.parse(text)


def test_there_is_nothing_to_compare_roundings_with() -> None:
    with pytest.raises(BadRounding, match="no data"):
        calocc.compile(DIGITS.model, compare_rounding=True)
