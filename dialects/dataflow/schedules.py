"""The `Schedule` of every process kind, loop for loop as in the kernel library.

All functions are pure and vectorised. `depth` defaults to the estimate in `depths`. They raise
ValueError when a beat width does not divide what it must.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from calocc.dialects.dataflow import depths
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.qnn.stretch import Stretch
from calocc.dialects.qnn.windows import reach

Ints = NDArray[np.int64]


def _arange(n: int, start: int = 0, step: int = 1) -> Ints:
    return start + step * np.arange(n, dtype=np.int64)


def _runs(starts: Ints, length: int) -> Ints:
    """`length` consecutive iterations from each of `starts`."""
    if length == 1:
        return starts
    return (starts[:, None] + _arange(length)).ravel()


def _divide(total: int, part: int, name: str) -> int:
    if part < 1 or total % part:
        raise ValueError(f"{name}={part} does not divide {total}")
    return total // part


@dataclass(frozen=True)
class Window:
    """The geometry of a sliding window over an (height, width, channels) image.

    `kernel`, `stride` and `dilation` are (rows, columns); `pads` is (top, bottom, left, right);
    `output` is (rows, columns) of windows, which may leave out trailing rows and columns nobody
    reads; `in_lanes` and `out_lanes` are elements per beat. Raises ValueError when the last window
    reaches beyond the padded image.
    """

    image: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    output: tuple[int, int]
    in_lanes: int
    out_lanes: int
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        top, bottom, left, right = self.pads
        limits = (top + self.image[0] + bottom, left + self.image[1] + right)
        for axis, limit in enumerate(limits):
            if self._reach(axis) > limit:
                raise ValueError(f"the last window of axis {axis} reaches beyond its padding")

    def _reach(self, axis: int) -> int:
        return (self.output[axis] - 1) * self.stride[axis] + self._span(axis)

    def _span(self, axis: int) -> int:
        return reach(self.kernel[axis], self.dilation[axis])

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns of slots the loop visits: the image and the reach of its windows."""
        return (
            max(self._reach(0), self.pads[0] + self.image[0]),
            max(self._reach(1), self.pads[2] + self.image[1]),
        )

    @property
    def beats_in(self) -> int:
        """Input beats of a pixel."""
        return _divide(self.image[2], self.in_lanes, "in_lanes")

    @property
    def beats_out(self) -> int:
        """Output beats of a window."""
        size = self.kernel[0] * self.kernel[1] * self.image[2]
        return _divide(size, self.out_lanes, "out_lanes")

    def real(self) -> NDArray[np.bool_]:
        """Which slots are pixels of the image, (slots,), raster order."""
        rows, columns = (_arange(n) for n in self.extent)
        row_inside = (rows >= self.pads[0]) & (rows < self.pads[0] + self.image[0])
        column_inside = (columns >= self.pads[2]) & (columns < self.pads[2] + self.image[1])
        return np.logical_and.outer(row_inside, column_inside).ravel()

    def valid(self) -> NDArray[np.bool_]:
        """Which slots complete an output window, (slots,), raster order."""
        return np.logical_and.outer(self._ends(0), self._ends(1)).ravel()

    def _ends(self, axis: int) -> NDArray[np.bool_]:
        first = _arange(self.extent[axis]) - (self._span(axis) - 1)
        stride = self.stride[axis]
        return (first >= 0) & (first % stride == 0) & (first // stride < self.output[axis])


@cache
def _phase_counts(shape: Window) -> tuple[int, int, int, int]:
    """Phases that read and emit, only read, only emit, do neither."""
    reading, emitting = _phases(shape)
    both = int((reading & emitting).sum())
    reads, emits = int(reading.sum()) - both, int(emitting.sum()) - both
    return both, reads, emits, len(reading) - both - reads - emits


def _phases(shape: Window) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return np.append(shape.real(), False), np.append(False, shape.valid())


def window_trips(shape: Window, in_lanes: int, out_lanes: int) -> int:
    """`window(...).trips` with other lanes than those of `shape`, without building the arrays."""
    folded = replace(shape, in_lanes=in_lanes, out_lanes=out_lanes)
    both, reads, emits, idle = _phase_counts(replace(shape, in_lanes=1, out_lanes=1))
    beats_in, beats_out = folded.beats_in, folded.beats_out
    return both * max(beats_in, beats_out) + reads * beats_in + emits * beats_out + idle


def window(shape: Window, depth: int | None = None) -> Schedule:
    """A line buffer: phase `s` reads pixel `s` and emits the window that pixel `s - 1` completed.

    A phase lasts as long as the longer of its two transfers, and at least one iteration.
    """
    reading, emitting = _phases(shape)
    length = np.maximum(np.maximum(emitting * shape.beats_out, reading * shape.beats_in), 1).astype(
        np.int64
    )
    end = np.cumsum(length)
    start = end - length
    return Schedule(
        (_runs(start[reading], shape.beats_in),),
        (_runs(start[emitting], shape.beats_out),),
        int(end[-1]),
        depths.line_buffer() if depth is None else depth,
    )


def matvec(
    pixels: int,
    inputs: int,
    outputs: int,
    simd: int,
    pe: int,
    depth: int | None = None,
    inputs_first: bool = False,
) -> Schedule:
    """`pixels` products of an outputs x inputs matrix: for pixel, for output fold, for input fold.

    A pixel's input is read during the first output fold and kept for the others; a beat of `pe`
    outputs leaves at the end of each output fold. With `inputs_first` the two inner loops change
    places: an input is used up when it is read, and all outputs leave in the last input fold.
    """
    input_folds = _divide(inputs, simd, "simd")
    output_folds = _divide(outputs, pe, "pe")
    trips = output_folds * input_folds
    starts = _arange(pixels, step=trips)
    if inputs_first:
        reads = np.add.outer(starts, _arange(input_folds, step=output_folds)).ravel()
        writes = _runs(starts + trips - output_folds, output_folds)
    else:
        reads = _runs(starts, input_folds)
        writes = _arange(pixels * output_folds, start=input_folds - 1, step=input_folds)
    return Schedule(
        (reads,), (writes,), pixels * trips, depths.matvec(simd) if depth is None else depth
    )


def reduce(outer: int, taps: int, channels: int, lanes: int, depth: int | None = None) -> Schedule:
    """Per outer index fold `taps` rows of channels into one; the result leaves with the last."""
    beats = _divide(channels, lanes, "lanes")
    trips = outer * taps * beats
    last_rows = _arange(outer, start=(taps - 1) * beats, step=taps * beats)
    return Schedule(
        (_arange(trips),),
        (_runs(last_rows, beats),),
        trips,
        depths.reduction() if depth is None else depth,
    )


def depthwise(
    positions: int, taps: int, channels: int, lanes: int, depth: int | None = None
) -> Schedule:
    """The loop of `reduce` with a multiplier in front of every accumulator."""
    depth = depths.matvec(1) if depth is None else depth
    return reduce(positions, taps, channels, lanes, depth)


def map(beats: int, inputs: int = 1, depth: int | None = None) -> Schedule:
    """Element-wise: each iteration reads a beat of every input and writes one."""
    each = _arange(beats)
    return Schedule((each,) * inputs, (each,), beats, depths.mapping() if depth is None else depth)


def fork(beats: int, outputs: int, depth: int | None = None) -> Schedule:
    """Each iteration reads a beat and writes it to every output."""
    each = _arange(beats)
    return Schedule((each,), (each,) * outputs, beats, depths.moving() if depth is None else depth)


def lanes(in_beats: int, out_beats: int, depth: int | None = None) -> Schedule:
    """Width conversion: an iteration per beat of the narrower side.

    Narrowing by m reads a beat in the first of m iterations and writes in all; widening by m
    reads in all and writes in the last of m.
    """
    trips = max(in_beats, out_beats)
    each = _arange(trips)
    if out_beats >= in_beats:
        ratio = _divide(out_beats, in_beats, "in_beats")
        reads, writes = _arange(in_beats, step=ratio), each
    else:
        ratio = _divide(in_beats, out_beats, "out_beats")
        reads, writes = each, _arange(out_beats, start=ratio - 1, step=ratio)
    return Schedule((reads,), (writes,), trips, depths.moving() if depth is None else depth)


def concat(outer: int, *beats: int, depth: int | None = None) -> Schedule:
    """Per outer index pass on `beats[0]` beats of input 0, then `beats[1]` of input 1, ..."""
    row = sum(beats)
    offsets = np.cumsum((0, *beats[:-1]))
    reads = tuple(
        _runs(_arange(outer, start=int(offset), step=row), n)
        for offset, n in zip(offsets, beats, strict=True)
    )
    trips = outer * row
    return Schedule(reads, (_arange(trips),), trips, depths.moving() if depth is None else depth)


def pad(
    height: int,
    width: int,
    beats: int,
    pads: tuple[int, int, int, int],
    depth: int | None = None,
) -> Schedule:
    """A border of constants: an iteration per output beat that reads when inside the image.

    `beats` is the number of beats per pixel; `pads` is (top, bottom, left, right).
    """
    top, bottom, left, right = pads
    columns = left + width + right
    trips = (top + height + bottom) * columns * beats
    rows = _arange(height, start=top * columns + left, step=columns)
    return Schedule(
        (_runs(rows * beats, width * beats),),
        (_arange(trips),),
        trips,
        depths.moving() if depth is None else depth,
    )


def slice_(outer: int, inner: int, first: int, count: int, depth: int | None = None) -> Schedule:
    """Per outer index read `inner` beats and pass on `count` of them from beat `first` on."""
    trips = outer * inner
    return Schedule(
        (_arange(trips),),
        (_runs(_arange(outer, start=first, step=inner), count),),
        trips,
        depths.moving() if depth is None else depth,
    )


def upsample(
    height: int,
    width: int,
    beats: int,
    factors: tuple[int, int],
    depth: int | None = None,
) -> Schedule:
    """Nearest neighbour: for row, row repeat, column, column repeat, beat: write.

    A beat is read where both repeat counters are 0; a line buffer serves the repeated rows.
    """
    repeat_rows, repeat_columns = factors
    pixel = repeat_columns * beats
    pixels = np.add.outer(
        _arange(height, step=repeat_rows * width * pixel), _arange(width, step=pixel)
    )
    trips = height * repeat_rows * width * pixel
    return Schedule(
        (_runs(pixels.ravel(), beats),),
        (_arange(trips),),
        trips,
        depths.line_buffer() if depth is None else depth,
    )


def interpolate(rows: Stretch, columns: Stretch, beats: int, depth: int | None = None) -> Schedule:
    """Bilinear interpolation: for output row, output column, beat of a pixel: write.

    A beat is read in the first output that lies in front of its pixel, or on it.
    """
    width = columns.length * columns.factor * beats
    pixels = np.add.outer(rows.starts() * width, columns.starts() * beats)
    trips = rows.length * rows.factor * width
    return Schedule(
        (_runs(pixels.ravel(), beats),),
        (_arange(trips),),
        trips,
        depths.interpolation() if depth is None else depth,
    )


def buffer(outer: int, words: int, depth: int | None = None) -> Schedule:
    """Reorder blocks of `words` beats: each comes in while the one before goes out."""
    beats = outer * words
    return Schedule(
        (_arange(beats),),
        (_arange(beats, start=words),),
        beats + words,
        depths.line_buffer() if depth is None else depth,
    )


def softmax(rows: int, length: int, depth: int | None = None) -> Schedule:
    """Three passes over each row, an element per iteration.

    The first pass reads (and finds the maximum), the second sums, the third writes.
    """
    starts = _arange(rows, step=3 * length)
    return Schedule(
        (_runs(starts, length),),
        (_runs(starts + 2 * length, length),),
        3 * rows * length,
        depths.softmax() if depth is None else depth,
    )


def recurrent(
    steps: int, units: int, simd: int, pe: int, phases: int, sequences: bool, drain: int
) -> Schedule:
    """Per step and phase: for fold of `pe` units, for fold of `simd` of the units before.

    A phase waits `drain` cycles for the pipeline of the one before, whose results it multiplies.
    Gates are read at the end of each output fold of the first phase; outputs leave at that of the
    last phase, of every step with `sequences`, else of the last.
    """
    output_folds, input_folds = _divide(units, pe, "pe"), _divide(units, simd, "simd")
    phase = output_folds * input_folds + drain
    ends = _arange(output_folds, start=input_folds - 1, step=input_folds)
    starts = _arange(steps, step=phases * phase)
    last = starts if sequences else starts[-1:]
    return Schedule(
        (np.add.outer(starts, ends).ravel(),),
        (np.add.outer(last + (phases - 1) * phase, ends).ravel(),),
        steps * phases * phase - drain,
        drain,
    )


def embedding(positions: int, folds: int, depth: int | None = None) -> Schedule:
    """Per index: it is read with the first of the `folds` beats of its row."""
    iterations = positions * folds
    return Schedule(
        (_arange(positions, step=folds),),
        (_arange(iterations),),
        iterations,
        depths.embedding() if depth is None else depth,
    )


def layer_norm(rows: int, length: int, depth: int | None = None) -> Schedule:
    """Two passes over each row, an element per iteration.

    The first pass reads (and sums elements and squares), the second writes.
    """
    starts = _arange(rows, step=2 * length)
    return Schedule(
        (_runs(starts, length),),
        (_runs(starts + length, length),),
        2 * rows * length,
        depths.layer_norm() if depth is None else depth,
    )
