"""Formats of inputs that the model does not quantize itself: declared or calibrated."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import frexp
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from calocc.compiler.data import different_counts, misfit_of
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.layers.registry import quantizer_to
from calocc.compiler.ports import Port, input_ports, main_function
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.movement import MovementOp
from calocc.dialects.qnn.quantize import QuantizeOp, common_quantizer
from calocc.dialects.qnn.quantizers import Quantizer

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
        return "write fixed<W,I> or ufixed<W,I>: W bits, I of them before the binary point"


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


@dataclass(eq=False)
class CannotSave(CaloccError):
    """A file for results that cannot be written."""

    file: str
    problem: str

    @property
    def where(self) -> str:
        return self.file

    @property
    def what(self) -> str:
        return f"it cannot be written: {self.problem}"

    @property
    def hint(self) -> str:
        return "name a file in a directory that exists and that you may write to"


def parse_format(option: str, text: str) -> Format:
    """A format from an option; raise BadFormat."""
    try:
        return _usable(option, Format.parse(text))
    except ValueError as error:
        raise BadFormat(option, str(error)) from None


def _usable(option: str, format: Format) -> Format:
    """A format that values can be rounded to; raise BadFormat for others."""
    if not 1 + format.signed <= format.width <= WIDEST:
        raise BadFormat(option, f"{format} has not {1 + format.signed} to {WIDEST} bits")
    if abs(format.integer - format.signed) > WIDEST:
        raise BadFormat(option, f"{format} has its binary point more than {WIDEST} bits away")
    return format


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a `.npz` file (no pickles); raise BadData."""
    try:
        with ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith(".npy")]
            arrays = {n.removesuffix(".npy"): _read_array(archive, n) for n in names}
    except BadZipFile:
        raise BadData(str(path), "it is no .npz file, or it is cut short") from None
    except OSError as error:
        raise BadData(str(path), f"it cannot be read: {error.strerror or error}") from None
    # Compression unknown to Python, encryption, arrays that are larger than they say.
    except (ValueError, EOFError, RuntimeError, zlib.error, MemoryError) as error:
        raise BadData(str(path), f"it cannot be read: {error}") from None
    if not arrays:
        raise BadData(str(path), "it holds no arrays")
    return arrays


def _read_array(archive: ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write a `.npz` file; raise CannotSave. `numpy.savez` cannot store an array named `file`."""
    try:
        with ZipFile(path, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
    except OSError as error:
        raise CannotSave(str(path), error.strerror or str(error)) from None


def calibrated(values: NDArray[Any]) -> Format:
    """The 16-bit format whose range holds all values; signed if any is negative.

    Of values below 2^-16 it keeps only what is above 2^-32.
    """
    lo, hi = float(values.min()), float(values.max())
    signed = lo < 0
    # frexp: |v| < 2^e; the positive end additionally loses one LSB, which rounds.
    integer = max(frexp(hi)[1], frexp(-lo)[1]) if signed else frexp(hi)[1]
    return Format(signed, CALIBRATED_WIDTH, max(integer, -CALIBRATED_WIDTH) + signed)


def declare_inputs(module: ModuleOp, formats: Mapping[str, Format]) -> None:
    """Quantize inputs right behind the port to the declared formats."""
    known = tuple(p.name for p in input_ports(module))
    for name, format in formats.items():
        if name not in known:
            raise UnknownInput(f"option --input {name}", name, known)
        _usable(f"option --input {name}", format)
    for index, port in enumerate(input_ports(module)):
        if port.name in formats:
            quantize_argument(module, index, port, quantizer_to(formats[port.name]))


def declare_indices(module: ModuleOp) -> None:
    """Give inputs without a format that only number rows of tables the bits for their last row."""
    for index, port in enumerate(input_ports(module)):
        readers = list(_readers(main_function(module).args[index]))
        tables = [op for op in readers if isinstance(op, EmbeddingOp)]
        if len(tables) == len(readers):
            bits = max((max(op.rows for op in tables) - 1).bit_length(), 1)
            rows = Format(signed=False, width=bits, integer=bits)
            quantize_argument(module, index, port, quantizer_to(rows))


def _readers(value: SSAValue) -> Iterator[Operation]:
    """What reads the elements of a value, wherever they are moved."""
    for use in value.uses:
        if isinstance(use.operation, MovementOp):
            yield from _readers(use.operation.result)
        else:
            yield use.operation


def brings_format(argument: SSAValue) -> bool:
    """Whether the model gives an input a format: all that read it make the same plain cast of it.

    A scale that depends on the data has none either, and is refused where it is lowered.
    """
    quantizer = common_quantizer(argument)
    return quantizer is not None and (
        quantizer.data_dependent or None not in (quantizer.format, quantizer.rule)
    )


def quantize_inputs(module: ModuleOp, calibration: Arrays, source: str) -> None:
    """Quantize the inputs that the model gives no format to what the data need."""
    for index, port in enumerate(input_ports(module)):
        if not brings_format(main_function(module).args[index]):
            format = calibrated(_events(port, calibration, source))
            quantize_argument(module, index, port, quantizer_to(format))


def has_all_inputs(module: ModuleOp, calibration: Arrays) -> bool:
    """Whether the data have an array for every input."""
    return all(port.name in calibration for port in input_ports(module))


def calibration_arrays(
    module: ModuleOp, calibration: Arrays, source: str
) -> list[NDArray[np.float64]]:
    """The events of every input; raise BadData."""
    ports = input_ports(module)
    arrays = [_events(port, calibration, source) for port in ports]
    if (counts := different_counts(ports, arrays)) is not None:
        raise BadData(source, f"its arrays have different numbers of events ({counts})")
    return arrays


def _events(port: Port, calibration: Arrays, source: str) -> NDArray[np.float64]:
    """The array of an input; raise BadData if there is none that fits."""
    if port.name not in calibration:
        raise BadData(source, f"it has no array {port.name!r}")
    values = np.asarray(calibration[port.name])
    if (misfit := misfit_of(port, values) or _too_few_or_large(values)) is not None:
        raise BadData(source, f"array {port.name!r} {misfit}")
    return values.astype(np.float64)


def _too_few_or_large(values: NDArray[Any]) -> str | None:
    """Why no format can be found for them."""
    if not values.size:
        return "holds no events"
    largest = float(np.abs(values.astype(np.float64)).max())
    return f"has values of {largest:.3g}, beyond 2^{WIDEST}" if largest >= 2.0**WIDEST else None


def quantize_argument(module: ModuleOp, index: int, port: Port, quantizer: Quantizer) -> None:
    """Put a quantizer right behind an input."""
    argument = main_function(module).args[index]
    uses = list(argument.uses)  # those of the model, not of the quantizer to come
    op = QuantizeOp.real(argument, quantizer, port.name)
    first = main_function(module).body.block.first_op
    assert first is not None
    Rewriter.insert_op(op, InsertPoint.before(first))
    for use in uses:
        use.operation.operands[use.index] = op.result
