"""What a run of the fuzzer has reached, and what it never did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation

from calocc.compiler.hls4ml.configuration import PARTS, STRATEGIES
from calocc.compiler.keras.dialect import wrapped
from calocc.compiler.keras.importer import known_layers
from calocc.compiler.keras.model import KerasModel
from calocc.compiler.pipeline import DATAFLOW, SIMPLIFY
from calocc.dialects.dataflow.compute import MatvecOp
from calocc.dialects.dataflow.dialect import DATAFLOW as PROCESSES
from calocc.dialects.dataflow.layout import image_of
from calocc.dialects.dataflow.process import ProcessOp
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.fixed.dialect import FIXED
from calocc.dialects.fixed.format import Overflow, Rounding
from calocc.dialects.fixed.types import FixedType, OverflowAttr, RoundingAttr
from calocc.dialects.qnn.dialect import QNN
from calocc.dialects.qnn.quantize import QuantizerAttr
from calocc.dialects.qnn.quantizers import QUANTIZERS
from calocc.passes.balancing.folding import SINGLE_VALUES
from calocc.runtime.fuzzing.explain import element_format

WIDTHS = tuple(range(1, 63))
"""Bits that a format can have."""


@dataclass
class Coverage:
    """How often each thing of each category was met."""

    counts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    def count(self, category: str, what: str, times: int = 1) -> None:
        """Once more."""
        self.counts.setdefault(category, Counter())[what] += times

    def add(self, other: Coverage) -> None:
        """All that another run has met."""
        for category, counter in other.counts.items():
            self.counts.setdefault(category, Counter()).update(counter)

    def see_model(self, model: KerasModel) -> None:
        """The classes of a model's layers, and what its graph is like."""
        for layer in model.layers:
            self.count("Keras layers", layer.class_name)
            for text in (v for v in layer.config.values() if isinstance(v, str)):
                if kind := QUANTIZERS.get(text.partition("(")[0]):
                    self.count("quantizers", kind.NAME)  # some are imported as other ops
            if inner := wrapped(layer.config):
                self.count("wrapped layers", inner[0])
            if len(layer.inbound) > 1:
                self.count("graphs", "shared layer")
        readers = Counter(ref for la in model.layers for call in la.inbound for ref in set(call))
        self.count("graphs", "branch", sum(n > 1 for n in readers.values()))
        self.count("graphs", "several inputs", len(model.inputs) > 1)
        self.count("graphs", "several outputs", len(model.outputs) > 1)
        self.count("graphs", "inner output", any(ref in readers for ref in model.outputs))

    def see_hls4ml(self, entries: Mapping[str, Any] | None) -> None:
        """What a configuration of hls4ml sets, and for what: all layers, a class or a layer."""
        for part in PARTS:
            given = (entries or {}).get(part, {})
            for section in (given,) if part == "Model" else given.values():
                for key, value in section.items():
                    shown = value.lower() if key == "Strategy" else f"{key} of {part}"
                    self.count("hls4ml settings", shown)

    def see(self, module: ModuleOp) -> None:
        """The ops, formats and modes of a module."""
        for op in module.walk():
            dialect = op.name.partition(".")[0]
            if dialect in ("qnn", "dataflow"):
                self.count(f"{dialect} ops", op.name)
            if dialect == "fixed":
                self.count("scalar ops in epilogues", op.name)
            if isinstance(op, ProcessOp) and _has_epilogue(op):
                self.count("epilogues of", op.name)
            for what in _foldings(op):
                self.count("foldings", what)
            self._see_attributes(op)

    def _see_attributes(self, op: Operation) -> None:
        attributes: list[Attribute] = [*op.properties.values(), *op.attributes.values()]
        for attribute in attributes:
            if isinstance(attribute, RoundingAttr):
                self.count("roundings", str(attribute.data))
            elif isinstance(attribute, OverflowAttr):
                self.count("overflows", str(attribute.data))
            elif isinstance(attribute, QuantizerAttr):
                self.count("quantizers", attribute.text.data.partition("(")[0])
        for value in op.results:
            format = element_format(value.type)
            if format is None and isinstance(value.type, FixedType):
                format = value.type.format
            if format is not None:
                self.count("widths", str(format.width))
                self.count("signs", "signed" if format.signed else "unsigned")


FOLDINGS = (
    "several lanes",
    "lanes that divide no axis",
    "several pixels",
    "pixels that divide no row",
    "products that share slices",
    "products that share none",
    "products in logic",
    "streams of single values",
)


def _foldings(op: Operation) -> Iterator[str]:
    """Which of `FOLDINGS` are an op's."""
    for stream in (v.type for v in op.results if isinstance(v.type, StreamType)):
        lanes, pixels = stream.lanes.data, stream.pixels.data
        _, row, channels = image_of(stream.shape)
        if lanes > 1:
            yield "lanes that divide no axis" if channels % lanes else "several lanes"
        if pixels > 1:
            yield "pixels that divide no row" if row % pixels else "several pixels"
    if isinstance(op, MatvecOp):
        shared = (
            "products that share slices" if op.packing.count > 1 else "products that share none"
        )
        yield shared if op.in_logic is None else "products in logic"
    if SINGLE_VALUES in op.attributes:
        yield "streams of single values"


def _has_epilogue(op: ProcessOp) -> bool:
    return any(len(list(block.ops)) > 1 for region in op.regions for block in region.blocks)


def universe() -> Mapping[str, tuple[str, ...]]:
    """All that there is of the categories of which that is known."""
    passes = {p.partition("{")[0] for text in (SIMPLIFY[3], DATAFLOW[3]) for p in text.split(",")}
    return {
        "Keras layers": tuple(sorted({*known_layers(), "InputLayer"})),
        "quantizers": tuple(sorted(kind.NAME for kind in set(QUANTIZERS.values()))),
        "qnn ops": tuple(sorted(op.name for op in QNN.operations)),
        "dataflow ops": tuple(sorted(op.name for op in PROCESSES.operations)),
        "scalar ops in epilogues": tuple(sorted(op.name for op in FIXED.operations)),
        "roundings": tuple(map(str, Rounding)),
        "overflows": tuple(map(str, Overflow)),
        "widths": tuple(map(str, WIDTHS)),
        "signs": ("signed", "unsigned"),
        "formats": ("given by the model", "found from data"),
        "hls4ml settings": (
            *(f"{key} of {part}" for key in ("Precision", "ReuseFactor") for part in PARTS),
            *STRATEGIES,
        ),
        "foldings": FOLDINGS,
        "passes": tuple(sorted(p for p in passes if p and "balance" not in p)),
        "graphs": ("shared layer", "branch", "several inputs", "several outputs", "inner output"),
    }


def never_reached(coverage: Coverage) -> dict[str, list[str]]:
    """What there is and was not met, by category."""
    return {
        category: [name for name in names if not coverage.counts.get(category, Counter())[name]]
        for category, names in universe().items()
    }
