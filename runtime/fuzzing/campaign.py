"""Runs many cases: on several processes or a Dask cluster, in order, from where a run stopped.

Chunks are handed out ahead and their results taken in order, so that what is printed and stored
depends on the seed alone, whatever runs the chunks. When the time is up, chunks end early; how many
cases of each have run is stored, and a run that goes on begins with the next ones.
"""

from __future__ import annotations

import gc
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import inf
from multiprocessing import get_context
from pathlib import Path
from time import time
from typing import Any

from calocc.compiler.diagnostics import CaloccError
from calocc.runtime.fuzzing.cases import Deadline, Options, Tally, run_chunk

LAST = 8.0, 0.05
"""Chunks begin with what g++ compiles, so none of those does in the last seconds of a run, or the
last part of one that is long."""


@dataclass(eq=False)
class BadState(CaloccError):
    """A state file of another run, or a damaged one."""

    file: str
    problem: str

    @property
    def where(self) -> str:
        return self.file

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "go on with the options of the run that wrote it, or name another file"


@dataclass(eq=False)
class DaskMissing(CaloccError):
    """A cluster was named, and the package to talk to it is not there."""

    scheduler: str

    @property
    def where(self) -> str:
        return f"option --scheduler {self.scheduler}"

    @property
    def what(self) -> str:
        return "Dask is not installed"

    @property
    def hint(self) -> str:
        return "pip install 'calocc[fuzz]'"


@dataclass
class Campaign:
    """A run: what is left of chunks from `done` on, until there are enough cases or the time is up.

    Of later chunks `begun` says how many cases have run.
    """

    options: Options
    examples: int | None = None
    seconds: float | None = None
    state: Path | None = None
    tally: Tally = field(default_factory=Tally)
    done: int = 0
    begun: dict[int, int] = field(default_factory=dict[int, int])

    def run(
        self, executor: Executor, ahead: int, told: Callable[[Tally], None] = lambda _: None
    ) -> Tally:
        """Run chunks on an executor, `ahead` of them at a time; `told` sees the tally after each.

        Raises BadState for a state file that does not fit.
        """
        self._resume()
        waiting: deque[tuple[int, Future[Tally]]] = deque()
        chunks = self._chunks()
        for _ in range(ahead):
            self._submit(executor, waiting, chunks)
        while waiting:
            index, future = waiting.popleft()
            self._add(index, future.result())
            self._store()
            told(self.tally)
            self._submit(executor, waiting, chunks)
        return self.tally

    def _chunks(self) -> Iterator[tuple[int, Deadline]]:
        """The chunks to run and when they are to end; the first one begins, however late it is."""
        deadline, index = self._deadline(), self.done
        first = replace(deadline, margin=-inf)
        while not self._is_enough(index):
            if self._left(index):
                yield index, first
                first = deadline
                if deadline.is_near(compiles=False):
                    return
            index += 1

    def _deadline(self) -> Deadline:
        if self.seconds is None:
            return Deadline()
        margin = min(max(LAST[0], LAST[1] * self.seconds), self.seconds / 2)
        return Deadline(time() + self.seconds, margin)

    def _is_enough(self, index: int) -> bool:
        return self.examples is not None and index * self.options.chunk >= self.examples

    def _left(self, index: int) -> range:
        """The cases of a chunk that are to run and have not."""
        most = self.options.chunk
        if self.examples is not None:
            most = min(most, self.examples - index * self.options.chunk)
        return range(self.begun.get(index, 0), most)

    def _submit(
        self,
        executor: Executor,
        waiting: deque[tuple[int, Future[Tally]]],
        chunks: Iterator[tuple[int, Deadline]],
    ) -> None:
        chunk = next(chunks, None)
        if chunk is not None:
            index, deadline = chunk
            future = executor.submit(run_chunk, self.options, index, self._left(index), deadline)
            waiting.append((index, future))

    def _add(self, index: int, tally: Tally) -> None:
        """What came of more cases of a chunk."""
        self.tally.add(tally)
        self.begun[index] = self.begun.get(index, 0) + tally.cases
        while self.begun.get(self.done) == self.options.chunk:
            del self.begun[self.done]
            self.done += 1

    # ---- the state file --------------------------------------------------------------------------

    def _store(self) -> None:
        """The state, complete or as it was before."""
        if self.state is None:
            return
        draft = self.state.with_name(f".{self.state.name}")
        draft.write_bytes(pickle.dumps((self.options, self.done, self.begun, self.tally)))
        draft.replace(self.state)

    def _resume(self) -> None:
        if self.state is None or not self.state.is_file():
            return
        try:
            options, done, begun, tally = _Reader(self.state.open("rb")).load()
        except Exception as error:  # whatever a damaged file makes of pickle
            raise BadState(str(self.state), f"it cannot be read: {error}") from None
        if options != self.options:
            raise BadState(str(self.state), "it belongs to a run with other options")
        self.done, self.begun, self.tally = done, begun, tally


class _Reader(pickle.Unpickler):
    """Reads what a run has stored: numbers, arrays, and classes of calocc."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Nothing else is looked up."""
        if module_name.partition(".")[0] in ("calocc", "numpy", "collections"):
            return super().find_class(module_name, global_name)
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")


@contextmanager
def executor_of(jobs: int, scheduler: str | None) -> Generator[Executor]:
    """Local processes, or a Dask cluster by its address; raise DaskMissing."""
    if scheduler is not None:
        with _dask(scheduler) as executor:
            yield executor
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _settle) as executor:
        yield executor


def _settle() -> None:
    """What a process has imported stays; modules are full of references that go round, and looking
    for those at every 700th object, as Python does, takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@contextmanager
def _dask(scheduler: str) -> Generator[Executor]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise DaskMissing(scheduler) from None
    with distributed.Client(scheduler, set_as_default=False) as client:
        yield client.get_executor(pure=False)
