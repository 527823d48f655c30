"""What must hold of the time and the resources of a design: sums, bounds, limits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from calocc.compiler.devices import load_device
from calocc.compiler.network import depths_of, network_of
from calocc.compiler.ports import main_function
from calocc.compiler.report import total_resources
from calocc.passes.balance import Balance
from calocc.passes.balancing.attempt import Place
from calocc.passes.balancing.choice import amounts
from calocc.runtime.critical_path import critical_path
from calocc.runtime.cycles import Timing, simulate, verify_depths


def broken_figures(module: ModuleOp, passes: tuple[ModulePass, ...]) -> str | None:
    """What is wrong with the figures of a design that these passes have made; None if nothing is.

    Only what `balance` has left alone since is held to what it was asked for.
    """
    function = main_function(module)
    timing = _timing(function)
    broken = list(_of_chain(function, timing))
    names = [step.name for step in passes]
    searches = [
        step for step, then in zip(passes, names[1:], strict=False)
        if isinstance(step, Balance) and step.interval is None and then == "size-fifos"
    ]  # fmt: skip
    for search in searches:
        broken += [*_beyond_bounds(function, timing), *_beyond_limits(function, timing, search)]
    return broken[0] if broken else None


def _timing(function: FuncOp) -> Timing:
    return simulate(network_of(function))


def _of_chain(function: FuncOp, timing: Timing) -> Iterator[str]:
    """The shares of the latency add up to it, and FIFOs add nothing."""
    network = network_of(function)
    chain = critical_path(network, timing)
    depths = [network.processes[s.process].schedule.depth + 1 for s in chain.shares]
    total = chain.arrival + sum(s.cycles for s in chain.shares) + sum(depths)
    if total != timing.latency_cycles:
        yield f"the shares of the latency are {total} cycles, not {timing.latency_cycles}"
    slower = verify_depths(network, depths_of(function)).slowdown_cycles
    if slower:
        yield f"FIFOs slow the design by {slower} cycles"


def _beyond_bounds(function: FuncOp, timing: Timing) -> Iterator[str]:
    """No folding is faster than what no folding is faster than."""
    cycles = {"least_latency": timing.latency_cycles, "least_interval": timing.interval_cycles}
    for name, taken in cycles.items():
        bound = function.attributes.get(name)
        if isinstance(bound, IntegerAttr) and taken < bound.value.data:
            yield f"{name} is {bound.value.data} cycles, but the design takes {taken}"


def _beyond_limits(function: FuncOp, timing: Timing, search: Balance) -> Iterator[str]:
    """The design is as fast as required, within its part of the device."""
    limits = Place(load_device(search.target), search.budget).limits
    used = total_resources(function)
    if np.any(amounts(used) > amounts(limits)):
        yield f"the design takes {used}, allowed are {limits}"
    required = {
        "latency": (search.latency_us, timing.latency_cycles),
        "interval": (search.interval_us, timing.interval_cycles),
    }
    for kind, (micros, taken) in required.items():
        if micros is not None and taken > micros * search.clock:
            yield f"the {kind} is {taken} cycles, {micros * search.clock:g} were required"
