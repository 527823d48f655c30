"""The best design for a device, or what keeps it from being built; and the nearest one that can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from calocc.compiler.devices import Device, device_names, load_device
from calocc.compiler.ports import main_function
from calocc.compiler.report import RESOURCES, total_resources
from calocc.dialects.dataflow.process import set_multiplier
from calocc.dialects.dataflow.resources import Resources
from calocc.passes.balancing.choice import Share, amounts
from calocc.passes.balancing.folding import Goal, Pins, longest_loop, matvecs
from calocc.passes.balancing.relaxation import Relaxation
from calocc.passes.balancing.requirement import UNLIMITED, Requirement, Thrift
from calocc.passes.balancing.search import Search, Trial
from calocc.passes.check_dataflow import find_obstacle
from calocc.passes.size_fifos import set_depths

PACES = 6
"""Speeds of processes beside matrix products that are tried for the smallest design."""


@dataclass(frozen=True)
class Place:
    """A device, and the fraction of each of its resources that a design may use."""

    device: Device
    budget: float

    @property
    def resources(self) -> Resources:
        """All that the device has."""
        return Resources(**{name: getattr(self.device, name) for name in RESOURCES})

    @property
    def limits(self) -> Resources:
        """What a design may use."""
        names = {name: int(getattr(self.device, name) * self.budget) for name in RESOURCES}
        return Resources(**names)


@dataclass(frozen=True)
class Wish:
    """What foldings are chosen for: the least `latency`, the greatest `throughput`, or if there is
    a requirement the fewest resources that meet it."""

    optimize: str = "latency"
    requirement: Requirement = field(default_factory=Requirement)
    pins: Pins = field(default_factory=dict[str, dict[str, int]])
    rounds: int = 0
    """Of search beyond what finds a good design in seconds."""

    @property
    def is_thrifty(self) -> bool:
        """Whether a requirement is to be met."""
        return self.requirement != Requirement()


@dataclass(frozen=True)
class Bounds:
    """What no folding is below: cycles of latency and interval within the budget, and with a
    requirement the `part` of some resource of the device that meeting it takes."""

    latency: int
    interval: int
    part: float | None = None


@dataclass(frozen=True)
class Fit:
    """A design that can be built."""

    goal: Goal
    trial: Trial
    bounds: Bounds


@dataclass(frozen=True)
class TooLarge:
    """Even the smallest design does not fit: the resources that lack, as (name, needed, in the
    budget), that which lacks most first."""

    lacking: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class TooSlow:
    """Even the fastest design found is slower than required: `kind` (latency or interval), cycles
    that are `wanted`, those of the `best` design, and those that no folding is below."""

    kind: str
    wanted: int
    best: int
    bound: int


def uniform(module: ModuleOp, cycles: int) -> Goal:
    """The goal that no process takes more than these cycles."""
    return Goal((Share(cycles),) * len(matvecs(main_function(module))), cycles)


def attempt(
    module: ModuleOp, place: Place, wish: Wish, give_up: bool = False
) -> Fit | TooLarge | TooSlow:
    """The best design that is found; raise NotBuildable if none can be synthesised.

    With `give_up` there is no search for a requirement that no folding meets.
    """
    set_multiplier(main_function(module), place.device.multiplier)
    search = Search(module, wish.pins, place.limits, wish.rounds)
    longest = longest_loop(main_function(module))
    slowest, function, fits = _smallest(search, place, longest)
    if not fits:
        return TooLarge(_lacking(function, place))
    if obstacle := find_obstacle(function):
        raise obstacle
    need = wish.requirement
    if give_up and (slow := _slow(need, _bounds(search, need.latency, need.interval), None)):
        return slow
    goal = _searched(search, slowest, wish, Relaxation.deepest(function))
    if goal is slowest:  # its FIFOs may not have been sized
        goal, function, fits = _smallest(search, place, longest, sure=True)
        if not fits:
            return TooLarge(_lacking(function, place))
    trial = search.tried(goal)
    bounds = _bounds(search, trial.latency, trial.interval)
    if slow := _slow(need, bounds, trial):
        return slow
    if not wish.is_thrifty:
        return Fit(goal, trial, bounds)
    device = amounts(place.resources)
    goal = Thrift(search, need, device).smallest(goal)
    part = Relaxation.of(search, need.latency).part(device, need)
    return Fit(goal, search.tried(goal), replace(bounds, part=part))


def _bounds(search: Search, latency: int | None, interval: int | None) -> Bounds:
    """What no folding within the limits is below that is faster than these cycles."""
    relaxed = Relaxation.of(search, latency)
    available = amounts(search.limits)
    least = relaxed.latency(available) if latency is not None else 0
    return Bounds(least, relaxed.interval(available) if interval is not None else 0)


def _smallest(
    search: Search, place: Place, cycles: int, sure: bool = False
) -> tuple[Goal, FuncOp, bool]:
    """The smallest design, and whether it fits: as slow as can be, or what takes least of the
    device while the processes beside matrix products are slow or fast, which need less memory
    between them. FIFOs are sized if that may decide, or to be `sure`."""
    slowest = uniform(search.module, cycles)
    function = search.trial(slowest)
    if (not sure and search.has_plenty(function)) or search.fits_with_fifos(function):
        return slowest, function, True
    device = amounts(place.resources)
    found: list[tuple[float, Goal, FuncOp]] = []
    for others in (max(cycles >> (3 * k), 1) for k in range(PACES)):
        search.trial(replace(slowest, others=others))
        choice = search.division.smallest(UNLIMITED, search.spent, device)
        goal = Goal(choice.shares, others)
        function = search.trial(goal)
        if search.fits_with_fifos(function):
            return goal, function, True
        part = float((amounts(total_resources(function)) / np.maximum(device, 1e-3)).max())
        found.append((part, goal, function))
    _, goal, function = min(found, key=lambda row: row[0])
    set_depths(function)
    return goal, function, False


def _lacking(function: FuncOp, place: Place) -> tuple[tuple[str, int, int], ...]:
    """The resources of which there are not enough, that which lacks most first."""
    used, limits = total_resources(function), place.limits
    rows = [(name, getattr(used, name), getattr(limits, name)) for name in RESOURCES]
    lacking = [row for row in rows if row[1] > row[2]]
    return tuple(sorted(lacking, key=lambda row: row[2] / row[1]))


def _searched(search: Search, slowest: Goal, wish: Wish, depth: int) -> Goal:
    """The fastest design, or with a requirement the first that meets it."""
    need = wish.requirement
    goal = search.least_interval(slowest)
    if wish.is_thrifty and need.latency is None:
        return goal
    if wish.optimize == "throughput" and not wish.is_thrifty:
        return search.least_latency(goal, goal.others)
    most = UNLIMITED if need.interval is None else max(need.interval - depth, goal.others)
    return search.least_latency(goal, most, need.latency or 0)


def _slow(need: Requirement, bounds: Bounds, trial: Trial | None) -> TooSlow | None:
    """What is required and not met by a design, or if there is none by the bounds."""
    for kind in ("latency", "interval"):
        wanted, bound = getattr(need, kind), getattr(bounds, kind)
        taken = bound if trial is None else getattr(trial, kind)
        if wanted is not None and taken > wanted:
            return TooSlow(kind, wanted, taken, bound)
    return None


@dataclass(frozen=True)
class Nearest:
    """Where a design can be built as asked for, and its cycles there."""

    device: str
    budget: float
    latency: int
    interval: int


def nearest(module: ModuleOp, place: Place, wish: Wish) -> Nearest | None:
    """A larger budget of the device, or else the smallest of the larger devices that will do."""
    for other in _others(place):
        found = attempt(module, other, wish, give_up=True)
        if isinstance(found, Fit):
            trial = found.trial
            return Nearest(other.device.name, other.budget, trial.latency, trial.interval)
    return None


def _others(place: Place) -> Iterator[Place]:
    for budget in (b / 10 for b in range(1, 11)):
        if budget > place.budget:
            yield Place(place.device, budget)
    devices = sorted(map(load_device, device_names()), key=lambda d: (d.lut, d.name))
    for device in devices:
        if device.lut > place.device.lut:
            yield Place(device, place.budget)
