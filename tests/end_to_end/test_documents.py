"""Documents that are made from the code are up to date."""

from __future__ import annotations

from pathlib import Path

from calocc.compiler.keras.layers.table import document

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_layers_is_that_of_the_registry() -> None:
    assert (DOCS / "layers.md").read_text() == document()
