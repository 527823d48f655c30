"""Passes of plug-ins in the pipelines of the optimisation levels."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.utils.arg_spec import parse_pipeline

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.pipeline import DATAFLOW, NUMERICS, SIMPLIFY
from calocc.compiler.plugins import LEVELS, Placement, placements


@dataclass(eq=False)
class BadPlacement(CaloccError):
    """A place in the pipelines that a plug-in asks for and cannot have."""

    name: str
    step: str
    problem: str
    advice: str

    @property
    def where(self) -> str:
        return f"plug-in {self.name!r}, pass {self.step}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return self.advice


def placed(pipeline: str, level: int) -> str:
    """A pipeline with the passes that plug-ins place in it at a level; raise BadPlacement."""
    steps: list[str] = []
    for spec in parse_pipeline(pipeline):
        steps.append(str(spec))
        for entry, placement in placements():
            _require_anchor(entry.name, placement)
            if placement.after == spec.name and level in placement.levels:
                steps.append(placement.step)
    return ",".join(steps)


def _require_anchor(name: str, placement: Placement) -> None:
    """The anchor exists, and what decides numerics is placed at every level."""
    numerics = _names(NUMERICS.removesuffix(",dce"))
    known = set[str]().union(numerics, {"dce"}, *map(_names, SIMPLIFY.values()))
    known = known.union(*(_names(p.format(balance="balance")) for p in DATAFLOW.values()))
    if placement.after not in known:
        problem = f"no pipeline has the pass {placement.after!r}"
        raise BadPlacement(name, placement.step, problem, f"take one of {', '.join(sorted(known))}")
    if placement.after in numerics - {"lower-to-fixed"} and set(placement.levels) != set(LEVELS):
        problem = f"behind {placement.after!r} it decides numbers, so that levels would differ"
        raise BadPlacement(name, placement.step, problem, "place it at every level, 0 to 3")


def _names(pipeline: str) -> set[str]:
    return {spec.name for spec in parse_pipeline(pipeline)}
