"""Draws configurations of hls4ml, as `--hls4ml-config` takes them: types, reuse, strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from calocc.compiler.hls4ml.configuration import (
    PARTS,
    STRATEGIES,
    read_configuration,
    read_entries,
)
from calocc.compiler.hls4ml.reuse import pins_for
from calocc.compiler.keras.model import KerasModel
from calocc.compiler.pipeline import NUMERICS, SIMPLIFY
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.runtime.fuzzing.models import Drawn
from calocc.runtime.fuzzing.source import Source
from calocc.runtime.fuzzing.trial import CONTEXT, passes_of

Entries = dict[str, Any]

ROUNDINGS = tuple(mode.name for mode in Rounding)
OVERFLOWS = tuple(mode.name for mode in Overflow)
VARIABLES = ("default", "result", "weight", "bias", "accum", "table")
LARGEST_REUSE = 9
_TRIES = 4


def configured(source: Source, drawn: Drawn) -> Drawn:
    """The model with a configuration that it can have; without one if none is found.

    It adds to the formats that a user gives by hand, or stands in their place.
    """
    for _ in range(_TRIES):
        candidate = replace(drawn, hls4ml=_entries(source, drawn.model))
        if source.flag():
            candidate = replace(candidate, settings=(), inputs={})
        if candidate.is_taken:  # types may contradict the model, or hold too little
            return candidate
    return drawn


def read_sections(file: Path) -> Entries:
    """What a file says of all layers, of classes and of layers; raise BadHlsConfig."""
    read_configuration(file)
    entries = cast(Entries, read_entries(file))
    inner = entries.get("HLSConfig") or entries
    return {part: inner.get(part) or {} for part in PARTS}


def pins(drawn: Drawn) -> tuple[str, ...]:
    """The reuse factors of a model's configuration, as foldings that `balance` keeps.

    As `calocc` does, it asks how many products are left when layers are simplified. What fails on
    the way there is for trials to find.
    """
    wishes = drawn.wishes()
    if wishes is None or not wishes.reuse:
        return ()
    module = drawn.imported.clone()
    try:
        for step in passes_of(f"{NUMERICS},{SIMPLIFY[3]}"):
            step.apply(CONTEXT, module)
    except Exception:
        return ()
    return pins_for(module, wishes.reuse)


def _entries(source: Source, model: KerasModel) -> Entries:
    """Settings for all layers, for some classes and for some layers by name."""
    names = [layer.name for layer in model.layers]
    classes = sorted({layer.class_name for layer in model.layers})
    whole = {**_section(source), "Precision": _type(source)}
    parts = (whole, _sections(source, classes), _sections(source, names))
    return dict(zip(PARTS, parts, strict=True))


def _sections(source: Source, names: Sequence[str]) -> Entries:
    return {name: _section(source) for name in names if source.once_in(3)}


def _section(source: Source) -> Entries:
    """Any of what a section may say."""
    entries: Entries = {}
    if source.flag():
        variables = source.subset(VARIABLES, least=1)
        entries["Precision"] = {name: _type(source) for name in variables}
    if source.flag():
        entries["ReuseFactor"] = source.integer(1, LARGEST_REUSE)
    if source.once_in(3):
        entries["Strategy"] = source.one_of(STRATEGIES).title()
    return entries


def _type(source: Source) -> str:
    """A type as hls4ml writes it, mostly one that holds what layers yield."""
    width = source.integer(2, 10) if source.flag() else source.integer(10, 20)
    integer = source.integer(width // 3, width)
    modes = "" if source.flag() else f",{source.one_of(ROUNDINGS)},{source.one_of(OVERFLOWS)}"
    return f"{source.pick('', '', 'u')}fixed<{width},{integer}{modes}>"
