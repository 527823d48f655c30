"""Failures as files: a model, events, and what was done with them; to be run again anywhere.

Files with one stem: `.h5` is the model, `.npz` the events, `.json` the plan, what was found and the
commands that show it. Where a pass changes bits, `.mlir` is the module on reals, for calocc-opt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.inputs import load_arrays, save_arrays
from calocc.compiler.keras.reader import read_model
from calocc.compiler.text import module_text
from calocc.runtime.fuzzing.cases import Case, failures_of
from calocc.runtime.fuzzing.data import Data
from calocc.runtime.fuzzing.folding import RandomFolding
from calocc.runtime.fuzzing.models import Drawn
from calocc.runtime.fuzzing.trial import Failure, Plan, Reals, passes_of

VERSION = 1


@dataclass(eq=False)
class NotAReproducer(CaloccError):
    """A file that the fuzzer has not written, or whose companions are missing."""

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
        return "name the .json file of a failure that calocc-fuzz has saved, its .h5 beside it"


def save(directory: Path, case: Case, failure: Failure) -> Path:
    """Write a case to a directory; return the `.json`. Equal failures have equal names."""
    directory.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(f"{failure.kind} {failure.message}".encode()).hexdigest()[:8]
    path = directory / f"{failure.check}-{digest}.json"
    case.drawn.write(path.with_suffix(".h5"))
    _save_events(path, [ref.layer for ref in case.drawn.model.inputs], case.given)
    if _is_for_opt(case, failure):
        module = case.drawn.module()
        if case.plan.data is not None:
            module, _ = case.plan.data.formats(module)
        path.with_suffix(".mlir").write_text(module_text(module))
    _save_facts(path, case, failure)
    return path


def _is_for_opt(case: Case, failure: Failure) -> bool:
    """Whether calocc-opt can show a failure: all its passes are those of the compiler."""
    return failure.check == "bits" and bool(case.given) and RandomFolding.name not in failure.stage


def commands(path: Path, case: Case, failure: Failure) -> list[str]:
    """What shows a failure again, once it is saved."""
    replay = f"calocc-fuzz --replay {path}"
    if not _is_for_opt(case, failure):
        return [replay]
    module, events = path.with_suffix(".mlir"), path.with_suffix(".npz")
    passes = f"{case.plan.numerics},{failure.stage}"
    return [replay, f"calocc-opt {module} -p '{passes}' --verify-bits {events}"]


def _save_events(path: Path, names: list[str], events: tuple[Reals, ...]) -> None:
    if events:
        save_arrays(path.with_suffix(".npz"), dict(zip(names, events, strict=True)))


def _save_facts(path: Path, case: Case, failure: Failure) -> None:
    facts = {
        "version": VERSION,
        "plan": asdict(case.plan),
        "settings": list(case.drawn.settings),
        "inputs": dict(case.drawn.inputs),
        "hls4ml": case.drawn.hls4ml,
    }
    found = {"found": str(failure), "commands": commands(Path(path.name), case, failure)}
    path.write_text(json.dumps({**facts, **found}, indent=2) + "\n")


def load(path: Path) -> Case:
    """The case in a reproducer's files.

    Raises NotAReproducer, BadPipeline for passes that there are not, and what the reader raises.
    """
    facts = facts_of(path)
    plan = _plan(path, facts)
    model, settings = read_model(path.with_suffix(".h5")), tuple(facts["settings"])
    drawn = Drawn(model, settings, dict(facts["inputs"]), facts.get("hls4ml"))
    names = [ref.layer for ref in drawn.model.inputs]
    return Case(drawn, plan, _events(path, names))


def facts_of(path: Path) -> Mapping[str, Any]:
    """What the `.json` says."""
    place = path.with_suffix(".json")
    try:
        facts: Any = json.loads(place.read_text())
        wanted = ("version", "plan", "settings", "inputs")
        if not isinstance(facts, dict) or any(key not in facts for key in wanted):
            raise NotAReproducer(str(place), "it does not say what a reproducer says")
    except OSError as error:
        raise NotAReproducer(str(place), f"it cannot be read: {error.strerror}") from None
    except ValueError:
        raise NotAReproducer(str(place), "it is no JSON") from None
    if facts["version"] != VERSION:
        raise NotAReproducer(str(place), f"its version is {facts['version']}, not {VERSION}")
    return cast(dict[str, Any], facts)


def _plan(path: Path, facts: Mapping[str, Any]) -> Plan:
    try:
        plan: dict[str, Any] = dict(facts["plan"])
        plan["pipelines"] = tuple(plan["pipelines"])
        plan["data"] = Data(**plan["data"]) if plan.get("data") else None
        made = Plan(**plan)
    except (TypeError, KeyError, ValueError) as error:
        raise NotAReproducer(str(path), f"its plan cannot be used: {error}") from None
    for pipeline in (made.numerics, *made.pipelines):
        passes_of(pipeline)
    return made


def _events(path: Path, names: list[str]) -> tuple[Reals, ...]:
    file = path.with_suffix(".npz")
    if not file.is_file():
        return ()
    arrays = load_arrays(file)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise NotAReproducer(str(file), f"it has no events for the input {missing[0]!r}")
    return tuple(np.asarray(arrays[name], np.float64) for name in names)


def replay(path: Path) -> list[Failure]:
    """What fails today of what a reproducer holds; nothing if it has been mended.

    Raises what `load` does.
    """
    return failures_of(load(path))
