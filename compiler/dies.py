"""A smaller design where the dies of a device do not hold the best one.

The budget of `balance` is one for the whole device. Processes are not divided, so what fits as a
whole may fit no division among the dies. Then designs within less of the device are tried: as much
less as the fullest die has too little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.devices import Device
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ports import main_function
from calocc.compiler.regions import Assignment, division
from calocc.compiler.report import BOUNDS, RESOURCES, total_resources

TRIES = 4
"""Smaller budgets that are tried at most."""
SPARE = 0.97
"""How full the fullest die would be if the smaller design were divided as the larger one is."""


@dataclass(frozen=True)
class Held:
    """A design, the budget that it was made within, and how its processes are divided among dies;
    None for a single die."""

    module: ModuleOp
    budget: float
    division: Assignment | None

    @property
    def holds(self) -> bool:
        """Whether every die has room for its processes."""
        return self.division is None or self.division.holds

    def notes(self, budget: float) -> tuple[str, ...]:
        """That the budget was lowered, if it was."""
        if self.budget == budget:
            return ()
        return (
            f"no division among the dies holds the design for {budget:.4g} of the device; this one "
            f"is for {self.budget:.3f} of it",
        )


def held_by_dies(build: Callable[[float], ModuleOp], device: Device, budget: float) -> Held:
    """The design that is built within a budget, or within the largest smaller one tried with which
    every die holds its processes; the one for the budget if there is none.

    Raises what `build` raises for the budget itself. Bounds of what no design is below stay those
    for the whole budget.
    """
    first = build(budget)
    held = whole = Held(first, budget, division(main_function(first), device, budget))
    for _ in range(TRIES):
        if held.holds or held.division is None:
            break
        part = min(held.budget, _part(held.module, device))
        lower = part * SPARE / max(held.division.parts)
        try:
            module = build(lower)
        except CaloccError:  # too small, or too slow for what is required
            break
        held = Held(module, lower, division(main_function(module), device, budget))
    if not held.holds:
        return whole
    _keep_bounds(first, held.module)
    return held


def _part(module: ModuleOp, device: Device) -> float:
    """The largest part of any resource of a device that a design takes."""
    used = total_resources(main_function(module))
    return max(getattr(used, name) / max(getattr(device, name), 1e-9) for name in RESOURCES)


def _keep_bounds(first: ModuleOp, module: ModuleOp) -> None:
    bounds = main_function(first).attributes
    known = {name: bounds[name] for name in BOUNDS if name in bounds}
    main_function(module).attributes.update(known)
