"""`calocc-opt` on Keras files: what it prints parses again, and refusals end in one message."""

from __future__ import annotations

import io
import sys
from dataclasses import fields
from inspect import getdoc
from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from calocc.compiler.compilation import Compilation, Options
from calocc.compiler.opt_main import main, read_h5
from calocc.compiler.pipeline import universe
from calocc.compiler.ports import input_ports
from calocc.compiler.universe import PASSES, load_pass
from calocc.dialects.dataflow.process import DataflowOp
from calocc.dialects.fixed.format import Rounding
from calocc.dialects.fixed.types import RoundingAttr
from calocc.dialects.qnn.op import QnnOp, is_fixed
from calocc.dialects.qnn.quantize import QuantizeOp

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.h5"
EXAMPLES = ("jets/jets.h5", "digits/digits.h5", "deepcalo/deepcalo_image.h5")
NUMERICS = "fold-batch-norm,factor-scales,hoist-quantize,lower-to-fixed,dce"
STAGES = {
    "qnn": "",
    "fixed": NUMERICS,
    "dataflow": f"{NUMERICS},partition-streams,fuse,balance{{interval=1000}}",
}


@pytest.mark.parametrize("stage", STAGES)
def test_text_of_every_stage_parses_again(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(DIGITS), "-p", STAGES[stage]])
    text = capsys.readouterr().out
    assert "dialect_resources" in text
    again = tmp_path / "again.mlir"
    again.write_text(text)
    main([str(again)])
    assert capsys.readouterr().out == text


def test_a_pipe_is_read_like_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(DIGITS)])
    expected = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DIGITS.read_bytes())))
    main(["-f", "h5"])
    assert capsys.readouterr().out == expected


def test_a_refusal_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.h5"
    bad.write_text("no model")
    with pytest.raises(SystemExit) as end:
        main([str(bad)])
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.startswith(f"error: {bad}: ")
    assert second.startswith("  hint: ")


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The two lines with which `calocc-opt` refuses."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert second.startswith("  hint: ")
    return first, second


def test_a_pass_for_another_stage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    first, hint = refusal([str(DIGITS), "-p", "balance"], capsys)
    assert first.startswith("error: pass balance: it works on processes joined by streams")
    assert "partition-streams" in hint


@pytest.mark.parametrize(
    ("pipeline", "problem", "advice"),
    [
        ("narrow-width", "there is no pass 'narrow-width'", "did you mean narrow-widths?"),
        ("balance{bogus=1}", "bogus", "budget: float = 0.8"),
        ("fuse,,(", "cannot be read", "pass{option=value}"),
    ],
)
def test_a_wrong_pipeline_is_refused(
    pipeline: str, problem: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, hint = refusal([str(DIGITS), "-p", pipeline], capsys)
    assert problem in first
    assert advice in hint


TOO_NARROW = """\
func.func @main(%x: tensor<4x!fixed.num<s8, 3>>) -> tensor<4x!fixed.num<s4, 2>> {
  %y = qnn.add %x, %x {layer = "sum"} : (tensor<4x!fixed.num<s8, 3>>, \
tensor<4x!fixed.num<s8, 3>>) -> tensor<4x!fixed.num<s4, 2>>
  func.return %y : tensor<4x!fixed.num<s4, 2>>
}
"""


def test_a_format_that_overflows_is_refused_by_the_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "narrow.mlir"
    path.write_text(TOO_NARROW)
    first, _ = refusal([str(path)], capsys)
    assert first.startswith("error: layer 'sum' (qnn.add): fixed<4,2> does not hold")


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = refusal([str(tmp_path / "no.mlir")], capsys)
    assert first == f"error: {tmp_path / 'no.mlir'}: No such file or directory"


def test_passes_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--list-passes"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in PASSES)
    assert "budget: float = 0.8" in text


@pytest.mark.parametrize("name", PASSES)
def test_every_option_is_explained(name: str) -> None:
    kind = load_pass(name)
    for option in fields(kind):
        assert f"`{option.name}`" in (getdoc(kind) or ""), option.name


FULL = f"{NUMERICS},canonicalize,cse,narrow-widths,thresholds,partition-streams,fuse,size-fifos"


@pytest.fixture
def events(tmp_path: Path) -> Path:
    data = np.load(DIGITS.with_name("test_data.npz"))
    name = input_ports(read_h5(DIGITS.open("rb")))[0].name
    np.savez(tmp_path / "events.npz", **{name: data[name][:8]})
    return tmp_path / "events.npz"


def test_bits_are_verified_pass_by_pass(events: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(DIGITS), "-p", FULL, "--verify-bits", str(events), "--time-passes"])
    shown = capsys.readouterr().err
    rows = [line for line in shown.splitlines() if "the same bits" in line]
    assert len(rows) == len(FULL.split(",")) - 4  # those before dce decide numerics
    assert "seconds" in shown


class Careless(ModulePass):
    """Lets every quantizer of a fixed-point module truncate."""

    name = "careless"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrite the module in place."""
        for cast in [c for c in op.walk() if isinstance(c, QuantizeOp) and is_fixed(c)]:
            cast.rounding = RoundingAttr(Rounding.TRN)


def test_the_first_pass_that_changes_a_bit_is_named(
    events: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(universe().all_passes, "careless", lambda: Careless)
    pipeline = f"{NUMERICS},careless,canonicalize"
    with pytest.raises(SystemExit) as end:
        main([str(DIGITS), "-p", pipeline, "--verify-bits", str(events)])
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert "error: pass careless: it changes " in captured.err
    assert "canonicalize" not in captured.err


@pytest.mark.parametrize("model", EXAMPLES)
def test_every_op_keeps_the_name_of_its_layer(model: str) -> None:
    path = DIGITS.parents[1] / model
    names: list[set[str]] = []

    def look(step: ModulePass, module: ModuleOp) -> None:
        ops = [op for op in module.walk() if isinstance(op, QnnOp | DataflowOp)]
        assert not [op for op in ops if op.layer is None or not op.layer.data], step.name
        names.append({op.layer_name for op in ops})

    compilation = Compilation(path, Options(), watch=look)
    first = compilation.stage("qnn")
    layers = {op.layer_name for op in first.walk() if isinstance(op, QnnOp)}
    ports = {port.name for port in input_ports(first)}
    Compilation(path, Options(), watch=look).stage("dataflow")
    assert names
    assert all(found <= {*layers, *ports, "output"} for found in names)
