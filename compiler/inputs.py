"""Formats of inputs that the model does not quantize itself: declared or calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import frexp
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.layers.registry import quantizer_to
from calocc.compiler.ports import Port, input_ports, main_function
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.quantize import QuantizeOp

WIDEST = 32
"""Bits that a quantizer may have: more than float32 can tell apart."""

CALIBRATED_WIDTH = 16
"""Bits of an input whose format comes from data: as many as hls4ml's default type has."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(eq=False)
class UnknownInput(CaloccError):
    """An option or a data file names an input that the model does not have."""

    option: str
    name: str
    known: tuple[str, ...]

    @property
    def where(self) -> str:
        return self.option

    @property
    def what(self) -> str:
        return f"the model has no input {self.name!r}"

    @property
    def hint(self) -> str:
        return f"its inputs are {', '.join(self.known)}"


@dataclass(eq=False)
class BadFormat(CaloccError):
    """A text that is no number format."""

    option: str
    problem: str

    @property
    def where(self) -> str:
        return self.option

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "write NAME=fixed<W,I> or NAME=ufixed<W,I>: W bits, I of them integer bits"


@dataclass(eq=False)
class BadData(CaloccError):
    """A data file that cannot be used."""

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
        return "give a .npz file with one array per input, named as the input, events first"


def parse_format(option: str, text: str) -> Format:
    """A format from an option; raise BadFormat."""
    try:
        return _usable(option, Format.parse(text))
    except ValueError as error:
        raise BadFormat(option, str(error)) from None


def _usable(option: str, format: Format) -> Format:
    """A format that values can be rounded to; raise BadFormat for one that is too wide or narrow."""
    if not 1 + format.signed <= format.width <= WIDEST:
        raise BadFormat(option, f"{format} has not {1 + format.signed} to {WIDEST} bits")
    if abs(format.integer - format.signed) > WIDEST:
        raise BadFormat(option, f"{format} has its binary point more than {WIDEST} bits away")
    return format


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The numeric arrays of a `.npz` file (no pickles); raise BadData."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        raise BadData(str(path), f"it cannot be read: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise BadData(str(path), f"array {name!r} is not numeric but {array.dtype}")
        if not np.isfinite(array).all():
            raise BadData(str(path), f"array {name!r} holds NaN or infinite values")
    return arrays


def calibrated(values: NDArray[Any]) -> Format:
    """The 16-bit format whose range holds all values; signed if any is negative."""
    lo, hi = float(values.min()), float(values.max())
    signed = lo < 0
    # frexp: |v| < 2^e; the positive end additionally loses one LSB, which rounds.
    integer = max(frexp(hi)[1], frexp(-lo)[1]) if signed else frexp(hi)[1]
    return Format(signed, CALIBRATED_WIDTH, integer + signed)


def declare_inputs(
    module: ModuleOp, formats: Mapping[str, Format], calibration: Arrays | None, source: str
) -> None:
    """Quantize inputs right behind the port: to the declared formats, or to what the data need.

    The model's own quantizers stay; an input that has one at once needs neither.
    """
    known = tuple(p.name for p in input_ports(module))
    for name in formats:
        if name not in known:
            raise UnknownInput(f"option --input {name}", name, known)
    for index, port in enumerate(input_ports(module)):
        format = formats.get(port.name) or _from_data(module, index, port, calibration, source)
        if format is not None:
            _quantize(module, index, port, format)


def _from_data(
    module: ModuleOp, index: int, port: Port, calibration: Arrays | None, source: str
) -> Format | None:
    argument = main_function(module).args[index]
    quantized = all(isinstance(u.operation, QuantizeOp) for u in argument.uses)
    if calibration is None or quantized:
        return None
    if port.name not in calibration:
        raise BadData(source, f"it has no array {port.name!r}")
    values = calibration[port.name]
    if values.shape[1:] != port.shape or not len(values):
        shape = ("events", *port.shape)
        raise BadData(source, f"array {port.name!r} has the shape {values.shape}, not {shape}")
    return calibrated(values)


def _quantize(module: ModuleOp, index: int, port: Port, format: Format) -> None:
    argument = main_function(module).args[index]
    op = QuantizeOp.real(argument, quantizer_to(format), port.name)
    uses = list(argument.uses)
    first = main_function(module).body.block.first_op
    assert first is not None
    Rewriter.insert_op(op, InsertPoint.before(first))
    for use in uses:
        use.operation.operands[use.index] = op.result
