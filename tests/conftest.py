"""What all tests share: the option that renews golden texts, reproducible draws, this directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings

sys.path.insert(0, str(Path(__file__).parent))

# Before any test imports TensorFlow; see calocc.runtime.reference.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

# The same cases on every machine; `--hypothesis-profile=explore` draws new ones, `brief` leaves
# failures as large as they are found.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
settings.register_profile(
    "brief", settings.get_profile("same"), phases=[Phase.explicit, Phase.generate]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden`"""
    parser.addoption("--update-golden", action="store_true", help="write golden texts anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the end what takes little time, so that no worker ends long after the others."""
    items.sort(key=lambda item: bool({"errors", "filecheck"} & set(item.path.parts)))


def pytest_configure(config: pytest.Config) -> None:
    """Draw the same cases unless another profile is asked for by `--hypothesis-profile`."""
    if not config.getoption("--hypothesis-profile", default=None):
        settings.load_profile("same")
