"""What the package adds to calocc, by name; nothing is imported before it is used."""

from __future__ import annotations

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import Universe
from xdsl.utils.target import Target

from calocc.compiler.plugins import Placement


def _running() -> Dialect:
    from calocc_running.ops import RUNNING

    return RUNNING


def _keep_last_sum() -> type[ModulePass]:
    from calocc_running.passes import KeepLastSum

    return KeepLastSum


def _process_graph() -> type[Target]:
    from calocc_running.target import ProcessGraph

    return ProcessGraph


UNIVERSE = Universe(
    all_dialects={"running": _running},
    all_passes={"keep-last-sum": _keep_last_sum},
    all_targets={"process-graph": _process_graph},
)

PLACEMENT = Placement("keep-last-sum,dce", after="canonicalize")
