"""The error of a machine without hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

from calocc.compiler.diagnostics import CaloccError


@dataclass(eq=False)
class HypothesisMissing(CaloccError, ImportError):
    """The package that draws is not installed."""

    @property
    def where(self) -> str:
        return "calocc.testing"

    @property
    def what(self) -> str:
        return "hypothesis is not installed"

    @property
    def hint(self) -> str:
        return "pip install 'calocc[fuzz]'"
