"""When a streaming process reads and writes, counted in iterations of its one loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Schedule:
    """One process and one event: a flattened loop that starts one iteration per cycle (II = 1).

    Iteration `reads[k][b]` consumes beat `b` of input `k`; iteration `writes[k][b]` produces beat
    `b` of output `k`. Every array is one-dimensional, strictly increasing and within
    `0 .. trips - 1`: a port moves at most one beat per iteration. An event takes `trips`
    iterations; `depth` is the pipeline latency in cycles from an iteration to its output.
    Raises ValueError when an array breaks these rules.
    """

    reads: tuple[NDArray[np.int64], ...]
    writes: tuple[NDArray[np.int64], ...]
    trips: int
    depth: int

    def __post_init__(self) -> None:
        if self.trips < 1 or self.depth < 0:
            raise ValueError(f"trips={self.trips} must be >= 1 and depth={self.depth} >= 0")
        for direction, ports in (("reads", self.reads), ("writes", self.writes)):
            for k, port in enumerate(ports):
                _check_port(f"{direction}[{k}]", port, self.trips)


def _check_port(name: str, port: NDArray[np.int64], trips: int) -> None:
    if port.ndim != 1 or port.size == 0:
        raise ValueError(f"{name} must be one-dimensional and hold at least one beat")
    if port[0] < 0 or port[-1] >= trips:
        raise ValueError(f"{name} leaves the iterations 0..{trips - 1}")
    if not bool(np.all(port[1:] > port[:-1])):
        raise ValueError(f"{name} is not strictly increasing")
