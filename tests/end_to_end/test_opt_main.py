"""`calocc-opt` on Keras files: what it prints parses again, and refusals end in one message."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from calocc.compiler.opt_main import main

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.h5"
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
