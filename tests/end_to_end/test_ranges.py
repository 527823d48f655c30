"""What calibration data show: the ranges that quantizers meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calocc
from calocc.compiler.inputs import BadData
from calocc.compiler.main import main

DEEPCALO = Path(__file__).parents[2] / "examples" / "deepcalo"


def images(scale: float) -> Any:
    with np.load(DEEPCALO / "test_data.npz") as file:
        return file["image"][:40] * scale


def ranges(scale: float) -> dict[str, Any]:
    """The rows of the report by layer."""
    design = calocc.compile(
        DEEPCALO / "deepcalo_image.h5", opt_level=0, calibrate={"image": images(scale)}
    )
    return {row["layer"]: row for row in design.report["ranges"]}


def test_ranges_of_activations_are_those_of_the_data() -> None:
    rows, data = ranges(1.0), images(1.0)
    first = next(iter(rows.values()))
    assert (first["least"], first["greatest"]) == (float(data.min()), float(data.max()))
    assert len(rows) == 14
    assert all(row["reach"][0] <= 0 < row["reach"][1] for row in rows.values())


def test_values_beyond_a_format_are_counted() -> None:
    before, after = ranges(1.0), ranges(4.0)
    first = next(iter(after))
    low, high = after[first]["reach"]
    half = (high - low) / (2**14 - 1) / 2
    outside = (images(4.0) > high + half) | (images(4.0) < low - half)
    assert after[first]["clipped"] == outside.mean() > before[first]["clipped"]
    assert after["conv_1_relu"]["clipped"] > before["conv_1_relu"]["clipped"]


def test_the_command_line_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "data.npz", image=images(4.0))
    arguments = ["--calibrate", str(tmp_path / "data.npz"), "-o", str(tmp_path / "design"), "-O0"]
    main([str(DEEPCALO / "deepcalo_image.h5"), *arguments])
    assert "warning: layer" in capsys.readouterr().out


def test_data_must_fit_also_where_the_model_quantizes_its_inputs() -> None:
    with pytest.raises(BadData, match="shape"):
        calocc.compile(DEEPCALO / "deepcalo_image.h5", calibrate={"image": np.ones((3, 2))})
