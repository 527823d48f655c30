"""`calocc --timeline`: a picture that says what the report says."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from calocc.compiler.main import main

DIGITS = Path(__file__).parents[2] / "examples/digits/digits.h5"
SVG = "{http://www.w3.org/2000/svg}"


def test_a_drawing_has_a_row_for_every_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "digits.svg"
    main([str(DIGITS), "-o", str(tmp_path / "out"), "--json", "--timeline", str(picture)])
    report = json.loads(capsys.readouterr().out)
    root = ElementTree.parse(picture).getroot()
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert len(titles) == len(report["layers"])
    for title, row in zip(titles, report["layers"], strict=True):
        assert title.startswith(f"{row['layer']}: {row['process']};")
        assert f"busy: {row['running']['busy']:,} cycles" in title
        for kind in ("starved", "blocked"):
            assert f"{kind}, in the running pipeline: {row['running'][kind]:,} cycles" in title
        assert row["running"]["busy"] == row["cycles"]
    text = "".join(root.itertext())
    assert f"latency {report['latency_cycles']:,} cycles" in text


def test_a_page_stands_alone(tmp_path: Path) -> None:
    page = tmp_path / "digits.html"
    main([str(DIGITS), "-o", str(tmp_path / "out"), "--timeline", str(page)])
    text = page.read_text()
    assert text.count("<svg") == 1
    assert "src=" not in text
    assert "href=" not in text
    assert text.replace("http://www.w3.org/2000/svg", "").count("http") == 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("x.png", ".png is no format"),
        ("x", "no suffix is no format"),
        ("missing/x.svg", "it cannot be a file"),
    ],
)
def test_a_bad_place_is_refused_before_anything_is_compiled(
    name: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(DIGITS), "-o", str(tmp_path / "out"), "--timeline", str(tmp_path / name)])
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_place_without_permission_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(os, "access", never)
    with pytest.raises(SystemExit):
        main([str(DIGITS), "-o", str(tmp_path / "out"), "--timeline", str(tmp_path / "x.svg")])
    assert "permission" in capsys.readouterr().err
