"""Passes from the text of a pipeline, as in `fuse,balance{budget=0.5}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from xdsl.passes import ModulePass, PassOptionInfo, get_pass_option_infos
from xdsl.utils.arg_spec import ArgSpec, parse_pipeline
from xdsl.utils.exceptions import ArgSpecParseError

from calocc.compiler.diagnostics import CaloccError

Factories = Mapping[str, Callable[[], type[ModulePass]]]


@dataclass(eq=False)
class BadPipeline(CaloccError):
    """A pipeline that cannot be read, or that names what does not exist."""

    pipeline: str
    problem: str
    advice: str

    @property
    def where(self) -> str:
        return f"pipeline {self.pipeline!r}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return self.advice


def instantiate(known: Factories, pipeline: str) -> tuple[ModulePass, ...]:
    """The passes that a pipeline names, with their options; raise BadPipeline."""
    try:
        specs = tuple(parse_pipeline(pipeline))
    except ArgSpecParseError as error:
        problem = " ".join(str(error).split())
        raise BadPipeline(
            pipeline, f"it cannot be read: {problem}", "write pass,pass{option=value}"
        ) from None
    return tuple(_instance(known, pipeline, spec) for spec in specs)


def _instance(known: Factories, pipeline: str, spec: ArgSpec) -> ModulePass:
    factory = known.get(spec.name)
    if factory is None:
        near = get_close_matches(spec.name, known)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        advice = f"{meant}`calocc-opt --list-passes` lists all"
        raise BadPipeline(pipeline, f"there is no pass {spec.name!r}", advice)
    kind = factory()
    try:
        return kind.from_spec(spec)
    except ValueError as error:
        advice = f"the options of {spec.name} are: {', '.join(options_of(kind)) or 'none'}"
        raise BadPipeline(pipeline, f"pass {spec.name}: {error}", advice) from None


def options_of(kind: type[ModulePass]) -> tuple[str, ...]:
    """Each option of a pass as `name: type = default`."""
    return tuple(_option(info) for info in get_pass_option_infos(kind))


def _option(info: PassOptionInfo) -> str:
    default = "" if info.default_value is None else f" = {info.default_value}"
    type = info.expected_type.strip("'\"").replace("'", "").replace('"', "")
    return f"{info.name.replace('_', '-')}: {type}{default}"
