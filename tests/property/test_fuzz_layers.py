"""The command that compares many drawn layers finds what is wrong, and draws it again."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from xdsl.ir import SSAValue

from calocc.compiler.keras.config import LayerConfig
from calocc.compiler.keras.layers.registry import IMPORTERS, Builder

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_layers.py"


@pytest.fixture(scope="module")
def fuzz() -> Any:
    """The command as a module."""
    spec = importlib.util.spec_from_file_location("fuzz_layers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unchanged(builder: Builder, config: LayerConfig, inputs: Sequence[SSAValue]) -> SSAValue:
    """A wrong importer, which takes every layer for one that does nothing."""
    config.ignore(*config.layer.config)
    return inputs[0]


def output(main: Callable[[list[str]], None], arguments: str, capsys: Any) -> str:
    """What the command prints, on wide paper."""
    capsys.readouterr()
    main(shlex.split(arguments))
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


def test_sound_layers_agree(fuzz: Any, capsys: Any) -> None:
    printed = output(fuzz.main, "--cases 12 --seed 3 --family merges", capsys)
    row = next(line for line in printed.splitlines() if "merges" in line)
    cases, keras, vague, exact, unproved, failures, _ = map(int, re.findall(r"\d+", row))
    assert (cases, keras, failures) == (14, 14, 0)  # two of each class
    assert exact + unproved == 14
    assert vague < 3


def test_a_wrong_layer_is_named_with_the_command_that_draws_it_again(
    fuzz: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(IMPORTERS, "ELU", unchanged)
        with pytest.raises(SystemExit) as caught:
            fuzz.main(["--cases", "10", "--seed", "5", "--family", "rectifiers"])
        assert caught.value.code == 1
        printed = capsys.readouterr().out
        assert set(re.findall(r"class_name='(\w+)'", printed)) == {"ELU"}
        commands = re.findall(r"python -m benchmarks.fuzz_layers (.*)", printed)
        with pytest.raises(SystemExit):
            fuzz.main(shlex.split(commands[0]))
        assert commands[0] in capsys.readouterr().out
    assert "rectifiers" in output(fuzz.main, commands[0], capsys)


@pytest.mark.parametrize("arguments", ["--family Mystery", "--cases 0", "--case -1"])
def test_arguments_without_a_meaning(arguments: str, fuzz: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        fuzz.main(arguments.split())
    assert caught.value.code == 2


def test_cases_differ_from_each_other_and_come_again(fuzz: Any) -> None:
    cases = [fuzz.drawn_model(7, "dense", index) for index in range(6)]
    assert len({str(case) for case in cases}) == 6
    assert [fuzz.drawn_model(7, "dense", index) for index in range(6)] == cases
    assert fuzz.drawn_model(8, "dense", 0) != cases[0]
