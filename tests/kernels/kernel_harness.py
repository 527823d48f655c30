"""Runs kernels of the C++ library on mantissas: many cases in one shared library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calocc.codegen
from calocc.codegen.vitis.sources import STREAMS
from calocc.dialects.dataflow.layout import image_of
from calocc.dialects.fixed.format import Format
from calocc.runtime.gxx import ap_types_dir, compile_shared

Ints = NDArray[np.int64]

_KERNELS = Path(calocc.codegen.__path__[0]) / "vitis" / "kernels"

# The ap_types constructors mask an uninitialised value, which g++ reports wherever it inlines them.
_WARNINGS = (
    "-Wall -Wextra -Werror -Wno-unknown-pragmas -Wno-uninitialized -Wno-maybe-uninitialized"
).split()

_PRELUDE = """\
{kernels}

// One beat more than the kernel may read, so that reading too much is noticed.
template <class beat_T>
static void feed(hls::stream<beat_T> &to, const long long *from, unsigned beats) {{
    for (unsigned b = 0; b <= beats; b++) {{
        beat_T beat;
        for (unsigned l = 0; l < beat_T::size; l++)
            beat[l].range() = ap_int<64>(b < beats ? from[b * beat_T::size + l] : 0);
        to.write(beat);
    }}
}}

// Takes what the stream holds, stores at most `beats` of it, and returns the number of beats.
template <class beat_T>
static long drain(hls::stream<beat_T> &from, long long *to, unsigned beats) {{
    unsigned b = 0;
    for (; !from.empty(); b++) {{
        const beat_T beat = from.read();
        for (unsigned l = 0; b < beats && l < beat_T::size; l++)
            to[b * beat_T::size + l] = beat[l].V;
    }}
    return b;
}}

template <class T> static void fill(T *to, const long long *from, unsigned count) {{
    for (unsigned i = 0; i < count; i++)
        to[i].range() = ap_int<64>(from[i]);
}}
"""


@dataclass(frozen=True)
class Port:
    """A stream of `size` elements of `format` in beats of `lanes` of each of `pixels` pixels.

    `shape` is that of the tensor where lanes or pixels do not divide its axes.
    """

    format: Format
    lanes: int
    size: int
    shape: tuple[int, ...] | None = None
    pixels: int = 1

    @property
    def element(self) -> str:
        """The C++ element type."""
        return f"ap_{self.format}"

    @property
    def width(self) -> int:
        """The number of elements of a beat."""
        return self.lanes * self.pixels

    @property
    def beats(self) -> int:
        """The number of beats of one event."""
        return len(self.places())

    def places(self) -> Ints:
        """Which element is in each lane of each beat, (beats, width); -1 where there is none."""
        rows, pixels, channels = image_of(self.shape or (self.size,))
        numbers = np.arange(self.size).reshape(rows, pixels, channels)
        beyond = ((0, 0), (0, -pixels % self.pixels), (0, -channels % self.lanes))
        padded = np.pad(numbers, beyond, constant_values=-1)
        blocks = padded.reshape(rows, -1, self.pixels, padded.shape[2] // self.lanes, self.lanes)
        return blocks.transpose(0, 1, 3, 2, 4).reshape(-1, self.width)

    def beats_of(self, elements: Ints, rng: np.random.Generator) -> Ints:
        """The elements as beats, (beats * width,), with anything in lanes that are not there."""
        places = self.places().ravel()
        lo, hi = self.format.min_mantissa, self.format.max_mantissa
        anything = rng.integers(lo, hi, len(places), dtype=np.int64, endpoint=True)
        return np.where(places < 0, anything, elements[places])

    def elements_of(self, beats: Ints) -> Ints:
        """What `beats_of` made beats of."""
        places = self.places().ravel()
        elements = np.zeros(self.size, np.int64)
        elements[places[places >= 0]] = beats[places >= 0]
        return elements


@dataclass(frozen=True)
class Case:
    """A kernel instance with its meaning.

    `definitions` declares at namespace scope what `call` needs; both may use the beat types in0_T,
    ..., out0_T, ... and `call` the streams in0, ..., out0, .... `model` maps the mantissas of all
    inputs (flat, one array per input) to those of all outputs; `trips` is the expected number of
    loop iterations.
    """

    kernel: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    definitions: str
    call: str
    trips: int
    model: Callable[[Sequence[Ints]], Sequence[Ints]]


def draw_event(case: Case, rng: np.random.Generator) -> list[Ints]:
    """Mantissas for all inputs: mostly uniform, sometimes only extreme values."""
    extreme = rng.random() < 0.3
    event: list[Ints] = []
    for port in case.inputs:
        lo, hi = port.format.min_mantissa, port.format.max_mantissa
        uniform = rng.integers(lo, hi, port.size, dtype=np.int64, endpoint=True)
        event.append(np.where(uniform < (lo + hi) / 2, lo, hi) if extreme else uniform)
    return event


@dataclass(frozen=True)
class Outcome:
    """What a call did: mantissas and beats of each output, unread beats of each input."""

    outputs: tuple[Ints, ...]
    written: tuple[int, ...]
    unread: tuple[int, ...]
    ticks: int


class KernelLibrary:
    """The compiled cases of any kernels; the headers, which take g++ long, are read once."""

    def __init__(self, cases: Sequence[Case], directory: Path, defines: Sequence[str] = ()) -> None:
        source, output = directory / "cases.cpp", directory / "cases.so"
        includes = [f'#include "calocc_{k}.h"' for k in sorted({case.kernel for case in cases})]
        parts = [_PRELUDE.format(kernels="\n".join(includes))]
        parts += [_case_source(index, case) for index, case in enumerate(cases)]
        source.write_text("\n".join(parts))
        headers = [STREAMS.parent, ap_types_dir(), ap_types_dir().parent / "nnet_utils"]
        system = [flag for path in headers for flag in ("-isystem", str(path))]
        options = ["-std=c++11", "-O0", "-DCALOCC_COUNT", *defines, *_WARNINGS, *system]
        compile_shared([source], output, [_KERNELS], options)
        self._numbers = {id(case): index for index, case in enumerate(cases)}
        self._library = ctypes.CDLL(str(output))

    def run(self, case: Case, event: Sequence[Ints]) -> Outcome:
        """Execute one of the cases on one event."""
        index = self._numbers[id(case)]
        rng = np.random.default_rng(index)
        inputs = [p.beats_of(x, rng) for p, x in zip(case.inputs, event, strict=True)]
        outputs = [np.zeros(port.beats * port.width, dtype=np.int64) for port in case.outputs]
        counts = np.zeros(len(case.inputs) + len(case.outputs), dtype=np.int64)
        function = self._library[f"run_{index}"]
        function.restype = ctypes.c_long
        ticks = function(_pointers(inputs), _pointers(outputs), _pointers([counts]))
        unread, written = np.split(counts, [len(case.inputs)])
        pairs = zip(case.outputs, outputs, strict=True)
        elements = tuple(port.elements_of(beats) for port, beats in pairs)
        return Outcome(elements, tuple(written.tolist()), tuple(unread.tolist()), ticks)


def _pointers(arrays: Sequence[Ints]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def _case_source(index: int, case: Case) -> str:
    """One C function that feeds the inputs, calls the kernel and drains all streams."""
    ports = [(f"in{i}", port) for i, port in enumerate(case.inputs)]
    ports += [(f"out{i}", port) for i, port in enumerate(case.outputs)]
    types = [f"typedef nnet::array<{p.element}, {p.width}> {name}_T;" for name, p in ports]
    streams = [f'    hls::stream<{name}_T> {name}("{name}");' for name, _ in ports]
    feeds = [f"    feed(in{i}, ins[{i}], {p.beats});" for i, p in enumerate(case.inputs)]
    drains = [f"    counts[0][{i}] = drain(in{i}, nullptr, 0);" for i in range(len(case.inputs))]
    drains += [
        f"    counts[0][{len(case.inputs) + i}] = drain(out{i}, outs[{i}], {p.beats});"
        for i, p in enumerate(case.outputs)
    ]
    return "\n".join(
        [
            f"namespace case_{index} {{",
            *types,
            case.definitions,
            "}",
            f'extern "C" long run_{index}(const long long *const *ins, long long *const *outs,',
            "                       long long *const *counts) {",
            f"    using namespace case_{index};",
            *streams,
            *feeds,
            "    nnet::ticks<config>() = 0;",
            f"    {case.call}",
            *drains,
            "    return nnet::ticks<config>();",
            "}",
        ]
    )


def constants(name: str, **values: int) -> str:
    """A C++ struct of static constants, to derive a configuration from."""
    members = [f"    static const unsigned {key} = {value};" for key, value in values.items()]
    return "\n".join([f"struct {name} {{", *members, "};"])
