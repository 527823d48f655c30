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
from calocc.dialects.dataflow.layout import Layout, ceil_div, least_parts
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.qnn.stretch import Stretch
from calocc.dialects.qnn.taps import Taps
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
    reads. `taken` and `given` are the layouts of image and windows; the stride of all windows of a
    beat is a multiple of the pixels taken in one. Raises ValueError when that is not so, or when
    the last window reaches beyond the padded image.
    """

    image: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    output: tuple[int, int]
    taken: Layout
    given: Layout
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        top, bottom, left, right = self.pads
        limits = (top + self.image[0] + bottom, left + self.image[1] + right)
        for axis, limit in enumerate(limits):
            if self._reach(axis) > limit:
                raise ValueError(f"the last window of axis {axis} reaches beyond its padding")
        _divide(self.stride[1] * self.given.pixels, self.taken.pixels, "pixels")

    def _reach(self, axis: int) -> int:
        return (self.output[axis] - 1) * self.stride[axis] + self._span(axis)

    def _span(self, axis: int) -> int:
        return reach(self.kernel[axis], self.dilation[axis])

    @property
    def groups(self) -> tuple[int, int]:
        """Groups of columns in front of the image, and in it: `taken.pixels` of them each."""
        return ceil_div(self.pads[2], self.taken.pixels), ceil_div(self.image[1], self.taken.pixels)

    @property
    def lead(self) -> int:
        """Columns of the first group in front of the first window."""
        return self.groups[0] * self.taken.pixels - self.pads[2]

    @property
    def first_end(self) -> int:
        """The group in which the last of the first `given.pixels` windows ends."""
        last_start = self.lead + (self.given.pixels - 1) * self.stride[1]
        return (last_start + self._span(1) - 1) // self.taken.pixels

    @property
    def group_stride(self) -> int:
        """Groups from the end of some windows to that of the next `given.pixels`."""
        return self.stride[1] * self.given.pixels // self.taken.pixels

    @property
    def held(self) -> int:
        """Columns from the first window of a beat to the end of its last group."""
        return (self.first_end + 1) * self.taken.pixels - self.lead

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and groups of columns the loop visits: the image and the reach of its windows."""
        later = (ceil_div(self.output[1], self.given.pixels) - 1) * self.group_stride
        rows = max(self._reach(0), self.pads[0] + self.image[0])
        return rows, max(self.first_end + later + 1, sum(self.groups))

    @property
    def beats_in(self) -> int:
        """Input beats of a group."""
        return ceil_div(self.image[2], self.taken.lanes)

    @property
    def beats_out(self) -> int:
        """Output beats of `given.pixels` windows."""
        return ceil_div(self.kernel[0] * self.kernel[1] * self.image[2], self.given.lanes)

    def steps(self, pixels: int) -> list[int]:
        """Pixels that may be taken at once where this many windows are given at once."""
        apart = self.stride[1] * pixels
        return [n for n in range(1, min(apart, self.image[1]) + 1) if apart % n == 0]

    def layouts(self, pixels: int, most: int) -> list[Layout]:
        """Layouts of the image for this many windows at once, up to `most` elements: narrow ones
        first, the fastest last."""
        together, channels = self.steps(pixels), self.image[2]
        legal = [Layout(n, k) for n in least_parts(channels) for k in together]
        found = sorted((y for y in legal if y.width <= most), key=lambda y: y.width)
        return [*found, max(found, key=lambda y: (y.pixels, y.lanes))]

    def real(self) -> NDArray[np.bool_]:
        """Which slots are groups with pixels of the image, (slots,), raster order."""
        rows, columns = (_arange(n) for n in self.extent)
        before, inside = self.groups
        row_inside = (rows >= self.pads[0]) & (rows < self.pads[0] + self.image[0])
        column_inside = (columns >= before) & (columns < before + inside)
        return np.logical_and.outer(row_inside, column_inside).ravel()

    def valid(self) -> NDArray[np.bool_]:
        """Which slots complete output windows, (slots,), raster order."""
        rows = self._ends(0, self._span(0) - 1, self.stride[0], self.output[0])
        beats = ceil_div(self.output[1], self.given.pixels)
        columns = self._ends(1, self.first_end, self.group_stride, beats)
        return np.logical_and.outer(rows, columns).ravel()

    def _ends(self, axis: int, first: int, stride: int, count: int) -> NDArray[np.bool_]:
        later = _arange(self.extent[axis]) - first
        return (later >= 0) & (later % stride == 0) & (later // stride < count)


@cache
def _phase_counts(shape: Window, taken: int, given: int) -> tuple[int, int, int, int]:
    """Phases that read and emit so many pixels, only read, only emit, do neither."""
    reading, emitting = _phases(replace(shape, taken=Layout(1, taken), given=Layout(1, given)))
    both = int((reading & emitting).sum())
    reads, emits = int(reading.sum()) - both, int(emitting.sum()) - both
    return both, reads, emits, len(reading) - both - reads - emits


def _phases(shape: Window) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return np.append(shape.real(), False), np.append(False, shape.valid())


def window_trips(shape: Window, taken: Layout, given: Layout) -> int:
    """`window(...).trips` in other layouts than those of `shape`, without building the arrays."""
    both, reads, emits, idle = _phase_counts(shape, taken.pixels, given.pixels)
    beats_in = ceil_div(shape.image[2], taken.lanes)
    beats_out = ceil_div(shape.kernel[0] * shape.kernel[1] * shape.image[2], given.lanes)
    return both * max(beats_in, beats_out) + reads * beats_in + emits * beats_out + idle


@cache
def fastest_windows(shape: Window, pixels: tuple[int, ...], most: int) -> tuple[int, ...]:
    """For some numbers of windows given at once, all of each, the least iterations per event with
    up to `most` elements in a beat of the image."""
    channels, taps = shape.image[2], shape.kernel[0] * shape.kernel[1]

    def trips(taken: int, given: int) -> int:
        lanes = max(min(channels, most // taken), 1)
        return window_trips(shape, Layout(lanes, taken), Layout(taps * channels, given))

    return tuple(min(trips(n, given) for n in shape.steps(given)) for given in pixels)


def window(shape: Window, depth: int | None = None) -> Schedule:
    """A line buffer: phase `s` reads the pixels of slot `s` and emits the windows that slot `s - 1`
    completed.

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
    vectors: int,
    inputs: int,
    outputs: int,
    simd: int,
    pe: int,
    depth: int | None = None,
    inputs_first: bool = False,
) -> Schedule:
    """Products of an outputs x inputs matrix: for vector, for output fold, for input fold.

    A vector (or several at once) is read during the first output fold and kept for the others; a
    beat of `pe` outputs leaves at the end of each output fold. With `inputs_first` the two inner
    loops change places: an input is used up when it is read, and all outputs leave in the last
    input fold.
    """
    input_folds, output_folds = ceil_div(inputs, simd), ceil_div(outputs, pe)
    trips = output_folds * input_folds
    starts = _arange(vectors, step=trips)
    if inputs_first:
        reads = np.add.outer(starts, _arange(input_folds, step=output_folds)).ravel()
        writes = _runs(starts + trips - output_folds, output_folds)
    else:
        reads = _runs(starts, input_folds)
        writes = _arange(vectors * output_folds, start=input_folds - 1, step=input_folds)
    return Schedule(
        (reads,), (writes,), vectors * trips, depths.matvec(simd) if depth is None else depth
    )


def reduce(outer: int, taps: int, channels: int, lanes: int, depth: int | None = None) -> Schedule:
    """Per outer index fold `taps` rows of channels into one; the result leaves with the last."""
    beats = ceil_div(channels, lanes)
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


def tap_sum(
    taps: Taps, outer: int, beats: int, at_once: int = 1, depth: int | None = None
) -> Schedule:
    """Sums of taps along an axis that is passed `outer` times, `beats` at each place: for step of
    `taps`, for beat: take a pixel, give `at_once` outputs."""
    comes, leaves, steps = taps.steps(at_once)
    starts = _arange(outer, step=steps)
    reads, writes = (np.add.outer(starts, at).ravel() * beats for at in (comes, leaves))
    return Schedule(
        (_runs(reads, beats),),
        (_runs(writes, beats),),
        outer * steps * beats,
        depths.tap_sum(taps.count) if depth is None else depth,
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
