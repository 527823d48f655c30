"""Designs as they are used: raw inputs in, whatever computes, and statistics of every call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calocc.compiler.data import Inputs, arrays_for
from calocc.compiler.design import Design, Prediction, load
from calocc.compiler.diagnostics import CaloccError

Reals = NDArray[np.float64]

PLACES = ("emulator", "csim", "xrt")
_LARGEST = 1_000_000
"""Of any number in HostOptions."""
REMEMBERED = 10_000
"""Calls that statistics are taken of: the last ones."""


@dataclass(eq=False)
class NoSuchPlace(CaloccError):
    """Something that a design cannot run on, or an option that it does not have like that."""

    option: str
    problem: str

    @property
    def where(self) -> str:
        return f"calocc.runtime.open: {self.option}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return (
            f"on is one of {', '.join(PLACES)}; EmulatorOptions are those of the emulator, "
            "HostOptions those of csim and xrt"
        )


@dataclass(eq=False)
class Closed(CaloccError):
    """A call of what has been closed."""

    name: str

    @property
    def where(self) -> str:
        return f"design {self.name!r}"

    @property
    def what(self) -> str:
        return "it has been closed"

    @property
    def hint(self) -> str:
        return "open it again with calocc.runtime.open"


@dataclass(frozen=True)
class EmulatorOptions:
    """How the exact emulator runs."""

    threads: int | None = None
    """Threads of each call; by default as many as there are processors."""
    progress: Callable[[int, int], None] | None = None
    """Is told now and then how many events of a call are done, and of how many."""


@dataclass(frozen=True)
class HostOptions:
    """How the host library drives a card, or the simulation of one."""

    image: Path | None = None
    """The .xclbin; by default the one that `calocc-build DIR xclbin` makes."""
    device: int = 0
    """Which card."""
    units: int = 1
    """Compute units that csim has; a card has those of its image."""
    batch: int = 256
    """Events per run of a kernel."""
    timeout: float = 10.0
    """Seconds that a run may take."""
    retries: int = 2
    """How often a failed run is repeated before the call fails."""

    def __post_init__(self) -> None:
        """Raise NoSuchPlace for numbers that C would take for others."""
        least = {"device": 0, "units": 1, "batch": 1, "retries": 0, "timeout": 0.001}
        for name, bound in least.items():
            value = getattr(self, name)
            if not bound <= value <= _LARGEST:
                raise NoSuchPlace(name, f"{value} is not between {bound} and {_LARGEST}")


@dataclass(frozen=True)
class Latency:
    """Statistics over the last calls, in microseconds per call."""

    calls: int
    """All calls so far."""
    events: int
    """All events so far."""
    mean: float
    median: float
    p99: float
    worst: float
    retries: int = 0
    """Runs of a kernel that were repeated."""


@dataclass
class Deployment:
    """An open design. Any number of threads may call it at once; closing waits for them."""

    design: Design
    on: str
    _run: Callable[[list[Reals]], list[Reals]]
    _close: Callable[[], None] = lambda: None
    _retries: Callable[[], int] = lambda: 0
    _seconds: deque[float] = field(default_factory=lambda: deque[float](maxlen=REMEMBERED))
    _calls: int = 0
    _events: int = 0
    _active: int = 0
    _closed: bool = False
    _lock: Condition = field(default_factory=Condition)

    def predict(self, x: Inputs) -> Prediction:
        """Run raw events: an array (events, *shape), or a list or dictionary of them by name.

        Inputs are scaled as the design says (`--scaler`) and quantized as the model does. Returns
        float64, an array for one output and a list for several. Raises BadInput, Closed, and
        DeviceFailed where a card or its simulation fails for good.
        """
        arrays = [np.ascontiguousarray(a) for a in arrays_for(self.design.inputs, x)]
        self._enter()
        try:
            started = perf_counter()
            results = self._run(arrays)
            self._count(perf_counter() - started, len(arrays[0]))
        finally:
            self._leave()
        return results[0] if len(results) == 1 else results

    def statistics(self) -> Latency:
        """What calls have taken so far; not a number before the first."""
        with self._lock:
            times = 1e6 * np.array(self._seconds or [np.nan])
            retries = 0 if self._closed else self._retries()
            calls, events = self._calls, self._events
        median, p99 = (float(v) for v in np.quantile(times, (0.5, 0.99)))
        return Latency(calls, events, float(times.mean()), median, p99, float(times.max()), retries)

    def close(self) -> None:
        """Let go of the device, when the calls that are running have ended."""
        with self._lock:
            first, self._closed = not self._closed, True
            self._lock.wait_for(lambda: self._active == 0)
        if first:
            self._close()

    def __enter__(self) -> Deployment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise Closed(self.design.name)
            self._active += 1

    def _leave(self) -> None:
        with self._lock:
            self._active -= 1
            self._lock.notify_all()

    def _count(self, seconds: float, events: int) -> None:
        with self._lock:
            self._seconds.append(seconds)
            self._calls += 1
            self._events += events


def deploy(directory: Path, on: str, **options: Any) -> Deployment:
    """What `calocc.runtime.open` does."""
    if on not in PLACES:
        raise NoSuchPlace(f"on={on!r}", "a design does not run there")
    kind = EmulatorOptions if on == "emulator" else HostOptions
    for name in options:
        if name not in kind.__dataclass_fields__:
            raise NoSuchPlace(name, f"{on} has no such option")
    design = load(directory)
    if on == "emulator":
        return Deployment(design, on, _emulator(design, EmulatorOptions(**options)))
    from calocc.runtime.host import open_host

    host = open_host(directory.absolute(), design, on, HostOptions(**options))
    return Deployment(design, on, host.predict, host.close, host.retries)


def _emulator(design: Design, options: EmulatorOptions) -> Callable[[list[Reals]], list[Reals]]:
    """Scale, and predict in the emulator, whose plan is made before threads can meet there."""
    design.plan()

    def run(arrays: list[Reals]) -> list[Reals]:
        pairs = zip(design.inputs, arrays, strict=True)
        x = [scaled(design, p.name, a) for p, a in pairs]
        result = design.predict(x, options.threads, options.progress)
        return result if isinstance(result, list) else [result]

    return run


def scaled(design: Design, name: str, x: Reals) -> Reals:
    """Raw events of an input as the model takes them."""
    return design.scalers[name](x) if name in design.scalers else x
