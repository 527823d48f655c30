"""`lit tests/filecheck` runs the RUN lines as processes; pytest runs them in process."""

# ruff: noqa: F821 - lit defines `config`
# pyright: reportUndefinedVariable=false, reportUnknownMemberType=false
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

import os
import sys

import lit.formats

config.name = "calocc"
config.test_format = lit.formats.ShTest()
config.suffixes = [".mlir"]
config.test_source_root = os.path.dirname(__file__)
config.environment["PATH"] = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
