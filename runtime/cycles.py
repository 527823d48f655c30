"""Simulating time: when every beat moves in a network of static-rate streaming processes.

The model
---------
A process is one loop that starts at most one iteration per cycle, in order. Iteration `i` starts
in the first cycle that is later than the start of iteration `i - 1` and in which

* every beat it consumes is available: a beat written by an iteration started in cycle `t` is
  available from cycle `t + depth + 1` on (`depth` stages and the register of the FIFO), and
* in bounded runs, there is room for every beat it produces. A beat takes its place in the FIFO
  when the iteration that produces it *starts* and frees it after the cycle in which it is
  consumed, so beat `b` needs beat `b - fifo depth` consumed in an earlier cycle.

Reads block: an iteration that lacks one beat consumes none. Taking the place at the start is how
free-running pipelines work, and an upper bound for stalling ones: a pipeline that starts the
iteration and stalls at the write can only be earlier. Every dependence then takes at least a
cycle, so a deadlock is exactly a cycle of dependences, whatever the pipeline style.

Events stream back to back. A Vitis DATAFLOW process restarts per event and has to drain its
pipeline first: the first iteration of the next event starts `1 + restart` cycles after the
last one of this event at the earliest, and `restart` is the pipeline depth unless the loop is
known to rewind (then 0). Top-level inputs offer a beat per cycle from cycle 0 and wait when their
FIFO is full; top-level outputs are taken, one beat per cycle, as soon as they are available.

The method
----------
Times are the least solution of inequalities `t[v] >= t[u] + gap`. In slack form, `t[i]` less the
cycle in which `i` would start in a process that never waits, an event of a process is a running
maximum over the iterations that move a beat; the other iterations are never materialised. Without
FIFO limits one sweep in topological order solves the network. With limits, sweeps forth and back
over the processes whose neighbours changed converge quickly where FIFOs are large enough. What is
left goes to policy iteration: follow for every iteration the one dependence that binds, evaluate
the resulting forest by pointer jumping, repeat. Iterations on a loop in that graph, and those it
leads to, never start; they get an infinite time, and the first of them in each process tell who
waits for whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.dataflow.schedule import Schedule

Ints = NDArray[np.int64]
Port = tuple[int, int]

_NEVER = 1 << 60
_SWEEPS = 8
_LEAST_DEPTH = 2


@dataclass(frozen=True)
class Process:
    """A named process; `restart` idle cycles separate its events, by default its pipeline depth.

    `restart=0` is a loop that rewinds: the next event follows without a gap.
    """

    name: str
    schedule: Schedule
    restart: int | None = None

    @property
    def interval(self) -> int:
        """Cycles from the start of an event to the earliest start of the next."""
        restart = self.schedule.depth if self.restart is None else self.restart
        return self.schedule.trips + restart


@dataclass(frozen=True)
class Channel:
    """A FIFO from `producer` (process index, output) to `consumer` (process index, input).

    A producer of None is a top-level input, a consumer of None a top-level output; a beat has
    `width` bits.
    """

    name: str
    producer: Port | None
    consumer: Port | None
    width: int = 1


@dataclass(eq=False)
class MalformedNetwork(CaloccError):
    """The processes and channels do not form a network that can be simulated."""

    place: str
    problem: str
    advice: str

    @property
    def where(self) -> str:
        return self.place

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return self.advice


@dataclass(frozen=True)
class Wait:
    """`process` cannot go on: `channel` is full (or else empty)."""

    process: str
    channel: str
    full: bool


@dataclass(frozen=True)
class FullChannel:
    """A full FIFO on a blocking cycle: its depth, and the beats in flight when nothing blocks."""

    channel: str
    depth: int
    suffices: int


@dataclass(eq=False)
class Deadlock(CaloccError):
    """Every process in `waits` waits for the next one, and the last for the first."""

    waits: tuple[Wait, ...]
    full: tuple[FullChannel, ...]

    @property
    def where(self) -> str:
        return ", ".join(f"fifo '{c.channel}' (depth {c.depth})" for c in self.full)

    @property
    def what(self) -> str:
        kinds = ("a beat from", "room in")
        waits = (f"'{w.process}' waits for {kinds[w.full]} '{w.channel}'" for w in self.waits)
        return "deadlock: " + ", ".join(waits)

    @property
    def hint(self) -> str:
        depths = " and ".join(f"'{c.channel}' a depth of {c.suffices}" for c in self.full)
        return f"give {depths}: the beats in flight when nothing blocks"


@dataclass(frozen=True)
class Activity:
    """A process in one event, in cycles.

    `start`: its first iteration; `finish`: the last one leaves the pipeline; `busy`: cycles that
    start an iteration; `starved` and `blocked`: cycles between the first and the last iteration
    without a start, for want of a beat and for want of room.
    """

    name: str
    start: int
    finish: int
    busy: int
    starved: int
    blocked: int


@dataclass(frozen=True, eq=False)
class Course:
    """A process through one event, iteration by iteration.

    The first iteration starts in cycle `first`. Before iteration `marks[i]` the process waits
    `starved[i]` cycles for want of a beat and then `blocked[i]` cycles for want of room; no other
    iteration waits. `trips` iterations, each `depth` cycles in the pipeline.
    """

    name: str
    first: int
    trips: int
    depth: int
    marks: Ints
    starved: Ints
    blocked: Ints

    def activity(self) -> Activity:
        """The same in sums."""
        starved, blocked = int(self.starved.sum()), int(self.blocked.sum())
        finish = self.first + self.trips - 1 + starved + blocked + self.depth
        return Activity(self.name, self.first, finish, self.trips, starved, blocked)


@dataclass(frozen=True, eq=False)
class Timing:
    """When every beat moves.

    `reserved[c]` and `consumed[c]`, (frames * beats,), are the cycles in which the iteration
    that produces, respectively consumes, each beat of channel `c` starts. `latency_cycles` counts
    from the first input beat to the last output beat of event 0, both included.
    `interval_cycles` is the largest `Process.interval`: no FIFO makes the network faster.
    `activities` are those of the last event, in the order of the network's processes.
    """

    frames: int
    reserved: tuple[Ints, ...]
    consumed: tuple[Ints, ...]
    latency_cycles: int
    interval_cycles: int
    activities: tuple[Activity, ...]


@dataclass(frozen=True, eq=False)
class BoundedTiming(Timing):
    """A `Timing` under FIFO limits.

    `slowdown_cycles` is the latency of event 0 less its latency with unbounded FIFOs.
    `measured_interval` is the distance of the last outputs of the last two events (None for a
    single event); it approaches the steady state as events go by.
    """

    slowdown_cycles: int
    measured_interval: int | None


Index = Ints | slice


@dataclass(frozen=True, eq=False)
class _Node:
    """A process with the iterations that move beats (`marks`) and each port's place in them."""

    name: str
    trips: int
    depth: int
    interval: int
    marks: Ints
    inputs: tuple[tuple[int, Index], ...]
    outputs: tuple[tuple[int, Index], ...]


@dataclass(frozen=True, eq=False)
class _Edge:
    """A channel: the nodes it joins, their indices and iterations for every beat."""

    producer: int
    consumer: int
    write_index: Index
    read_index: Index
    writes: Ints
    reads: Ints


@dataclass(frozen=True, eq=False)
class Network:
    """Processes joined by FIFOs, each port by exactly one; raises `MalformedNetwork`.

    Beat counts must agree at both ends of a channel, every process needs an output, names of
    channels are unique and processes form no cycle.
    """

    processes: tuple[Process, ...]
    channels: tuple[Channel, ...]

    def __post_init__(self) -> None:
        _check_names(self.channels)
        _check_ports(self)
        for channel in self.channels:
            self._check_beats(channel)
        _ = self.order

    def beats(self, channel: Channel) -> int:
        """Beats per event."""
        if channel.producer is not None:
            process, port = channel.producer
            return len(self.processes[process].schedule.writes[port])
        assert channel.consumer is not None
        process, port = channel.consumer
        return len(self.processes[process].schedule.reads[port])

    def _check_beats(self, channel: Channel) -> None:
        if channel.producer is None or channel.consumer is None:
            return
        process, port = channel.consumer
        wanted = len(self.processes[process].schedule.reads[port])
        if self.beats(channel) != wanted:
            raise MalformedNetwork(
                f"fifo '{channel.name}'",
                f"its producer writes {self.beats(channel)} beats per event, its consumer reads "
                f"{wanted}",
                "convert the width of the stream between the two",
            )

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Process indices, producers before consumers."""
        followers: list[list[int]] = [[] for _ in self.processes]
        missing = [0] * len(self.processes)
        for channel in self.channels:
            if channel.producer is not None and channel.consumer is not None:
                followers[channel.producer[0]].append(channel.consumer[0])
                missing[channel.consumer[0]] += 1
        order = [p for p, count in enumerate(missing) if count == 0]
        for process in order:
            for follower in followers[process]:
                missing[follower] -= 1
                if missing[follower] == 0:
                    order.append(follower)
        if len(order) < len(self.processes):
            looped = sorted(set(range(len(self.processes))) - set(order))
            names = ", ".join(f"'{self.processes[p].name}'" for p in looped)
            raise MalformedNetwork(
                f"processes {names}", "they wait for one another", "break the cycle of channels"
            )
        return tuple(order)

    @cached_property
    def graph(self) -> _Graph:
        """The network in the form the simulation works on."""
        return _Graph.build(self)


def _check_names(channels: tuple[Channel, ...]) -> None:
    names = [channel.name for channel in channels]
    for channel in channels:
        where = f"fifo '{channel.name}'"
        if names.count(channel.name) > 1:
            raise MalformedNetwork(where, "two channels have this name", "rename one")
        if channel.producer is None and channel.consumer is None:
            raise MalformedNetwork(where, "no process is at either end", "remove it")


def _check_ports(network: Network) -> None:
    wanted: list[tuple[int, int, str]] = []
    for p, process in enumerate(network.processes):
        wanted += [(p, k, "input") for k in range(len(process.schedule.reads))]
        wanted += [(p, k, "output") for k in range(len(process.schedule.writes))]
        if not process.schedule.writes:
            raise MalformedNetwork(
                f"process '{process.name}'", "it has no output", "remove it from the network"
            )
    found = [(*c.producer, "output") for c in network.channels if c.producer is not None]
    found += [(*c.consumer, "input") for c in network.channels if c.consumer is not None]
    if sorted(wanted) != sorted(found):
        odd = sorted(set(wanted) ^ set(found)) or sorted(f for f in found if found.count(f) > 1)
        ports = ", ".join(f"{kind} {k} of process {p}" for p, k, kind in odd)
        raise MalformedNetwork(
            "network", f"not every port has exactly one channel: {ports}", "connect each port once"
        )


@dataclass(frozen=True, eq=False)
class _Graph:
    """A network with its top-level inputs and outputs made processes, ready for arrays.

    `order` lists the nodes with producers first; the first `processes` nodes are the network's.
    """

    nodes: tuple[_Node, ...]
    edges: tuple[_Edge, ...]
    order: tuple[int, ...]
    processes: int
    sinks: tuple[int, ...]

    @staticmethod
    def build(network: Network) -> _Graph:
        processes = list(network.processes)
        ends: list[tuple[Port, Port]] = []
        sources: list[int] = []
        sinks: list[int] = []
        for channel in network.channels:
            each = np.arange(network.beats(channel), dtype=np.int64)
            producer, consumer = channel.producer, channel.consumer
            if producer is None:
                producer = (len(processes), 0)
                sources.append(len(processes))
                processes.append(Process(channel.name, Schedule((), (each,), len(each), 0)))
            if consumer is None:
                consumer = (len(processes), 0)
                sinks.append(len(processes))
                processes.append(Process(channel.name, Schedule((each,), (), len(each), 0)))
            ends.append((producer, consumer))
        nodes = tuple(_node(p, process, ends) for p, process in enumerate(processes))
        edges = tuple(_edge(c, nodes, processes, *ends[c]) for c in range(len(ends)))
        order = (*sources, *network.order, *sinks)
        return _Graph(nodes, edges, order, len(network.processes), tuple(sinks))


def _node(p: int, process: Process, ends: list[tuple[Port, Port]]) -> _Node:
    schedule = process.schedule
    marks = _union((*schedule.reads, *schedule.writes))
    inputs = tuple(
        (c, _places(marks, schedule.reads[end[1]]))
        for c, (_, end) in enumerate(ends)
        if end[0] == p
    )
    outputs = tuple(
        (c, _places(marks, schedule.writes[end[1]]))
        for c, (end, _) in enumerate(ends)
        if end[0] == p
    )
    return _Node(
        process.name, schedule.trips, schedule.depth, process.interval, marks, inputs, outputs
    )


def _edge(
    c: int, nodes: tuple[_Node, ...], processes: list[Process], producer: Port, consumer: Port
) -> _Edge:
    return _Edge(
        producer[0],
        consumer[0],
        dict(nodes[producer[0]].outputs)[c],
        dict(nodes[consumer[0]].inputs)[c],
        processes[producer[0]].schedule.writes[producer[1]],
        processes[consumer[0]].schedule.reads[consumer[1]],
    )


def _union(ports: tuple[Ints, ...]) -> Ints:
    """Sorted union of strictly increasing arrays."""
    distinct = list({id(port): port for port in ports}.values())
    if len(distinct) == 1:
        return distinct[0]
    merged = np.sort(np.concatenate(distinct), kind="stable")
    fresh = np.append(True, merged[1:] != merged[:-1])
    return merged[fresh]


def _places(marks: Ints, port: Ints) -> Index:
    """Where the iterations of `port` are among `marks`, which contain them."""
    if len(port) == len(marks):
        return slice(None)
    return np.searchsorted(marks, port)


@dataclass(eq=False)
class _Event:
    """One event being solved: slacks per node and mark, and what earlier events impose.

    `floor[n]` is the earliest cycle of node n's first iteration; `room[c]` holds the cycles from
    which the first beats of channel c find room, as far as earlier events decide it.
    """

    graph: _Graph
    depths: tuple[int, ...] | None
    floor: list[int]
    room: list[Ints]
    slack: list[Ints]

    def available(self, c: int) -> Ints:
        """Cycles in which the beats of channel c become available, (beats,)."""
        edge = self.graph.edges[c]
        cycles = self.slack[edge.producer][edge.write_index] + edge.writes
        cycles += self.graph.nodes[edge.producer].depth + 1
        return cycles

    def reserved(self, c: int) -> Ints:
        """Cycles in which the iterations that produce the beats start, (beats,)."""
        edge = self.graph.edges[c]
        return self.slack[edge.producer][edge.write_index] + edge.writes

    def consumed(self, c: int) -> Ints:
        """Cycles in which the iterations that consume the beats start, (beats,)."""
        edge = self.graph.edges[c]
        return self.slack[edge.consumer][edge.read_index] + edge.reads

    def supply(self, n: int) -> Ints:
        """The slack that node n's inputs and its previous event ask for, before accumulation."""
        node = self.graph.nodes[n]
        slack = np.full(len(node.marks), self.floor[n], dtype=np.int64)
        for c, index in node.inputs:
            _raise_to(slack, index, self.available(c) - self.graph.edges[c].reads)
        return slack

    def demand(self, n: int, slack: Ints) -> None:
        """Raise `slack` by what the room in node n's outputs asks for."""
        assert self.depths is not None
        for c, index in self.graph.nodes[n].outputs:
            writes, depth, room = self.graph.edges[c].writes, self.depths[c], self.room[c]
            early, late = slice(len(room)), slice(depth, len(writes))
            _raise_to(slack, _part(index, early), room - writes[early])
            if depth < len(writes):
                freed = self.consumed(c)[:-depth] + 1
                _raise_to(slack, _part(index, late), freed - writes[late])

    def update(self, n: int) -> bool:
        """Bring node n up to date with its neighbours; whether it moved."""
        slack = self.supply(n)
        if self.depths is not None:
            self.demand(n, slack)
        np.maximum.accumulate(slack, out=slack)
        moved = not np.array_equal(slack, self.slack[n])
        self.slack[n] = slack
        return moved

    def last(self, n: int) -> int:
        """The cycle of node n's last iteration."""
        return int(self.slack[n][-1]) + self.graph.nodes[n].trips - 1

    def course(self, n: int) -> Course:
        """How node n went through this event."""
        node = self.graph.nodes[n]
        before = np.append(self.first(n), self.slack[n][:-1])
        waits = self.slack[n] - before
        starved = np.maximum(self.supply(n) - before, 0)
        return Course(
            *(node.name, self.first(n), node.trips, node.depth),
            *(node.marks, starved, waits - starved),
        )

    def first(self, n: int) -> int:
        """The cycle of node n's first iteration: iterations before the first mark do not wait."""
        return self.floor[n] if self.graph.nodes[n].marks[0] > 0 else int(self.slack[n][0])

    def finish(self) -> int:
        """The cycle in which the last output beat is taken."""
        return max(self.last(n) for n in self.graph.sinks)


def _part(index: Index, part: slice) -> Index:
    return part if isinstance(index, slice) else index[part]


def _raise_to(slack: Ints, index: Index, floor: Ints) -> None:
    """`slack[index] = max(slack[index], floor)`; indices are distinct."""
    slack[index] = np.maximum(slack[index], floor)


def _free(event: _Event) -> None:
    """Solve an event without FIFO limits."""
    event.slack = [np.zeros(0, dtype=np.int64) for _ in event.graph.nodes]
    depths, event.depths = event.depths, None
    for n in event.graph.order:
        event.update(n)
    event.depths = depths


def _sweep(event: _Event) -> bool:
    """Sweep forth and back over the nodes whose neighbours moved; whether all came to rest."""
    graph = event.graph
    dirty = set(graph.order)
    for sweep in range(_SWEEPS):
        for n in graph.order if sweep % 2 else reversed(graph.order):
            if n in dirty:
                dirty.discard(n)
                if event.update(n):
                    dirty.update(graph.edges[c].consumer for c, _ in graph.nodes[n].outputs)
                    dirty.update(graph.edges[c].producer for c, _ in graph.nodes[n].inputs)
        if not dirty:
            return True
    return False


@dataclass(eq=False)
class _Choice:
    """For every mark of every node, flat: the greatest demand on its slack and who makes it.

    A mark that is its own parent takes its value from the start of the event, not a neighbour.
    """

    value: Ints
    parent: Ints

    def offer(self, target: Ints, source: Ints, value: Ints) -> None:
        """Mark `target` must not have less slack than `value`, says mark `source`."""
        # A tie goes to the neighbour: a chain of dependences then shows at its full length.
        better = value >= self.value[target]
        self.value[target[better]] = value[better]
        self.parent[target[better]] = source[better]

    def accumulate(self, part: slice) -> None:
        """Marks of one node: none has less slack than an earlier one."""
        value = self.value[part]
        top = np.maximum.accumulate(value)
        record = np.append(True, value[1:] >= top[:-1])
        place = _global(part, slice(None))
        head = np.maximum.accumulate(np.where(record, place, place[0]))
        self.parent[part] = np.where(record, self.parent[part], head)
        self.value[part] = top

    def evaluate(self, slack: Ints) -> Ints:
        """The slacks if every mark listens to its parent only; marks on loops get `_NEVER`."""
        mark = np.arange(len(slack))
        never = self.value >= _NEVER // 2
        root = never | (self.parent == mark)
        value = np.where(never, _NEVER, self.value)
        parent = np.where(root, mark, self.parent)
        gain = np.where(root, 0, value - slack[parent])
        active = np.flatnonzero(~root[parent])
        for _ in range(len(slack).bit_length()):
            ahead = parent[active]
            gain[active], parent[active] = gain[active] + gain[ahead], parent[ahead]
            active = active[~root[parent[active]]]
        result = value[parent] + gain
        result[active] = _NEVER
        return np.minimum(result, _NEVER)


def _choose(event: _Event, parts: list[slice], slack: Ints) -> _Choice:
    """The binding dependence of every mark, given the slacks reached so far."""
    graph, depths = event.graph, event.depths
    assert depths is not None
    floors = np.repeat(event.floor, [part.stop - part.start for part in parts])
    choice = _Choice(floors, np.arange(len(slack)))
    for c, edge in enumerate(graph.edges):
        write = _global(parts[edge.producer], edge.write_index)
        read = _global(parts[edge.consumer], edge.read_index)
        room, depth = event.room[c], depths[c]
        early = write[: len(room)]
        choice.offer(early, early, room - edge.writes[: len(room)])
        choice.offer(read, write, event.available(c) - edge.reads)
        if depth < len(write):
            freed = event.consumed(c)[:-depth] + 1
            choice.offer(write[depth:], read[:-depth], freed - edge.writes[depth:])
    for part in parts:
        choice.accumulate(part)
    return choice


def _global(part: slice, index: Index) -> Ints:
    start, stop = int(part.start), int(part.stop)
    return np.arange(start, stop, dtype=np.int64)[index]


def _improve(event: _Event) -> bool:
    """A round of policy iteration; whether to go on.

    It ends at the least solution, or with marks at `_NEVER` as soon as a loop shows up.
    """
    ends = np.cumsum([len(slack) for slack in event.slack]).tolist()
    parts = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    slack = np.concatenate(event.slack)
    better = _choose(event, parts, slack).evaluate(slack)
    event.slack = [better[part] for part in parts]
    return not np.array_equal(better, slack) and int(better.max()) < _NEVER


def _solve(event: _Event) -> None:
    """Bring a freely solved event under its FIFO limits."""
    while not _sweep(event) and _improve(event):
        pass


def _blocker(event: _Event, n: int) -> tuple[int, int, bool] | None:
    """What the first known iteration of node n that never starts waits for.

    As (node, channel, whether the channel is full). Some neighbour's iteration is known never to
    start either: the binding dependence of this one that made it known.
    """
    assert event.depths is not None
    never = np.flatnonzero(event.slack[n] >= _NEVER)
    if never.size == 0:
        return None
    stuck = int(never[0])
    node, edges = event.graph.nodes[n], event.graph.edges
    for c, index in node.inputs:
        beat = _beat(index, stuck, len(edges[c].reads))
        if beat is not None and event.available(c)[beat] >= _NEVER:
            return edges[c].producer, c, False
    for c, index in node.outputs:
        beat = _beat(index, stuck, len(edges[c].writes))
        if beat is not None and beat >= (depth := event.depths[c]):
            if event.consumed(c)[beat - depth] >= _NEVER:
                return edges[c].consumer, c, True
    raise AssertionError(f"process {node.name} waits for nothing")


def _beat(index: Index, mark: int, beats: int) -> int | None:
    """The beat a port moves at `mark`, or None."""
    if isinstance(index, slice):
        return mark
    beat = int(np.searchsorted(index, mark))
    return beat if beat < beats and index[beat] == mark else None


def _refuse_deadlock(network: Network, event: _Event) -> None:
    """Raise `Deadlock` when some iteration never starts."""
    blockers = {n: _blocker(event, n) for n in range(len(event.slack))}
    stuck = [n for n, blocker in blockers.items() if blocker is not None]
    if not stuck:
        return
    path: list[int] = [stuck[0]]
    while (blocker := blockers[path[-1]]) is not None and blocker[0] not in path:
        path.append(blocker[0])
    assert blocker is not None
    cycle = path[path.index(blocker[0]) :]
    raise _explain(network, event, [(n, *found[1:]) for n in cycle if (found := blockers[n])])


def _explain(network: Network, event: _Event, cycle: list[tuple[int, int, bool]]) -> Deadlock:
    """The error for a cycle of (node, channel it waits for, whether that is full)."""
    assert event.depths is not None
    enough = fifo_depths(network, simulate(network))
    names = [channel.name for channel in network.channels]
    waits = tuple(Wait(event.graph.nodes[n].name, names[c], full) for n, c, full in cycle)
    full = [
        FullChannel(names[c], event.depths[c], enough[names[c]]) for _, c, full in cycle if full
    ]
    # A FIFO that is deep enough may be full all the same, because the others hold up its consumer.
    short = [c for c in full if c.depth < c.suffices]
    return Deadlock(waits, tuple(short or full))


@dataclass(eq=False)
class _Run:
    """Events solved one after the other; an event never depends on a later one."""

    graph: _Graph
    depths: tuple[int, ...] | None
    events: list[_Event]
    reserved: list[Ints]
    consumed: list[Ints]

    @staticmethod
    def fresh(network: Network, depths: tuple[int, ...] | None) -> _Run:
        graph = network.graph
        none = [np.zeros(0, dtype=np.int64) for _ in graph.edges]
        return _Run(graph, depths, [], none, list(none))

    def next_event(self) -> _Event:
        """The next event, not solved yet."""
        floor = [0] * len(self.graph.nodes)
        if self.events:
            before = self.events[-1]
            floor = [
                int(before.slack[n][-1]) + node.interval for n, node in enumerate(self.graph.nodes)
            ]
        room: list[Ints] = []
        if self.depths is not None:
            room = [self._room(c, depth) for c, depth in enumerate(self.depths)]
        return _Event(self.graph, self.depths, floor, room, [])

    def _room(self, c: int, depth: int) -> Ints:
        """When the first beats of the next event find room, as earlier events leave it."""
        earlier = self.consumed[c]
        room = np.zeros(min(depth, len(self.graph.edges[c].writes)), dtype=np.int64)
        first = depth - len(earlier)
        if first < len(room):
            start = max(first, 0)
            room[start:] = earlier[start - first : len(room) - first] + 1
        return room

    def keep(self, event: _Event) -> None:
        """Append a solved event."""
        self.events.append(event)
        for c in range(len(self.graph.edges)):
            self.reserved[c] = np.concatenate((self.reserved[c], event.reserved(c)))
            self.consumed[c] = np.concatenate((self.consumed[c], event.consumed(c)))

    @property
    def latency(self) -> int:
        """Cycles of event 0."""
        return self.events[0].finish() + 1

    @property
    def interval(self) -> int:
        """The largest interval of a process."""
        return max(node.interval for node in self.graph.nodes)

    def activities(self) -> tuple[Activity, ...]:
        """Of the network's processes in the last event."""
        return tuple(course.activity() for course in self.courses(-1))

    def courses(self, event: int) -> tuple[Course, ...]:
        """Of the network's processes in an event."""
        return tuple(self.events[event].course(n) for n in range(self.graph.processes))


def simulate(network: Network, frames: int = 1) -> Timing:
    """Run `frames` events back to back with unbounded FIFOs."""
    run = _Run.fresh(network, None)
    for _ in range(frames):
        event = run.next_event()
        _free(event)
        run.keep(event)
    return Timing(
        frames,
        tuple(run.reserved),
        tuple(run.consumed),
        run.latency,
        run.interval,
        run.activities(),
    )


def postpone(network: Network, timing: Timing) -> Timing:
    """The same outputs at the same times, everything before them as late as that allows.

    Beats then wait upstream, in front of the network at best, rather than pile up before a slow
    process: `fifo_depths` of the result are as a rule far smaller, and suffice just as well.
    """
    graph = network.graph
    reserved = [cycles.copy() for cycles in timing.reserved]
    consumed = [cycles.copy() for cycles in timing.consumed]
    latest = [_NEVER] * len(graph.nodes)
    for frame in reversed(range(timing.frames)):
        for n in reversed(graph.order):
            if n not in graph.sinks:
                latest[n] = _delay(graph, n, frame, latest[n], reserved, consumed)
    return replace(timing, reserved=tuple(reserved), consumed=tuple(consumed))


def _delay(
    graph: _Graph, n: int, frame: int, latest: int, reserved: list[Ints], consumed: list[Ints]
) -> int:
    """Move node n of one event as late as its consumers allow; the limit for the event before."""
    node = graph.nodes[n]
    slack = np.full(len(node.marks), latest, dtype=np.int64)
    for c, index in node.outputs:
        writes = graph.edges[c].writes
        deadline = _of_frame(consumed[c], frame, len(writes)) - (node.depth + 1) - writes
        slack[index] = np.minimum(slack[index], deadline)
    slack = np.minimum.accumulate(slack[::-1])[::-1]
    for c, index in node.outputs:
        writes = graph.edges[c].writes
        _of_frame(reserved[c], frame, len(writes))[:] = slack[index] + writes
    for c, index in node.inputs:
        reads = graph.edges[c].reads
        _of_frame(consumed[c], frame, len(reads))[:] = slack[index] + reads
    return int(slack[0]) - node.interval


def _of_frame(cycles: Ints, frame: int, beats: int) -> Ints:
    return cycles[frame * beats : (frame + 1) * beats]


def fifo_depths(network: Network, timing: Timing, least: int = _LEAST_DEPTH) -> dict[str, int]:
    """Per channel the largest number of beats in flight: the least depth that delays none.

    A beat is in flight from the start of the iteration that produces it to the cycle in which it
    is consumed, both included. With these depths every event of `timing` keeps its output times.
    Depths are at least `least`: `hls::stream` has a default depth of 2 (UG1399), and a FIFO of
    depth 1 cannot pass a beat per cycle.
    """
    return {
        channel.name: max(least, in_flight(timing.reserved[c], timing.consumed[c]))
        for c, channel in enumerate(network.channels)
    }


def in_flight(reserved: Ints, consumed: Ints) -> int:
    """The most beats in flight: the least d with `consumed[b - d] < reserved[b]` for all b.

    By doubling and bisection.
    """

    def fits(depth: int) -> bool:
        return bool(np.all(consumed[:-depth] < reserved[depth:]))

    high = 1
    while high < len(reserved) and not fits(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle >= len(reserved) or fits(middle) else (middle, high)
    return high


def verify_depths(network: Network, depths: Mapping[str, int], frames: int = 3) -> BoundedTiming:
    """Run `frames` events back to back with FIFOs of the given depths, by channel name.

    The result tells by how many cycles event 0 is slower than with unbounded FIFOs
    (`slowdown_cycles`, 0 when the depths suffice) and the interval measured. Raises `Deadlock`
    when the network gets stuck (then it does so in every event: a deadlock never spans two), and
    `MalformedNetwork` for a depth that is missing or below 1.
    """
    run, free = _bounded(network, depths, frames)
    finishes = [event.finish() for event in run.events]
    return BoundedTiming(
        frames,
        tuple(run.reserved),
        tuple(run.consumed),
        run.latency,
        run.interval,
        run.activities(),
        run.latency - free,
        finishes[-1] - finishes[-2] if frames > 1 else None,
    )


def follow(
    network: Network, depths: Mapping[str, int], frames: int = 3
) -> tuple[tuple[Course, ...], ...]:
    """How every process goes through each event of the run that `verify_depths` makes.

    By event, then in the order of the network's processes. Raises what `verify_depths` does.
    """
    run, _ = _bounded(network, depths, frames)
    return tuple(run.courses(event) for event in range(frames))


def _bounded(network: Network, depths: Mapping[str, int], frames: int) -> tuple[_Run, int]:
    """A run with FIFO limits, and the latency of its first event without them."""
    run = _Run.fresh(network, _checked_depths(network, depths))
    free = 0
    for _ in range(frames):
        event = run.next_event()
        _free(event)
        free = free or event.finish() + 1
        _solve(event)
        _refuse_deadlock(network, event)
        run.keep(event)
    return run, free


def _checked_depths(network: Network, depths: Mapping[str, int]) -> tuple[int, ...]:
    for channel in network.channels:
        if depths.get(channel.name, 0) < 1:
            raise MalformedNetwork(
                f"fifo '{channel.name}'",
                f"its depth is {depths.get(channel.name, 'not given')}",
                "give each channel a depth of at least 1",
            )
    return tuple(depths[channel.name] for channel in network.channels)
