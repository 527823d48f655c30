"""Documents say what is so: tables are made from the code, examples run, the site builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from calocc.compiler.keras.layers.table import document

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXECUTED = ("first-pass", "adding-a-target", "numerics")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_table_of_layers_is_that_of_the_registry() -> None:
    assert (DOCS / "layers.md").read_text() == document()


@pytest.mark.parametrize("page", EXECUTED)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: str, tmp_path: Path) -> None:
    blocks = _BLOCK.findall((DOCS / f"{page}.md").read_text())
    python = [text for language, text in blocks if language == "python"]
    assert python
    script = tmp_path / f"{page}.py"
    script.write_text("\n".join(python))
    done = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_refusal_in_the_page_on_numbers_is_that_of_calocc_opt(tmp_path: Path) -> None:
    blocks = dict(_BLOCK.findall((DOCS / "numerics.md").read_text()))
    (tmp_path / "sum.mlir").write_text(blocks["mlir"])
    code = "from calocc.compiler.opt_main import main; main()"
    command = [sys.executable, "-c", code, str(tmp_path / "sum.mlir")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] in (DOCS / "numerics.md").read_text()


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    pages = {path.parent.name for path in tmp_path.glob("*/index.html")}
    assert pages >= {"first-pass", "passes", "dialects", "gallery", "plugins", "design"}
    gallery = (tmp_path / "gallery" / "index.html").read_text()
    assert "dataflow.matvec" in gallery
