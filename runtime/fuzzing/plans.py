"""Draws what is done with a model: policies, levels, orders of passes, foldings."""

from __future__ import annotations

from functools import cache

from xdsl.utils.arg_spec import parse_pipeline

from calocc.compiler.calibration.formats import Criterion
from calocc.compiler.devices import device_names
from calocc.compiler.pipeline import DATAFLOW, PREPARE, SIMPLIFY, to_fixed
from calocc.compiler.placement import placed
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.passes.balance import GOALS, LAYOUTS, Balance
from calocc.runtime.fuzzing.data import Data
from calocc.runtime.fuzzing.source import Source
from calocc.runtime.fuzzing.trial import Plan

FIFOS = "size-fifos,check-dataflow"
"""What ends every pipeline."""
LOWERED = "lower-to-fixed,dce"
"""The last passes that decide numerics."""
PROCESS_PASSES = ("canonicalize", "cse", "dce", "fuse")
"""Passes on processes that do; foldings come besides."""
ROUNDINGS = tuple(Rounding)
OVERFLOWS = tuple(Overflow)
Pins = tuple[str, ...]
"""Foldings of layers that `balance` keeps."""
SLOW = "balance"
"""The search for a folding, which takes longer than all else."""
SEARCHED = 16
"""Once in so many plans `-O2` and `-O3` search for their folding; else they meet an interval."""
CALIBRATED = 6
"""Once in so many plans formats come from data, and none is given by hand."""
BUDGETED = 8
"""Once in so many plans integers need not be exact, but be within a budget, which is searched."""
TO_FIFOS = 8
"""Once in so many brief plans FIFOs get depths; bits do not depend on them."""


def level_pipeline(level: int, balance: str = SLOW) -> str:
    """From integers to balanced processes at an -O level, with the passes of plug-ins."""
    behind = [p for p in _passes(LOWERED, level) if p not in LOWERED.split(",")]
    steps = (SIMPLIFY[level], DATAFLOW[level].format(balance=balance))
    return ",".join([*behind, *(p for step in steps if step for p in _passes(step, level))])


@cache
def _passes(pipeline: str, level: int) -> tuple[str, ...]:
    """A pipeline pass by pass, with those that plug-ins place in it; raise BadPlacement."""
    return tuple(map(str, parse_pipeline(placed(pipeline, level))))


def numerics(source: Source, budgeted: int = BUDGETED) -> str:
    """From reals to integers: mostly exactly, at times within a budget or otherwise rounded."""
    before = ""
    if source.once_in(8):
        modes = f"rounding={source.one_of(ROUNDINGS)} overflow={source.one_of(OVERFLOWS)}"
        before = f"override-rounding{{{modes}}},"
    budget = source.pick(0.01, 0.1, 1.0) if source.once_in(budgeted) else None
    return f"{before}{placed(PREPARE, 0)},{to_fixed(budget, source.once_in(16))}"


def any_order(source: Source, search: bool = True, pins: Pins = ()) -> str:
    """Passes on layers and then on processes, each any number of times."""
    known = (*_passes(SIMPLIFY[3], 3), "dce")
    layers = [source.one_of(known) for _ in range(source.integer(0, 5))]
    processes = [source.one_of(PROCESS_PASSES) for _ in range(source.integer(0, 3))]
    folding = any_folding(source, search, pins)
    behind = [source.one_of(PROCESS_PASSES) for _ in range(source.integer(0, 2))]
    steps = [*layers, "partition-streams", *processes, folding, *behind]
    return ",".join([*steps, FIFOS])


def any_folding(source: Source, search: bool = True, pins: Pins = ()) -> str:
    """A folding at random, one that meets an interval, or one that is searched for."""
    if search and source.once_in(SEARCHED):
        return str(searched(source, pins).spec())
    if source.integer(0, 3):
        return f"random-folding{{seed={source.seed()}}}"
    interval = source.pick(1, source.integer(1, 500))
    layout, packing = source.pick(*LAYOUTS), source.flag()
    return str(Balance(interval=interval, pins=pins, layout=layout, packing=packing).spec())


def searched(source: Source, pins: Pins = ()) -> Balance:
    """The search with what a user may ask of it: a device, a part of it, a goal or a limit."""
    micros = 2.0 ** source.integer(-4, 4)
    return Balance(
        target=source.pick(Balance.target, *device_names()),
        budget=source.pick(0.8, 0.1, 0.01, 0.001),
        optimize=source.pick(*GOALS),
        pins=pins,
        latency_us=micros if source.once_in(4) else None,
        interval_us=micros if source.once_in(4) else None,
        layout=source.pick(*LAYOUTS),
        packing=source.flag(),
    )


def data(source: Source) -> Data:
    """A calibration to so many bits, without a search for the fewest."""
    criterion = str(source.pick(*Criterion))
    return Data(source.seed(), source.integer(2, 8), source.integer(2, 8), criterion)


def draw_plan(source: Source, events: int = 16, simulate: bool = False, pins: Pins = ()) -> Plan:
    """A plan for a model that was drawn: all levels, and passes in any order."""
    is_searched = source.once_in(SEARCHED)
    balance = str(searched(source, pins).spec()) if is_searched else _meeting(source, pins)
    levels = [level_pipeline(level, balance) for level in DATAFLOW]
    pipelines = [*levels, any_order(source, pins=pins)]
    return Plan(
        numerics(source),
        tuple(dict.fromkeys(pipelines)),
        source.seed(),
        events,
        search=64 if source.once_in(4) else 0,
        emulate=source.once_in(2),
        text=source.once_in(8),
        simulate=simulate,
        data=data(source) if source.once_in(CALIBRATED) else None,
    )


def brief_plan(source: Source, events: int = 16, simulate: bool = False, pins: Pins = ()) -> Plan:
    """A plan for a model of which many are drawn: one level or one order of passes, of which the
    ends are compared; all else now and then."""
    if source.flag():
        pipeline = any_order(source, False, pins)
    else:
        pipeline = level_pipeline(source.one_of(sorted(DATAFLOW)), _meeting(source, pins))
    if not simulate and not source.once_in(TO_FIFOS):
        pipeline = pipeline.removesuffix(f",{FIFOS}")
    return Plan(
        numerics(source, 4 * BUDGETED),
        (pipeline,),
        source.seed(),
        events,
        emulate=source.once_in(8),
        text=source.once_in(128),
        simulate=simulate,
        data=data(source) if source.once_in(4 * CALIBRATED) else None,
        brief=True,
    )


def _meeting(source: Source, pins: Pins) -> str:
    """A folding that meets an interval of some cycles, but for the layers that are pinned."""
    return str(Balance(interval=source.pick(1, source.integer(1, 99)), pins=pins).spec())


def plan_for(source: Source, events: int, search: int, pins: Pins = ()) -> Plan:
    """A plan for a model that was given: some of the levels, and passes in any order."""
    balance = str(Balance(pins=pins).spec())
    levels = [level_pipeline(level, balance) for level in source.subset(sorted(DATAFLOW), least=1)]
    orders = [any_order(source, pins=pins)]
    return Plan(
        f"{placed(PREPARE, 0)},{to_fixed()}",
        tuple(dict.fromkeys([*levels, *orders])),
        source.seed(),
        events,
        search,
        text=True,
        simulate=True,
    )
