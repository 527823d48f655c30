"""The token simulation against a simulator that steps through every cycle."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calocc.dialects.dataflow import schedules
from calocc.dialects.dataflow.gearbox import Gearbox
from calocc.dialects.dataflow.layout import SINGLE, Layout
from calocc.dialects.dataflow.schedule import Schedule
from calocc.runtime import cycles
from calocc.runtime.cycles import (
    Channel,
    Deadlock,
    MalformedNetwork,
    Network,
    Process,
    Timing,
    fifo_depths,
    postpone,
    simulate,
    verify_depths,
)
from calocc.runtime.hasten import hasten

UNBOUNDED = 10**9


# --- the oracle: one cycle after the other, scalars only ------------------------------------------


@dataclass
class Fifo:
    depth: int
    arrivals: list[int] = field(default_factory=list[int])
    reserved: list[int] = field(default_factory=list[int])
    consumed: list[int] = field(default_factory=list[int])

    def has_beat(self, cycle: int) -> bool:
        taken = len(self.consumed)
        return taken < len(self.arrivals) and self.arrivals[taken] <= cycle

    def has_room(self, cycle: int) -> bool:
        # A place consumed in this very cycle is free in the next one only.
        gone = sum(t < cycle for t in self.consumed)
        return len(self.arrivals) - gone < self.depth


@dataclass
class Machine:
    schedule: Schedule
    restart: int
    inputs: list[Fifo]
    outputs: list[Fifo]
    frames: int
    frame: int = 0
    iteration: int = 0
    earliest: int = 0

    def step(self, cycle: int) -> bool:
        """Start the next iteration in this cycle if it can; whether it did."""
        if self.frame == self.frames or cycle < self.earliest:
            return False
        reads = [
            fifo
            for fifo, port in zip(self.inputs, self.schedule.reads, strict=True)
            if self.iteration in port
        ]
        writes = [
            fifo
            for fifo, port in zip(self.outputs, self.schedule.writes, strict=True)
            if self.iteration in port
        ]
        if not all(f.has_beat(cycle) for f in reads) or not all(f.has_room(cycle) for f in writes):
            return False
        for fifo in reads:
            fifo.consumed.append(cycle)
        for fifo in writes:
            fifo.reserved.append(cycle)
            fifo.arrivals.append(cycle + self.schedule.depth + 1)
        self._advance(cycle)
        return True

    def _advance(self, cycle: int) -> None:
        self.iteration += 1
        self.earliest = cycle + 1
        if self.iteration == self.schedule.trips:
            self.iteration = 0
            self.frame += 1
            self.earliest += self.restart


def machines(network: Network, fifos: list[Fifo], frames: int) -> list[Machine]:
    every: list[Machine] = []
    for p, process in enumerate(network.processes):
        ins = {c.consumer[1]: f for c, f in zip(network.channels, fifos, strict=True)
               if c.consumer is not None and c.consumer[0] == p}  # fmt: skip
        outs = {c.producer[1]: f for c, f in zip(network.channels, fifos, strict=True)
                if c.producer is not None and c.producer[0] == p}  # fmt: skip
        restart = process.schedule.depth if process.restart is None else process.restart
        every.append(
            Machine(
                process.schedule,
                restart,
                [ins[k] for k in range(len(ins))],
                [outs[k] for k in range(len(outs))],
                frames,
            )
        )
    for channel, fifo in zip(network.channels, fifos, strict=True):
        each = np.arange(network.beats(channel))
        if channel.producer is None:
            every.append(Machine(Schedule((), (each,), len(each), 0), 0, [], [fifo], frames))
        if channel.consumer is None:
            every.append(Machine(Schedule((each,), (), len(each), 0), 0, [fifo], [], frames))
    return every


def oracle(network: Network, depths: dict[str, int], frames: int) -> list[Fifo] | None:
    """The FIFOs after all events, or None when the network gets stuck."""
    fifos = [Fifo(depths.get(channel.name, UNBOUNDED)) for channel in network.channels]
    running = machines(network, fifos, frames)
    patience = 2 + max(m.restart + m.schedule.depth for m in running)
    cycle = idle = 0
    while any(m.frame < frames for m in running):
        moved = [m.step(cycle) for m in running]
        idle = 0 if any(moved) else idle + 1
        if idle > patience:
            return None
        cycle += 1
    return fifos


def oracle_latency(network: Network, fifos: list[Fifo]) -> int:
    return 1 + max(
        fifo.consumed[network.beats(channel) - 1]
        for channel, fifo in zip(network.channels, fifos, strict=True)
        if channel.consumer is None
    )


def assert_same(timing: Timing, fifos: list[Fifo]) -> None:
    for c, fifo in enumerate(fifos):
        assert timing.reserved[c].tolist() == fifo.reserved
        assert timing.consumed[c].tolist() == fifo.consumed


# --- random networks ------------------------------------------------------------------------------


@dataclass
class Builder:
    """Grows a network from one top-level input; `open` are (producer port, beats) to go on from."""

    processes: list[Process] = field(default_factory=list[Process])
    channels: list[Channel] = field(default_factory=list[Channel])

    def add(self, schedule: Schedule, restart: int | None, *sources: tuple[int, int] | None) -> int:
        index = len(self.processes)
        self.processes.append(Process(f"p{index}", schedule, restart))
        for k, source in enumerate(sources):
            self.connect(source, (index, k))
        return index

    def connect(self, source: tuple[int, int] | None, target: tuple[int, int] | None) -> None:
        self.channels.append(Channel(f"c{len(self.channels)}", source, target))

    def build(self) -> Network:
        return Network(tuple(self.processes), tuple(self.channels))


restarts = st.sampled_from([None, 0, 3])
pipeline_depths = st.integers(0, 4)


@st.composite
def ports(draw: st.DrawFn, beats: int, trips: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    chosen = draw(st.sets(st.integers(0, trips - 1), min_size=beats, max_size=beats))
    return np.array(sorted(chosen), dtype=np.int64)


@st.composite
def changers(draw: st.DrawFn, beats_in: int, beats_out: int) -> Schedule:
    """Reads and writes anywhere in the loop: far more general than any kernel."""
    trips = draw(st.integers(max(beats_in, beats_out), 2 * max(beats_in, beats_out) + 2))
    reads = (draw(ports(beats_in, trips)),)
    return Schedule(reads, (draw(ports(beats_out, trips)),), trips, draw(pipeline_depths))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A chain of rate changers and of diamonds whose branches are rate changers."""
    builder = Builder()
    beats = draw(st.integers(1, 6))
    last: tuple[int, int] | None = None
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            after = draw(st.integers(1, 6))
            p = builder.add(draw(changers(beats, after)), draw(restarts), last)
            last, beats = (p, 0), after
        else:
            split = schedules.fork(beats, 2, draw(pipeline_depths))
            f = builder.add(split, draw(restarts), last)
            arms = [draw(arm(builder, (f, k), beats)) for k in range(2)]
            join = Schedule(
                tuple(draw(ports(n, 8)) for _, n in arms), (draw(ports(beats, 8)),), 8, 1
            )
            last = (builder.add(join, draw(restarts), *(port for port, _ in arms)), 0)
    builder.connect(last, None)
    return builder.build()


@st.composite
def arm(
    draw: st.DrawFn, builder: Builder, start: tuple[int, int], beats: int
) -> tuple[tuple[int, int], int]:
    if draw(st.booleans()):
        return start, beats
    after = draw(st.integers(1, 6))
    return (builder.add(draw(changers(beats, after)), draw(restarts), start), 0), after


@st.composite
def limited(draw: st.DrawFn) -> tuple[Network, dict[str, int]]:
    network = draw(networks())
    return network, {channel.name: draw(st.integers(1, 7)) for channel in network.channels}


# --- against the oracle ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(networks(), st.integers(1, 3))
def test_unbounded_times_are_the_stepwise_ones(network: Network, frames: int) -> None:
    fifos = oracle(network, {}, frames)
    assert fifos is not None
    timing = simulate(network, frames)
    assert_same(timing, fifos)
    assert timing.latency_cycles == oracle_latency(network, fifos)


@pytest.mark.parametrize("sweeps", [0, 1, 8])
def test_bounded_times_are_the_stepwise_ones(sweeps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the two solvers does the work; deadlocks are found exactly where they are."""
    monkeypatch.setattr(cycles, "_SWEEPS", sweeps)
    stuck: list[bool] = []

    @settings(deadline=None, max_examples=100)
    @given(limited(), st.integers(1, 3))
    def check(case: tuple[Network, dict[str, int]], frames: int) -> None:
        network, depths = case
        fifos = oracle(network, depths, frames)
        stuck.append(fifos is None)
        if fifos is None:
            with pytest.raises(Deadlock) as caught:
                verify_depths(network, depths, frames)
            assert_true_cycle(network, depths, caught.value)
            return
        timing = verify_depths(network, depths, frames)
        assert_same(timing, fifos)
        slowdown = timing.latency_cycles - simulate(network).latency_cycles
        assert timing.slowdown_cycles == slowdown

    check()
    assert any(stuck)
    assert not all(stuck)


def assert_true_cycle(network: Network, depths: dict[str, int], error: Deadlock) -> None:
    """Each wait names a channel between its process and the next one of the cycle."""
    names = [process.name for process in network.processes]
    channels = {channel.name: channel for channel in network.channels}
    following = (*error.waits[1:], error.waits[0])
    for wait, after in zip(error.waits, following, strict=True):
        channel = channels[wait.channel]
        ends = [channel.producer, channel.consumer]
        here, there = ends if wait.full else reversed(ends)
        assert here is not None
        assert there is not None
        assert (names[here[0]], names[there[0]]) == (wait.process, after.process)
    enough = fifo_depths(network, simulate(network))
    full = [w.channel for w in error.waits if w.full]
    short = [channel for channel in full if depths[channel] < enough[channel]]
    assert [c.channel for c in error.full] == (short or full)
    assert all((c.depth, c.suffices) == (depths[c.channel], enough[c.channel]) for c in error.full)


# --- depths ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(networks(), st.integers(1, 3))
def test_depths_suffice_and_are_minimal(network: Network, frames: int) -> None:
    free = simulate(network, frames)
    depths = fifo_depths(network, free, least=1)
    bounded = verify_depths(network, depths, frames)
    assert_equal_times(bounded, free)
    assert bounded.slowdown_cycles == 0
    for name, depth in depths.items():
        if depth > 1:
            assert is_slower(network, depths | {name: depth - 1}, free)


def assert_equal_times(left: Timing, right: Timing) -> None:
    for a, b in zip(left.reserved + left.consumed, right.reserved + right.consumed, strict=True):
        assert a.tolist() == b.tolist()


def is_slower(network: Network, depths: dict[str, int], free: Timing) -> bool:
    try:
        timing = verify_depths(network, depths, free.frames)
    except Deadlock:
        return True
    pairs = list(zip(timing.reserved, free.reserved, strict=True))
    assert all(bool(np.all(a >= b)) for a, b in pairs)
    return any(bool(np.any(a > b)) for a, b in pairs)


def outputs(network: Network, timing: Timing) -> list[list[int]]:
    return [
        timing.consumed[c].tolist()
        for c, channel in enumerate(network.channels)
        if channel.consumer is None
    ]


@settings(deadline=None, max_examples=100)
@given(networks(), st.integers(1, 3))
def test_postponing_keeps_every_output_time(network: Network, frames: int) -> None:
    free = simulate(network, frames)
    late = postpone(network, free)
    pairs = list(zip(late.reserved + late.consumed, free.reserved + free.consumed, strict=True))
    assert all(bool(np.all(a >= b)) for a, b in pairs)
    depths = fifo_depths(network, late, least=1)
    fifos = oracle(network, depths, frames)
    assert fifos is not None
    bounded = verify_depths(network, depths, frames)
    assert_same(bounded, fifos)
    assert outputs(network, bounded) == outputs(network, free) == outputs(network, late)


@settings(deadline=None, max_examples=100)
@given(networks(), st.integers(1, 3), st.data())
def test_hastening_keeps_every_output_time(
    network: Network, frames: int, data: st.DataObject
) -> None:
    wide = (replace(c, width=data.draw(st.integers(1, 9))) for c in network.channels)
    network = replace(network, channels=tuple(wide))
    free = simulate(network, frames)
    late = postpone(network, free)
    moved = hasten(network, late)
    times = (t.reserved + t.consumed for t in (free, moved, late))
    assert all(bool(np.all((a <= b) & (b <= c))) for a, b, c in zip(*times, strict=True))
    depths = fifo_depths(network, moved, least=1)
    fifos = oracle(network, depths, frames)
    assert fifos is not None
    bounded = verify_depths(network, depths, frames)
    assert_same(bounded, fifos)
    assert outputs(network, bounded) == outputs(network, free) == outputs(network, late)
    assert bits_in_flight(network, moved) <= bits_in_flight(network, late)


def bits_in_flight(network: Network, timing: Timing) -> int:
    depths = fifo_depths(network, timing, least=1)
    return sum(channel.width * depths[channel.name] for channel in network.channels)


@pytest.mark.parametrize("first", [0, 28])
@pytest.mark.parametrize("before", [True, False])
def test_what_a_slice_drops_does_not_wait(first: int, before: bool) -> None:
    """Eight rows of four beats and a copy of the first or the last, in front of them or behind."""
    order = (4, 32) if before else (32, 4)
    processes = (
        Process("fork", schedules.fork(32, 2)),
        Process("move", schedules.map(32)),
        Process("row", schedules.slice_(1, 32, first, 4)),
        Process("join", schedules.concat(1, *order)),
    )
    channels = (
        Channel("x", None, (0, 0)),
        Channel("copy", (0, 0), (1, 0)),
        Channel("moved", (1, 0), (2, 0)),
        Channel("row", (2, 0), (3, int(not before))),
        Channel("whole", (0, 1), (3, int(before))),
        Channel("y", (3, 0), None),
    )
    network = Network(processes, channels)
    late = postpone(network, simulate(network, 3))
    depths = fifo_depths(network, hasten(network, late))
    assert max(depths["copy"], depths["moved"]) <= 6
    assert depths["row"] <= 6
    assert (depths["whole"] > 28) == (before and first > 0)


def converted(before: int, after: int, depth: int = 2) -> Schedule:
    """A row of elements in other beats than before."""
    size = max(before, after)
    return Gearbox((1, 1, size), Layout(size // before), Layout(size // after)).schedule(depth)


def chain(*schedules_: Schedule) -> Network:
    processes = tuple(Process(f"p{k}", s) for k, s in enumerate(schedules_))
    ends = [None, *((k, 0) for k in range(len(processes)))]
    channels = tuple(
        Channel(f"c{k}", ends[k], ends[k + 1] if k < len(processes) else None)
        for k in range(len(processes) + 1)
    )
    return Network(processes, channels)


def test_postponing_moves_the_queue_in_front_of_a_slow_process_away() -> None:
    fast, slow = schedules.map(100, depth=3), schedules.matvec(100, 8, 8, 8, 1, depth=5)
    network = chain(fast, slow)
    free = simulate(network, frames=2)
    assert fifo_depths(network, free)["c1"] > 80
    late = fifo_depths(network, postpone(network, free))
    # The last one holds what the slow process has in its five stages.
    assert late == {"c0": 2, "c1": 2, "c2": 7}
    assert verify_depths(network, late).slowdown_cycles == 0


# --- figures by hand ------------------------------------------------------------------------------


def test_latency_and_activity_of_a_chain() -> None:
    """Four beats, two iterations each in the second process.

    Offered 0 1 2 3; the first process starts at 1 2 3 4, its beats are available 3 later; the
    second starts at 4 5, 6 7, ... and writes at the odd ones; the sink takes the last at
    11 + 2 + 1.
    """
    network = chain(schedules.map(4, depth=2), schedules.matvec(4, 1, 2, 1, 2, depth=2))
    assert simulate(network).activities[1].busy == 4
    network = chain(schedules.map(4, depth=2), converted(4, 8, depth=2))
    timing = simulate(network)
    assert timing.consumed[1].tolist() == [4, 6, 8, 10]
    assert timing.latency_cycles == 15
    assert timing.interval_cycles == 8 + 2
    first, second = timing.activities
    assert (first.start, first.finish, first.busy, first.starved) == (1, 6, 4, 0)
    assert (second.start, second.finish, second.busy, second.starved) == (4, 13, 8, 0)


def test_starved_and_blocked_cycles_are_told_apart() -> None:
    """A process of one iteration per beat after one of two, and the other way round."""
    slow, fast = converted(4, 8, depth=0), converted(8, 4, depth=0)
    network = chain(slow, schedules.map(8, depth=0), fast)
    assert [a.starved for a in simulate(network).activities] == [0, 0, 0]
    network = chain(schedules.map(4, depth=0), slow)
    bounded = verify_depths(network, {"c0": 2, "c1": 1, "c2": 2}, frames=1)
    # The second process consumes at 2 4 6 8, the first may start in the next cycles 3 5 7.
    assert bounded.reserved[1].tolist() == [1, 3, 5, 7]
    assert (bounded.activities[0].starved, bounded.activities[0].blocked) == (0, 3)
    network = chain(schedules.matvec(4, 1, 2, 1, 1, depth=0), converted(8, 4, depth=0))
    assert simulate(network).activities[1].starved == 0
    network = chain(Schedule((np.arange(2),), (np.array([0, 4]),), 5, 0), schedules.map(2, depth=0))
    assert simulate(network).activities[1].starved == 3


@pytest.mark.parametrize(("restart", "interval"), [(None, 12), (0, 10), (7, 17)])
def test_the_slowest_process_sets_the_interval(restart: int | None, interval: int) -> None:
    process = Process("only", schedules.map(10, depth=2), restart)
    network = Network((process,), (Channel("in", None, (0, 0)), Channel("out", (0, 0), None)))
    depths = {"in": 4, "out": 4}
    assert simulate(network).interval_cycles == interval
    assert verify_depths(network, depths, frames=4).measured_interval == interval


def test_a_single_event_has_no_measured_interval() -> None:
    network = chain(schedules.map(3))
    assert verify_depths(network, {"c0": 9, "c1": 9}, frames=1).measured_interval is None


def test_a_shallow_fifo_slows_a_full_rate_stream_down() -> None:
    """With one place a beat moves every other cycle: 2 * 9 cycles for the other nine beats."""
    network = chain(schedules.map(10, depth=0))
    free = simulate(network)
    bounded = verify_depths(network, {"c0": 2, "c1": 1}, frames=1)
    assert fifo_depths(network, free) == {"c0": 2, "c1": 2}
    assert bounded.slowdown_cycles == 9


def test_long_feedback_is_solved_exactly() -> None:
    """Thousands of places handed back one by one: far more hops than there are sweeps."""
    beats = 3000
    network = chain(schedules.map(beats, depth=0), schedules.map(beats, depth=0))
    bounded = verify_depths(network, {"c0": 1, "c1": 1, "c2": 1}, frames=2)
    # Offered at 0, taken and passed on at 1, at 2, and at 3; then every 2 cycles.
    assert bounded.consumed[2][:beats].tolist() == [3 + 2 * b for b in range(beats)]


# --- errors ---------------------------------------------------------------------------------------


def diamond() -> Network:
    """A skip connection around a 3 x 3 window on an 8 x 8 image."""
    shape = schedules.Window((8, 8, 1), (3, 3), (1, 1), (1, 1, 1, 1), (8, 8), SINGLE, Layout(9))
    processes = (
        Process("split", schedules.fork(64, 2)),
        Process("window", schedules.window(shape)),
        Process("conv", schedules.matvec(64, 9, 1, 9, 1)),
        Process("add", schedules.map(64, 2)),
    )
    channels = (
        Channel("image", None, (0, 0)),
        Channel("main", (0, 0), (1, 0)),
        Channel("skip", (0, 1), (3, 1)),
        Channel("windows", (1, 0), (2, 0)),
        Channel("features", (2, 0), (3, 0)),
        Channel("sum", (3, 0), None),
    )
    return Network(processes, channels)


def test_a_short_skip_connection_deadlocks_with_an_explanation() -> None:
    network = diamond()
    depths = fifo_depths(network, simulate(network))
    with pytest.raises(Deadlock) as caught:
        verify_depths(network, depths | {"skip": 4})
    assert str(caught.value) == (
        "error: fifo 'skip' (depth 4): deadlock: 'split' waits for room in 'skip', "
        "'add' waits for a beat from 'features', 'conv' waits for a beat from 'windows', "
        "'window' waits for a beat from 'main'\n"
        f"  hint: give 'skip' a depth of {depths['skip']}: the beats in flight when nothing blocks"
    )
    assert verify_depths(network, depths).slowdown_cycles == 0


@pytest.mark.parametrize("depths", [{"c0": 2}, {"c0": 2, "c1": 0}])
def test_depths_are_checked(depths: dict[str, int]) -> None:
    with pytest.raises(MalformedNetwork, match="give each channel a depth"):
        verify_depths(chain(schedules.map(3)), depths)


BAD_NETWORKS = {
    "two channels have this name": (("x", None, (0, 0)), ("x", (0, 0), None)),
    "exactly one channel: output 0 of process 0": (("x", None, (0, 0)),),
    "exactly one channel: input 0 of process 0": (
        ("x", None, (0, 0)), ("y", None, (0, 0)), ("z", (0, 0), None),
    ),
    "no process is at either end": (("x", None, None),),
    "wait for one another": (("x", (0, 0), (0, 0)),),
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_NETWORKS)
def test_malformed_networks_are_refused(text: str) -> None:
    channels = tuple(Channel(*fields) for fields in BAD_NETWORKS[text])
    with pytest.raises(MalformedNetwork, match=text):
        Network((Process("only", schedules.map(3)),), channels)


def test_beats_must_agree() -> None:
    with pytest.raises(MalformedNetwork, match="writes 6 beats per event, its consumer reads 4"):
        chain(converted(3, 6), schedules.map(4))


def test_a_process_needs_an_output() -> None:
    dead_end = Process("dead end", Schedule((np.arange(3),), (), 3, 0))
    with pytest.raises(MalformedNetwork, match="it has no output"):
        Network((dead_end,), (Channel("in", None, (0, 0)),))
