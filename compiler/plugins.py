"""What other packages bring, found by entry points.

| group | names |
|---|---|
| `xdsl.universe` | a `Universe`: dialects, passes, targets |
| `calocc.keras_layers` | a module whose import registers importers of Keras layers |
| `calocc.rules` | a module whose import registers how ops are lowered, streamed and written |
| `calocc.pipeline` | a `Placement`, or a tuple of them: passes in the pipelines of `-O` levels |
| `calocc.kernels` | a package that holds `calocc_<kernel>.h` |
| `calocc.devices` | a package that holds `<device>.toml` |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeVar

from calocc.compiler.diagnostics import CaloccError

LAYERS = "calocc.keras_layers"
RULES = "calocc.rules"
PIPELINE = "calocc.pipeline"
KERNELS = "calocc.kernels"
DEVICES = "calocc.devices"
LEVELS = (0, 1, 2, 3)
T = TypeVar("T")


@dataclass(eq=False)
class BrokenPlugin(CaloccError):
    """What another package registers, and what cannot be loaded or used."""

    name: str
    module: str
    problem: str

    @property
    def where(self) -> str:
        return f"plug-in {self.name!r} ({self.module})"

    @property
    def what(self) -> str:
        return f"it cannot be loaded: {self.problem}"

    @property
    def hint(self) -> str:
        return "repair the package that registers it, or uninstall it"


@dataclass(frozen=True)
class Placement:
    """A pass of another package in the pipelines: `step`, with its options, right behind `after`.

    At `levels` whose pipelines have no such pass it is left out.
    """

    step: str
    after: str
    levels: tuple[int, ...] = LEVELS


def _load(entry: EntryPoint, use: Callable[[EntryPoint], T]) -> T:
    """What an entry point names; whatever the code of others does ends in one message."""
    try:
        return use(entry)
    except CaloccError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BrokenPlugin(entry.name, entry.value, problem) from error


@cache
def load_modules(group: str) -> None:
    """Import the modules of a group; raise BrokenPlugin, or what their registration raises."""
    for entry in entry_points(group=group):
        _load(entry, lambda e: e.load())


@cache
def resources(group: str, prefix: str, suffix: str) -> dict[str, Traversable]:
    """The files `<prefix><name><suffix>` of the packages of a group, by name."""
    found: dict[str, Traversable] = {}
    for entry in entry_points(group=group):
        for file in _load(entry, lambda e: list(files(e.value).iterdir())):
            if file.name.startswith(prefix) and file.name.endswith(suffix):
                found[file.name.removeprefix(prefix).removesuffix(suffix)] = file
    return found


@cache
def placements() -> tuple[tuple[EntryPoint, Placement], ...]:
    """All placements, each with the entry point that names it; raise BrokenPlugin."""
    return tuple(
        (entry, placement)
        for entry in entry_points(group=PIPELINE)
        for placement in _load(entry, _placements)
    )


def _placements(entry: EntryPoint) -> tuple[Placement, ...]:
    named = entry.load()
    found = (named,) if isinstance(named, Placement) else tuple(named)
    if not all(isinstance(p, Placement) for p in found):
        raise TypeError(f"{entry.value} is no Placement")
    return found
