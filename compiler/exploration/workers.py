"""Where points are evaluated: in this process, in others on this machine, or in a Dask cluster."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.exploration.evaluate import Shipment, evaluate, evaluate_shipped
from calocc.compiler.exploration.grid import Point, Setup
from calocc.compiler.report import Json

CONNECT_SECONDS = 10
Named = Sequence[tuple[str, Point]]
"""Points with their keys."""


@dataclass(eq=False)
class NoWorkers(CaloccError):
    """Workers that cannot be reached, or that went away."""

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


def run_local(points: Named, setup: Setup, jobs: int) -> Iterator[Json]:
    """The records of all points as they become known, from `jobs` processes; raise NoWorkers."""
    if jobs == 1:
        yield from (evaluate(key, point, setup) for key, point in points)
        return
    context = multiprocessing.get_context("spawn")  # threads of numpy do not survive a fork
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = [pool.submit(evaluate, key, point, setup) for key, point in points]
        try:
            yield from (future.result() for future in as_completed(waiting))
        except BrokenProcessPool:
            raise NoWorkers(
                "option --jobs",
                "a worker process was ended from outside, perhaps for want of memory",
                "the results so far are kept; run the same command again with fewer --jobs",
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def run_on_cluster(points: Named, setup: Setup, address: str) -> Iterator[Json]:
    """The records of all points as they become known, from the workers of a Dask scheduler.

    Files travel with the setup. Raises NoWorkers.
    """
    distributed = _distributed()
    where = f"option --scheduler {address}"
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        advice = "start one with `dask scheduler`, and name the address that it prints"
        raise NoWorkers(where, f"no scheduler answers: {error}", advice) from None
    with client:
        shipment = client.scatter(Shipment.of(setup), broadcast=True)
        waiting = [
            client.submit(evaluate_shipped, key, point, shipment, key=f"calocc-{key}", retries=1)
            for key, point in points
        ]
        for future in distributed.as_completed(waiting):
            try:
                yield future.result()
            except distributed.KilledWorker:
                advice = "the results so far are kept; give workers more memory and run it again"
                raise NoWorkers(where, "a point ended several workers", advice) from None


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise NoWorkers(
            "option --scheduler", "Dask is not installed", "pip install 'calocc[explore]'"
        ) from None
