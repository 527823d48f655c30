"""Configurations of hls4ml (`hls4ml_config.yml`, or the dictionaries that its tools make) as data.

A setting for a layer is looked for by its name, then by its class, then in `Model`, as hls4ml
does. Entries that only say how hls4ml writes C++ are known and without effect; unknown ones are
refused, as hls4ml would pass over them in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from calocc.compiler.hls4ml.errors import BadHlsConfig
from calocc.compiler.hls4ml.precision import parse_precision
from calocc.dialects.qnn.quantizers import FixedPoint

DEFAULT = "default"
VARIABLES = (
    *(DEFAULT, "result", "weight", "bias", "accum", "scale", "param", "table", "maximum"),
    *("depthwise", "pointwise", "depthwise_accum", "pointwise_accum", "depthwise_result"),
    *("recurrent_weight", "recurrent_bias", "embeddings", "slope", "shift", "zero_bias"),
    *("exp_table", "inv_table", "inv_inp", "inp_norm", "state", "recurrent_accum"),
)
STRATEGIES = ("latency", "resource", "resource_unrolled", "unrolled", "distributed_arithmetic")
"""How hls4ml builds a product; all mean the same numbers. See strategy.py."""
WITHOUT_EFFECT = frozenset(
    (
        "Trace TraceOutput BramFactor ConvImplementation ParallelizationFactor TableSize Skip "
        "Implementation PipelineStyle PipelineInterval TargetCycles ChannelsLastConversion "
        "TransposeOutputs RecurrentReuseFactor Compression"
    ).split()
)
PARTS = ("Model", "LayerType", "LayerName")
REST = ("Flows", "Optimizers", "SkipOptimizers")
TOP = frozenset(
    "HLSConfig Part Board ClockPeriod ClockUncertainty ProjectName ProjectDir OutputDir Backend "
    "IOType Stamp Version InputShapes OutputShapes WriterConfig KerasModel KerasH5 KerasJson "
    "OnnxModel PytorchModel InputShape InputData OutputPredictions TraceOutput Calocc".split()
)


@dataclass(frozen=True)
class Wish:
    """A type that a configuration gives a variable, and the entry that does."""

    cast: FixedPoint
    place: str
    explicit: bool
    """Whether the layer is named, rather than its class or all."""


@dataclass(frozen=True)
class Section:
    """The settings for one layer, one class or all layers; None stands for `auto`."""

    place: str
    types: Mapping[str, FixedPoint | None] = field(default_factory=dict[str, FixedPoint | None])
    reuse: int | None = None
    strategy: str | None = None
    """One of STRATEGIES."""


@dataclass(frozen=True)
class HlsConfiguration:
    """A configuration; layers and classes are keyed in lower case."""

    source: str
    model: Section = Section("Model")
    kinds: Mapping[str, Section] = field(default_factory=dict[str, Section])
    layers: Mapping[str, Section] = field(default_factory=dict[str, Section])
    part: str | None = None
    clock_period: float | None = None
    """In ns."""

    def _sections(self, layer: str, kinds: Sequence[str]) -> Iterator[tuple[Section, bool]]:
        if layer.lower() in self.layers:
            yield self.layers[layer.lower()], True
        for kind in kinds:
            if kind.lower() in self.kinds:
                yield self.kinds[kind.lower()], False
        yield self.model, False

    def wish(self, layer: str, kinds: Sequence[str], variable: str) -> Wish | None:
        """The type of a variable of a layer of one of these classes; None for `auto`, or none."""
        for section, explicit in self._sections(layer, kinds):
            for key in (variable, DEFAULT):
                if key in section.types:
                    cast = section.types[key]
                    return None if cast is None else Wish(cast, section.place, explicit)
        return None

    @property
    def fallback(self) -> Wish | None:
        """The type of all that hls4ml neither finds nor infers."""
        cast = self.model.types.get(DEFAULT)
        return None if cast is None else Wish(cast, self.model.place, False)

    def reuse(self, layer: str, kinds: Sequence[str]) -> int | None:
        """The reuse factor of a layer; None where all is left at hls4ml's default of 1."""
        found = (s.reuse for s, _ in self._sections(layer, kinds) if s.reuse is not None)
        factor = next(found, None)
        return None if factor == 1 and self.model.reuse in (None, 1) else factor

    def strategy(self, layer: str, kinds: Sequence[str]) -> str:
        """The strategy of a layer: hls4ml's default is the first."""
        found = (s.strategy for s, _ in self._sections(layer, kinds) if s.strategy is not None)
        return next(found, STRATEGIES[0])


def read_configuration(given: Path | str | Mapping[str, Any]) -> HlsConfiguration:
    """A configuration from a YAML file or a dictionary; raise BadHlsConfig."""
    if isinstance(given, Mapping):
        return _Reader("hls4ml_config").read(given)
    return _Reader(f"configuration {given}").read(read_entries(given))


def read_entries(file: Path | str) -> object:
    """What a YAML file says, whatever that is; raise BadHlsConfig for what is no YAML."""
    source = f"configuration {file}"
    try:
        return yaml.load(Path(file).read_text(), _Loader)
    except OSError as error:
        advice = "name a file that hls4ml has written, or write one"
        raise BadHlsConfig(source, "", f"it cannot be read: {error.strerror}", advice) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = f"it is no YAML: {' '.join(str(error).split())}"
        raise BadHlsConfig(source, "", problem, "check the file") from None


class _Loader(yaml.SafeLoader):
    """Passes over hls4ml's tags, which name models."""


def _nothing(loader: _Loader, suffix: str, node: yaml.Node) -> None:
    """In the place of whatever a tag would make."""


_Loader.add_multi_constructor("!", _nothing)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True)
class _Reader:
    """Reads plain data strictly."""

    source: str

    def read(self, content: object) -> HlsConfiguration:
        """From the whole file, or from its entry HLSConfig alone."""
        top = self._entries("", content)
        if not any(part in top for part in PARTS):
            self._require_known("", top, TOP)
            inner = self._part(top, "HLSConfig")
        else:
            top, inner = {k: v for k, v in top.items() if k in TOP}, top
        self._require_known("HLSConfig", inner, {*PARTS, *REST, *TOP})
        model = self._section("Model", self._part(inner, "Model"))
        kinds, layers = (self._sections(key, self._part(inner, key)) for key in PARTS[1:])
        part, period = top.get("Part"), top.get("ClockPeriod")
        return HlsConfiguration(
            *(self.source, model, kinds, layers, None if part is None else str(part)),
            None if period is None else self._positive("ClockPeriod", period),
        )

    def _fail(self, place: str, problem: str, advice: str) -> BadHlsConfig:
        return BadHlsConfig(self.source, place, problem, advice)

    def _entries(self, place: str, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self._fail(place, "it is no dictionary", "see hls4ml's documentation of the file")
        return {str(key): entry for key, entry in cast(Mapping[object, Any], value).items()}

    def _part(self, entries: Mapping[str, Any], key: str) -> dict[str, Any]:
        """A dictionary in a dictionary; an empty one if it is absent."""
        value = entries.get(key)
        return {} if value is None else self._entries(key, value)

    def _require_known(
        self, place: str, entries: Mapping[str, Any], known: Collection[str]
    ) -> None:
        for key in entries:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
                advice = f"did you mean {close[0]}?" if close else "remove it"
                raise self._fail(place, f"{key!r} is no entry that hls4ml reads", advice)

    def _positive(self, place: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self._fail(place, f"{value!r} is no number above 0", "give one")
        return float(value)

    def _sections(self, kind: str, part: Mapping[str, Any]) -> dict[str, Section]:
        sections: dict[str, Section] = {}
        for name, entries in part.items():
            place = f"{kind} {name!r}"
            sections[name.lower()] = self._section(place, self._entries(place, entries))
        return sections

    def _section(self, place: str, entries: Mapping[str, Any]) -> Section:
        self._require_known(
            place, entries, {"Precision", "ReuseFactor", "Strategy", *WITHOUT_EFFECT}
        )
        strategy = self._strategy(place, entries.get("Strategy"))
        reuse = entries.get("ReuseFactor")
        if reuse is not None and (type(reuse) is not int or reuse < 1):
            raise self._fail(place, f"ReuseFactor {reuse!r} is no whole number above 0", "give one")
        return Section(place, self._types(place, entries.get("Precision")), reuse, strategy)

    def _strategy(self, place: str, value: object) -> str | None:
        name = str(value).lower().replace(" ", "_")
        if value is not None and name not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise self._fail(place, f"Strategy {value!r} does not exist", f"use one of {known}")
        return None if value is None else name

    def _types(self, place: str, value: object) -> dict[str, FixedPoint | None]:
        if value is None:
            return {}
        given = {DEFAULT: value} if isinstance(value, str) else self._entries(place, value)
        self._require_known(f"{place}, Precision", given, VARIABLES)
        return {key: self._type(f"{place}, Precision {key}", text) for key, text in given.items()}

    def _type(self, place: str, text: object) -> FixedPoint | None:
        try:
            return parse_precision(str(text))
        except ValueError as error:
            raise self._fail(place, str(error), "write fixed<W,I>, with modes if need be") from None
