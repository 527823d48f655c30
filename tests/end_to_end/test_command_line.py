"""`calocc` and `calocc-run` as a user calls them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.parser import Parser

import calocc
from calocc.compiler.compilation import Compilation
from calocc.compiler.main import main
from calocc.compiler.pipeline import new_context
from calocc.compiler.run_main import main as run_main

EXAMPLES = Path(__file__).parents[2] / "examples"
JETS, DIGITS = EXAMPLES / "jets/jets.h5", EXAMPLES / "digits/digits.h5"

h5py: Any = importlib.import_module("h5py")  # it carries no type information

KEYS = {
    "model", "target", "clock_mhz", "opt_level", "latency_cycles", "latency_us",
    "interval_cycles", "interval_us", "resources", "inputs", "outputs", "layers", "seconds",
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edited(source: Path, target: Path, edit: Callable[[list[dict[str, Any]]], None]) -> Path:
    """A copy of a model file with edited layer configurations."""
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    return target


def layer(layers: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The layer of that name."""
    return next(entry for entry in layers if entry["config"]["name"] == name)


def test_the_default_directory_holds_the_project_and_its_report(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(JETS)])
    output = capsys.readouterr().out
    for word in ("jets.h5", "alveo-u50", "250 MHz", "latency", "interval", "DSP", "dense_2"):
        assert word in output
    report = json.loads((here / "jets_calocc/report.json").read_text())
    assert report.keys() >= KEYS - {"seconds"}
    assert set(report["resources"]) == {"dsp", "bram18", "uram", "lut", "ff"}
    assert all(set(r) == {"used", "available"} for r in report["resources"].values())
    assert report["latency_us"] == report["latency_cycles"] / 250
    assert (here / "jets_calocc/model.mlir").is_file()
    assert [p.name for p in here.iterdir()] == ["jets_calocc"]


def test_json_is_the_report_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(JETS), "-O1", "--json", "--clock", "200", "--target", "zcu102", "-o", "out"])
    report = json.loads(capsys.readouterr().out)
    assert report.keys() >= KEYS
    assert (report["opt_level"], report["clock_mhz"], report["target"]) == (1, 200.0, "zcu102")
    assert (here / "out/firmware/jets.cpp").is_file()


@pytest.mark.parametrize("stage", ["qnn", "fixed", "dataflow"])
def test_a_stage_is_printed_and_parses_back(
    stage: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(DIGITS), "--emit", stage])
    text = capsys.readouterr().out
    module = Parser(new_context(), text).parse_module()
    assert module.is_structurally_equivalent(Parser(new_context(), text).parse_module())
    assert {"qnn": "qnn.batch_norm", "fixed": "!fixed.num", "dataflow": "dataflow.matvec"}[
        stage
    ] in text
    assert list(here.iterdir()) == []


def test_passes_are_shown_and_timed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(JETS), "-O0", "--print-ir-after-all", "--time-passes"])
    shown = capsys.readouterr().err
    for name in ("fold-batch-norm", "lower-to-fixed", "partition-streams", "size-fifos"):
        assert f"after {name} " in shown
        assert shown.count(name) > 1
    assert (here / "jets_calocc").is_dir()


def test_a_pin_sets_the_folding(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(JETS), "--set", "dense_2.pe=4", "--set", "dense_2.simd=8", "--json"])
    rows = json.loads(capsys.readouterr().out)["layers"]
    (row,) = (r for r in rows if r["layer"] == "dense_2" and r["process"] == "matvec")
    assert (row["pe"], row["simd"]) == (4, 8)


def test_run_gives_the_same_on_emulator_and_csim(here: Path) -> None:
    main([str(JETS), "-O1", "-o", "jets"])
    x = np.load(EXAMPLES / "jets/test_data.npz")["jets"][:20]
    np.savez(here / "x.npz", jets=x)
    for place in ("emulator", "csim"):
        arguments = ["jets", "--data", "x.npz", "--out", f"{place}.npz", "--on", place]
        run_main(arguments)
    emulated, simulated = (np.load(here / f"{p}.npz")["softmax"] for p in ("emulator", "csim"))
    np.testing.assert_array_equal(emulated, simulated, strict=True)
    np.testing.assert_array_equal(emulated, calocc.load("jets").predict(x), strict=True)


def test_a_terminal_sees_how_far_a_run_is(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(JETS), "-O0", "-o", "jets"])
    np.savez(here / "x.npz", jets=np.load(EXAMPLES / "jets/test_data.npz")["jets"][:20])
    arguments = ["jets", "--data", "x.npz", "--out", "y.npz"]
    run_main(arguments)
    assert not capsys.readouterr().err
    monkeypatch.setenv("FORCE_COLOR", "1")
    run_main(arguments)
    assert "20 events" in capsys.readouterr().err


def test_tensorflow_is_never_imported(here: Path) -> None:
    code = (
        "import sys, calocc; from calocc.compiler.main import main; main(sys.argv[1:]);"
        "assert not {'tensorflow', 'tf_keras', 'keras', 'qkeras', 'hls4ml'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(JETS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_wrong_usage_exits_with_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        [],
        [str(JETS), "--clock", "fast"],
        [str(JETS), "--budget", "2"],
        [str(JETS), "--input", "jets"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage: calocc" in capsys.readouterr().err


@pytest.mark.parametrize("threads", ["0", "-3", "many"])
def test_run_refuses_to_do_without_threads(
    threads: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_main([str(here), "--data", "x.npz", "--out", "y.npz", "--threads", threads])
    assert caught.value.code == 2
    assert f"{threads} is not a number of threads" in capsys.readouterr().err


# --- refusals -------------------------------------------------------------------------------------


def truncated(here: Path) -> list[str]:
    """Half a file."""
    data = JETS.read_bytes()
    (here / "cut.h5").write_bytes(data[: len(data) // 2])
    return ["cut.h5"]


def text_file(here: Path) -> list[str]:
    """Not an HDF5 file."""
    (here / "text.h5").write_text("a model\n")
    return ["text.h5"]


def unknown_layer(here: Path) -> list[str]:
    """A layer that no importer knows."""

    def edit(layers: list[dict[str, Any]]) -> None:
        layer(layers, "relu_1")["class_name"] = "MysteryLayer"

    return [str(edited(JETS, here / "model.h5", edit))]


def channels_first(here: Path) -> list[str]:
    """A key with another value than its default."""

    def edit(layers: list[dict[str, Any]]) -> None:
        layer(layers, "conv_2")["config"]["data_format"] = "channels_first"

    return [str(edited(DIGITS, here / "model.h5", edit))]


def new_key(here: Path) -> list[str]:
    """A key that no importer reads."""

    def edit(layers: list[dict[str, Any]]) -> None:
        layer(layers, "dense_2")["config"]["sparsity"] = 0.5

    return [str(edited(JETS, here / "model.h5", edit))]


def no_stride(here: Path) -> list[str]:
    """A size that makes no sense."""

    def edit(layers: list[dict[str, Any]]) -> None:
        layer(layers, "conv_2")["config"]["strides"] = [0, 0]

    return [str(edited(DIGITS, here / "model.h5", edit))]


def no_input_format(here: Path) -> list[str]:
    """A model that does not quantize its input."""

    def edit(layers: list[dict[str, Any]]) -> None:
        quantizer = layer(layers, "input_quantizer")
        quantizer["class_name"] = "Activation"
        quantizer["config"]["activation"] = "linear"

    return [str(edited(JETS, here / "model.h5", edit))]


def wrong_data(here: Path) -> list[str]:
    """Calibration data of another shape."""
    np.savez(here / "x.npz", jets=np.zeros((3, 7)))
    return [*no_input_format(here), "--calibrate", "x.npz"]


REFUSED: list[tuple[Callable[[Path], list[str]], tuple[str, ...]]] = [
    (lambda here: ["nowhere.h5"], ("nowhere.h5",)),
    (truncated, ("cut.h5",)),
    (text_file, ("text.h5",)),
    (unknown_layer, ("relu_1", "MysteryLayer")),
    (channels_first, ("conv_2", "data_format", "channels_first")),
    (new_key, ("dense_2", "sparsity", "0.5")),
    (no_stride, ("conv_2", "strides")),
    (no_input_format, ("'jets'", "--input", "--calibrate", "QActivation")),
    (wrong_data, ("x.npz", "(3, 7)")),
    (lambda here: [str(JETS), "--input", "jet=fixed<16,6>"], ("--input jet", "jets")),
    (lambda here: [str(JETS), "--input", "jets=float"], ("--input jets", "fixed<W,I>")),
    (lambda here: [str(JETS), "--set", "dense_9.pe=2"], ("dense_9",)),
    (lambda here: [str(JETS), "--set", "dense_2.pe=700"], ("dense_2", "pe=700")),
    (lambda here: [str(JETS), "--set", "dense_2.colour=7"], ("dense_2.colour",)),
    (lambda here: [str(JETS), "--set", "dense_9.kernel=fixed<4,1>"], ("dense_9.kernel",)),
    (lambda here: [str(JETS), "--target", "alveo-u51"], ("alveo-u51", "alveo-u50")),
    (lambda here: [str(EXAMPLES / "deepcalo/deepcalo_image.h5"), "--target", "pynq-z2"],
     ("pynq-z2", "BRAM18")),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[str(k) for k in range(len(REFUSED))])
def test_a_refusal_is_one_message_and_leaves_nothing_behind(
    arguments: Callable[[Path], list[str]],
    words: tuple[str, ...],
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = arguments(here)
    before = sorted(p.name for p in here.iterdir())
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n  hint: ") == 1
    assert "Traceback" not in message
    for word in words:
        assert word in message
    assert sorted(p.name for p in here.iterdir()) == before


def test_a_foreign_directory_is_not_replaced(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mine").mkdir()
    (here / "mine/thesis.tex").write_text("precious")
    with pytest.raises(SystemExit) as caught:
        main([str(JETS), "-o", "mine"])
    assert caught.value.code == 1
    assert "mine" in capsys.readouterr().err
    assert (here / "mine/thesis.tex").read_text() == "precious"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("mine", "it exists and holds no calocc project"),
        ("file", "it exists and holds no calocc project"),
        ("file/inside/design", "file is no directory"),
        ("closed/design", "there is no permission to write to"),
    ],
)
def test_the_output_is_looked_at_before_anything_is_compiled(
    output: str,
    words: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for folder in ("mine", "closed"):
        (here / folder).mkdir()
    for file in ("mine/thesis.tex", "file"):
        (here / file).write_text("precious")
    before = sorted(here.rglob("*"))

    def access(path: Path, mode: int) -> bool:
        """That of a user; to root all is open."""
        return path != here / "closed"

    monkeypatch.setattr(os, "access", access)
    monkeypatch.delattr(Compilation, "design")
    with pytest.raises(SystemExit) as caught:
        main([str(JETS), "-o", output])
    assert caught.value.code == 1
    assert words in capsys.readouterr().err
    assert sorted(here.rglob("*")) == before


def test_run_refuses_what_is_no_design(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(here / "x.npz", jets=np.zeros((3, 16)))
    with pytest.raises(SystemExit) as caught:
        run_main([str(here), "--data", "x.npz", "--out", "y.npz"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert not (here / "y.npz").exists()


def test_a_declared_input_makes_up_for_a_missing_quantizer(here: Path) -> None:
    (model,) = no_input_format(here)
    events = np.load(EXAMPLES / "jets/test_data.npz")["jets"][:50]
    np.savez(here / "x.npz", jets=events)
    declared = calocc.compile(model, inputs={"jets": "fixed<16,7>"})
    np.testing.assert_array_equal(declared.predict(events), calocc.compile(JETS).predict(events))
    calibrated = calocc.compile(model, calibrate=here / "x.npz")
    (port,) = calibrated.inputs
    assert port.format is not None
    assert port.format.width == 16
    assert port.format.max_mantissa * port.format.lsb >= events.max() - port.format.lsb / 2
    assert port.format.min_mantissa * port.format.lsb <= events.min() + port.format.lsb / 2
