"""Every schedule against its loop, written out as nested loops that note what they move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calocc.dialects.dataflow import depths, schedules
from calocc.dialects.dataflow.gearbox import Gearbox
from calocc.dialects.dataflow.layout import SINGLE, Layout
from calocc.dialects.dataflow.schedule import Schedule
from calocc.dialects.qnn.stretch import Stretch
from calocc.dialects.qnn.taps import Taps
from calocc.dialects.qnn.windows import reach

few = st.integers(1, 4)


@dataclass
class Recorder:
    """Counts iterations; a loop body calls `read` and `write`, then `end` once."""

    reads: list[list[int]]
    writes: list[list[int]]
    trips: int = 0

    @staticmethod
    def of(inputs: int, outputs: int) -> Recorder:
        return Recorder([[] for _ in range(inputs)], [[] for _ in range(outputs)])

    def read(self, port: int = 0) -> None:
        self.reads[port].append(self.trips)

    def write(self, port: int = 0) -> None:
        self.writes[port].append(self.trips)

    def end(self) -> None:
        self.trips += 1


def assert_runs_as(schedule: Schedule, loop: Recorder) -> None:
    assert [port.tolist() for port in schedule.reads] == loop.reads
    assert [port.tolist() for port in schedule.writes] == loop.writes
    assert schedule.trips == loop.trips


@st.composite
def windows(draw: st.DrawFn) -> schedules.Window:
    """Any image, kernel, stride, dilation and padding; perhaps fewer windows than would fit, and in
    any layouts that go together."""
    image = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 4, 6]))
    pads = (draw(few) - 1, draw(few) - 1, draw(few) - 1, draw(few) - 1)
    high, wide = pads[0] + image[0] + pads[1], pads[2] + image[1] + pads[3]
    kernel = draw(st.integers(1, min(4, high))), draw(st.integers(1, min(4, wide)))
    sizes = zip((high, wide), kernel, strict=True)
    stride = draw(few), draw(few)
    apart = tuple(draw(st.integers(1, max((n - 1) // max(k - 1, 1), 1))) for n, k in sizes)
    dilation = apart[0], apart[1]
    spans = reach(kernel[0], dilation[0]), reach(kernel[1], dilation[1])
    most = (high - spans[0]) // stride[0] + 1, (wide - spans[1]) // stride[1] + 1
    output = draw(st.integers(1, most[0])), draw(st.integers(1, most[1]))
    size = kernel[0] * kernel[1] * image[2]
    given = Layout(draw(st.integers(1, size)), draw(st.integers(1, output[1])))
    pixels = draw(divisors(stride[1] * given.pixels).filter(lambda n: n <= image[1]))
    taken = Layout(draw(st.integers(1, image[2])), pixels)
    return schedules.Window(image, kernel, stride, pads, output, taken, given, dilation)


def divisors(n: int) -> st.SearchStrategy[int]:
    return st.sampled_from([d for d in range(1, n + 1) if n % d == 0])


def ends_of(g: schedules.Window, axis: int, taken: int, given: int, before: int) -> set[int]:
    """Slots of `taken` places, the first pixel at `before`, in which `given` windows have ended."""
    span = reach(g.kernel[axis], g.dilation[axis])
    lead = before - g.pads[2 * axis]
    starts = range(0, g.output[axis], given)
    return {(lead + (k + given - 1) * g.stride[axis] + span - 1) // taken for k in starts}


def window_loop(g: schedules.Window) -> Recorder:
    (height, width, channels), (top, _, left, _) = g.image, g.pads
    taken, given = g.taken.pixels, g.given.pixels
    first = ceil(left / taken)  # slots in front of the image
    row_ends = ends_of(g, 0, 1, 1, top)
    column_ends = ends_of(g, 1, taken, given, first * taken)
    rows = max(*row_ends, top + height - 1) + 1
    columns = max(*column_ends, first + ceil(width / taken) - 1) + 1
    beats_out = ceil(g.kernel[0] * g.kernel[1] * channels / g.given.lanes)
    beats_in = ceil(channels / g.taken.lanes)
    loop = Recorder.of(1, 1)
    for slot in range(rows * columns + 1):
        r, q = divmod(slot, columns)
        inside = top <= r < top + height and first <= q < first + ceil(width / taken)
        real = slot < rows * columns and inside
        r, q = divmod(slot - 1, columns)
        valid = slot > 0 and r in row_ends and q in column_ends
        for b in range(max(beats_out if valid else 0, beats_in if real else 0, 1)):
            if real and b < beats_in:
                loop.read()
            if valid and b < beats_out:
                loop.write()
            loop.end()
    return loop


@settings(deadline=None)
@given(windows())
def test_window(geometry: schedules.Window) -> None:
    schedule = schedules.window(geometry)
    assert_runs_as(schedule, window_loop(geometry))
    assert len(schedule.reads[0]) == geometry.taken.beats(geometry.image)
    windows = *geometry.output, geometry.kernel[0] * geometry.kernel[1] * geometry.image[2]
    assert len(schedule.writes[0]) == geometry.given.beats(windows)


@settings(deadline=None)
@given(windows())
def test_window_trips_agree_with_the_schedule(geometry: schedules.Window) -> None:
    trips = schedules.window_trips(geometry, geometry.taken, geometry.given)
    assert trips == window_loop(geometry).trips


def test_a_window_beyond_its_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="axis 1 reaches beyond"):
        schedules.Window((4, 4, 1), (3, 3), (1, 1), (1, 1, 1, 0), (4, 4), SINGLE, SINGLE)


def test_windows_that_do_not_end_with_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="pixels=2 does not divide 3"):
        schedules.Window(
            (4, 8, 1), (3, 3), (1, 1), (1, 1, 1, 1), (4, 8), Layout(1, 2), Layout(1, 3)
        )


@settings(deadline=None)
@given(windows(), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 30))
def test_the_fastest_windows_are_reached_and_not_beaten(
    geometry: schedules.Window, pixels: list[int], most: int
) -> None:
    """By any layout of the image whose beats are not too wide."""
    size = geometry.kernel[0] * geometry.kernel[1] * geometry.image[2]
    found = schedules.fastest_windows(geometry, tuple(pixels), most)
    for count, least in zip(pixels, found, strict=True):
        trips = [
            schedules.window_trips(geometry, Layout(lanes, step), Layout(size, count))
            for step in geometry.steps(count)
            for lanes in range(1, geometry.image[2] + 1)
            if lanes == 1 or lanes * step <= most
        ]
        assert least == min(trips)


sizes = st.integers(1, 9)


@given(few, sizes, sizes, sizes, sizes)
def test_matvec(vectors: int, inputs: int, outputs: int, simd: int, pe: int) -> None:
    """Folds that are not full take as long as those that are."""
    input_folds, output_folds = ceil(inputs / simd), ceil(outputs / pe)
    loop = Recorder.of(1, 1)
    for _ in range(vectors):
        for nf in range(output_folds):
            for sf in range(input_folds):
                if nf == 0:
                    loop.read()
                if sf == input_folds - 1:
                    loop.write()
                loop.end()
    assert_runs_as(schedules.matvec(vectors, inputs, outputs, simd, pe), loop)


@given(few, few, few, few, few)
def test_matvec_inputs_first(
    pixels: int, input_folds: int, output_folds: int, simd: int, pe: int
) -> None:
    loop = Recorder.of(1, 1)
    for _, sf, nf in indices(pixels, input_folds, output_folds):
        if nf == 0:
            loop.read()
        if sf == input_folds - 1:
            loop.write()
        loop.end()
    sizes = (pixels, input_folds * simd, output_folds * pe, simd, pe)
    assert_runs_as(schedules.matvec(*sizes, inputs_first=True), loop)


@given(few, few, few, few)
def test_reduce(outer: int, taps: int, beats: int, lanes: int) -> None:
    loop = Recorder.of(1, 1)
    for _ in range(outer):
        for t in range(taps):
            for _ in range(beats):
                loop.read()
                if t == taps - 1:
                    loop.write()
                loop.end()
    assert_runs_as(schedules.reduce(outer, taps, beats * lanes, lanes), loop)


@given(few, few)
def test_map_and_fork(beats: int, ports: int) -> None:
    mapping, forking = Recorder.of(ports, 1), Recorder.of(1, ports)
    for _ in range(beats):
        mapping.write()
        forking.read()
        for port in range(ports):
            mapping.read(port)
            forking.write(port)
        mapping.end()
        forking.end()
    assert_runs_as(schedules.map(beats, ports), mapping)
    assert_runs_as(schedules.fork(beats, ports), forking)


@st.composite
def gearboxes(draw: st.DrawFn) -> Gearbox:
    """Any image between any two layouts, often with the same pixels."""
    image = draw(few), draw(sizes), draw(st.integers(1, 12))
    taken, given = (
        Layout(draw(st.integers(1, image[2])), draw(st.integers(1, image[1]))) for _ in range(2)
    )
    return Gearbox(image, taken, Layout(given.lanes, draw(st.sampled_from([taken, given])).pixels))


def elements_in(layout: Layout, row: tuple[int, int]) -> list[set[tuple[int, int]]]:
    """The (pixel, channel) of each beat of a row."""
    pixels, channels = row
    return [
        set(
            product(
                range(p, min(p + layout.pixels, pixels)), range(c, min(c + layout.lanes, channels))
            )
        )
        for p in range(0, pixels, layout.pixels)
        for c in range(0, channels, layout.lanes)
    ]


@given(gearboxes())
def test_lanes(box: Gearbox) -> None:
    """Element by element: read until all of the next beat is there, then write it."""
    loop = Recorder.of(1, 1)
    rows, *row = box.image
    for _ in range(rows):
        coming = iter(elements_in(box.taken, (row[0], row[1])))
        there: set[tuple[int, int]] = set()
        for beat in elements_in(box.given, (row[0], row[1])):
            while not beat <= there:
                there |= next(coming)
                loop.read()
                if not beat <= there:
                    loop.end()
            loop.write()
            loop.end()
        assert not list(coming)
    assert_runs_as(box.schedule(), loop)
    assert box.trips == loop.trips


@given(gearboxes())
def test_converters_hold_no_two_elements_in_one_place(box: Gearbox) -> None:
    """Between their first read and their last write; places come round within `held`."""
    schedule, (pixels, channels) = box.schedule(), box.held
    rows, *row = box.image
    taken = elements_in(box.taken, (row[0], row[1])) * rows
    given = elements_in(box.given, (row[0], row[1])) * rows
    place: dict[tuple[int, int], tuple[int, int, int]] = {}
    for k, (beat, iteration) in enumerate(zip(taken, schedule.reads[0], strict=True)):
        line = k // (len(taken) // rows)
        for p, c in beat:
            old = place.get((p % pixels, c % channels))
            if old is not None:
                needed = max(
                    int(schedule.writes[0][n])
                    for n, other in enumerate(given)
                    if n // (len(given) // rows) == old[0] and old[1:] in other
                )
                assert needed < iteration
            place[p % pixels, c % channels] = line, p, c


@given(few, few, few, few)
def test_converters_of_divisors_take_an_iteration_per_narrower_beat(
    rows: int, beats: int, ratio: int, narrow: int
) -> None:
    image = rows, 1, narrow * ratio * beats
    wide, thin = Layout(narrow * ratio), Layout(narrow)
    for before, after in ((wide, thin), (thin, wide)):
        box = Gearbox(image, before, after)
        assert (box.trips, box.held) == (rows * beats * ratio, (1, narrow * ratio))


@given(few, st.lists(few, min_size=1, max_size=4))
def test_concat(outer: int, beats: list[int]) -> None:
    loop = Recorder.of(len(beats), 1)
    for _ in range(outer):
        for port, count in enumerate(beats):
            for _ in range(count):
                loop.read(port)
                loop.write()
                loop.end()
    assert_runs_as(schedules.concat(outer, *beats), loop)


@given(few, few, few, st.tuples(*[st.integers(0, 3)] * 4))
def test_pad(height: int, width: int, beats: int, pads: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = pads
    loop = Recorder.of(1, 1)
    for r in range(top + height + bottom):
        for q in range(left + width + right):
            for _ in range(beats):
                if top <= r < top + height and left <= q < left + width:
                    loop.read()
                loop.write()
                loop.end()
    assert_runs_as(schedules.pad(height, width, beats, pads), loop)


@given(few, few, few, few, few)
def test_upsample(height: int, width: int, beats: int, down: int, across: int) -> None:
    loop = Recorder.of(1, 1)
    for _, i, _, j, _ in indices(height, down, width, across, beats):
        if i == 0 and j == 0:
            loop.read()
        loop.write()
        loop.end()
    assert_runs_as(schedules.upsample(height, width, beats, (down, across)), loop)


def _last_pixel(output: int, length: int, factor: int) -> int:
    """The last one that an output of an axis depends on; it lies between its neighbours."""
    place = (2 * output + 1 - factor) / (2 * factor)
    return min(max(ceil(place), 0), length - 1)


@given(few, few, few, few, few)
def test_interpolate(height: int, width: int, beats: int, down: int, across: int) -> None:
    """A pixel is read by the first output that depends on it."""
    loop = Recorder.of(1, 1)
    read: set[tuple[int, int, int]] = set()
    for row, column, beat in indices(height * down, width * across, beats):
        needed = (_last_pixel(row, height, down), _last_pixel(column, width, across), beat)
        if needed not in read:
            read.add(needed)
            loop.read()
        loop.write()
        loop.end()
    axes = Stretch(height, down), Stretch(width, across)
    assert_runs_as(schedules.interpolate(*axes, beats), loop)


@given(few, few, st.integers(1, 9), few, few, few, st.integers(-5, 5), few, few)
def test_tap_sum(
    outer: int,
    length: int,
    outputs: int,
    count: int,
    factor: int,
    stride: int,
    start: int,
    beats: int,
    at_once: int,
) -> None:
    """Outputs leave with the pixel under the last tap; what nobody reads comes at the end."""
    loop = Recorder.of(1, 1)
    for _ in range(outer):
        come = 0
        for first in range(0, outputs, at_once):
            last_tap = (first + at_once - 1) * stride + count - 1 + start
            wanted = min(last_tap // factor + 1, length)
            for pixel in range(come, max(wanted, come + 1)):
                for _ in range(beats):
                    if pixel < wanted:
                        loop.read()
                    if pixel + 1 >= wanted:
                        loop.write()
                    loop.end()
            come = max(come, wanted)
        for _ in range((length - come) * beats):
            loop.read()
            loop.end()
    taps = Taps(length, outputs, count, factor, stride, 1, start)
    assert_runs_as(schedules.tap_sum(taps, outer, beats, at_once), loop)


def indices(*shape: int) -> Iterator[tuple[int, ...]]:
    """Nested loops, the last index fastest."""
    return iter(np.ndindex(*shape))


@given(few, few)
def test_buffer(outer: int, words: int) -> None:
    loop = Recorder.of(1, 1)
    for block, _ in indices(outer + 1, words):
        if block < outer:
            loop.read()
        if block > 0:
            loop.write()
        loop.end()
    assert_runs_as(schedules.buffer(outer, words), loop)


@given(few, few)
def test_softmax(rows: int, length: int) -> None:
    loop = Recorder.of(1, 1)
    for _, phase, _ in indices(rows, 3, length):
        if phase == 0:
            loop.read()
        if phase == 2:
            loop.write()
        loop.end()
    assert_runs_as(schedules.softmax(rows, length), loop)


@given(few, few)
def test_embedding(positions: int, folds: int) -> None:
    loop = Recorder.of(1, 1)
    for _, fold in indices(positions, folds):
        if fold == 0:
            loop.read()
        loop.write()
        loop.end()
    assert_runs_as(schedules.embedding(positions, folds), loop)


@given(few, few)
def test_layer_norm(rows: int, length: int) -> None:
    loop = Recorder.of(1, 1)
    for _, phase, _ in indices(rows, 2, length):
        (loop.read, loop.write)[phase]()
        loop.end()
    assert_runs_as(schedules.layer_norm(rows, length), loop)


@given(few, few, few, few, st.integers(1, 2), st.booleans(), st.integers(0, 9))
def test_recurrent(
    steps: int, folds: int, simd: int, pe: int, phases: int, sequences: bool, drain: int
) -> None:
    units = folds * simd * pe
    loop = Recorder.of(1, 1)
    for step in range(steps):
        for phase in range(phases):
            for _ in range(units // pe):
                for sf in range(units // simd):
                    ends = sf == units // simd - 1
                    if ends and phase == 0:
                        loop.read()
                    if ends and phase == phases - 1 and (sequences or step == steps - 1):
                        loop.write()
                    loop.end()
            if (step, phase) != (steps - 1, phases - 1):
                loop.trips += drain
    schedule = schedules.recurrent(steps, units, simd, pe, phases, sequences, drain)
    assert_runs_as(schedule, loop)


def test_uneven_folds_of_recurrent_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="pe=3 does not divide 4"):
        schedules.recurrent(1, 4, 4, 3, 1, True, 0)


BROKEN: dict[str, tuple[list[int], int, int]] = {
    "not strictly increasing": ([0, 2, 2], 4, 0),
    "leaves the iterations 0..3": ([0, 4], 4, 0),
    "at least one beat": ([], 4, 0),
    "depth=-1 >= 0": ([0], 4, -1),
}


@pytest.mark.parametrize("text", BROKEN)
def test_broken_schedules_are_refused(text: str) -> None:
    reads, trips, depth = BROKEN[text]
    with pytest.raises(ValueError, match=text):
        Schedule((np.array(reads, dtype=np.int64),), (), trips, depth)


@pytest.mark.parametrize(("simd", "levels"), [(1, 0), (2, 1), (3, 2), (8, 3), (9, 4)])
def test_the_adder_tree_has_a_level_per_doubling(simd: int, levels: int) -> None:
    """Stream 2, multiply 3, the tree, accumulate 1, epilogue 2."""
    assert depths.matvec(simd) == 8 + levels
    assert schedules.matvec(1, simd, 1, simd, 1).depth == 8 + levels
    assert schedules.matvec(1, simd, 1, simd, 1, depth=30).depth == 30
