"""All dialects, passes and targets of calocc, by name; the only registry.

xDSL finds it through the entry point group `xdsl.universe`, so that `xdsl-opt`, `calocc-opt` and
`calocc` see the same names, besides those of other installed packages. Values are thunks: nothing
is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import Universe
from xdsl.utils.target import Target


def _fixed() -> Dialect:
    from calocc.dialects.fixed.dialect import FIXED

    return FIXED


def _qnn() -> Dialect:
    from calocc.dialects.qnn.dialect import QNN

    return QNN


def _dataflow() -> Dialect:
    from calocc.dialects.dataflow.dialect import DATAFLOW

    return DATAFLOW


def _vitis() -> type[Target]:
    from calocc.codegen.vitis.target import Vitis

    return Vitis


def load_pass(name: str) -> type[ModulePass]:
    """The pass `some-name`, which is the class `SomeName` in `calocc/passes/some_name.py`."""
    module = import_module(f"calocc.passes.{name.replace('-', '_')}")
    found = getattr(module, "".join(word.capitalize() for word in name.split("-")))
    assert issubclass(found, ModulePass)
    assert found.name == name
    return found


PASSES = (
    "balance",
    "check-dataflow",
    "exact-algebra",
    "factor-scales",
    "fold-batch-norm",
    "fuse",
    "hoist-quantize",
    "lower-to-fixed",
    "narrow-widths",
    "override-rounding",
    "partition-streams",
    "size-fifos",
    "thresholds",
)

UNIVERSE = Universe(
    all_dialects={"fixed": _fixed, "qnn": _qnn, "dataflow": _dataflow},
    all_passes={name: (lambda name=name: load_pass(name)) for name in PASSES},
    all_targets={"vitis": _vitis},
)
