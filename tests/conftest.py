"""The option that renews golden texts."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden`"""
    parser.addoption("--update-golden", action="store_true", help="write golden texts anew")
