"""Random instances of every kernel, each with its numpy model.

A drawing function takes a `random.Random` and returns a `Case`; shapes and lanes are drawn such
that they are legal. The models work on mantissas.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, prod

import numpy as np
from kernel_harness import Case, Ints, Port, constants

from calocc.codegen.vitis.emitters.compute import folded_weights
from calocc.dialects.dataflow.gearbox import Gearbox
from calocc.dialects.dataflow.layout import Layout
from calocc.dialects.dataflow.packing import DSP48E1, DSP48E2, packing
from calocc.dialects.dataflow.transposition import Transposition
from calocc.dialects.fixed.format import Format
from calocc.dialects.qnn.layer_norm import largest_result, reciprocal_roots


def divisors(n: int) -> list[int]:
    """All divisors of n."""
    return [d for d in range(1, n + 1) if n % d == 0]


# Few, so that cases share instances of the ap_types templates, which dominate compile time; with
# binary points inside and outside the mantissa.
_ELEMENTS = [
    Format.parse(text)
    for text in ("fixed<6,1>", "ufixed<5,2>", "fixed<9,-1>", "ufixed<1,1>", "fixed<4,6>")
]
_RESULTS = [Format.parse(text) for text in ("fixed<8,5>", "ufixed<6,3>", "fixed<3,7>")]


def draw_format(rng: random.Random) -> Format:
    """The format of the elements of a tensor."""
    return rng.choice(_ELEMENTS)


def flat(array: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[Ints]:
    """The single output of a model, flattened in streaming order."""
    return [np.ascontiguousarray(array, dtype=np.int64).reshape(-1)]


@dataclass(frozen=True)
class Epilogue:
    """Adds `3 * channel + 1` LSB to the accumulator, then rounds to even and saturates."""

    accum: Format
    result: Format
    two_dimensional: bool

    @staticmethod
    def draw(rng: random.Random, accum: Format) -> Epilogue:
        return Epilogue(accum, rng.choice(_RESULTS), rng.random() < 0.5)

    @property
    def definition(self) -> str:
        """The C++ struct."""
        sort = "ap_fixed" if self.result.signed else "ap_ufixed"
        mode = f"{sort}<{self.result.width}, {self.result.integer}, AP_RND_CONV, AP_SAT>"
        accum = self.accum
        bias = f"ap_fixed<16, {16 - accum.frac}>"
        if self.two_dimensional:
            parameter, number = "const nnet::channel &at", "at.fold * at.lanes + at.lane"
        else:
            parameter, number = "unsigned at", "at"
        return (
            "struct epilogue {\n"
            f"    static ap_{self.result} apply(const ap_{accum} &x, {parameter}) {{\n"
            f"        {bias} bias;\n"
            f"        bias.range() = ap_uint<16>(3 * ({number}) + 1);\n"
            f"        return {mode}(x + bias);\n"
            "    }\n"
            "};"
        )

    def model(self, accumulators: Ints) -> Ints:
        """The same on mantissas with the channel as last axis."""
        channels = np.arange(accumulators.shape[-1], dtype=np.int64)
        biased = accumulators + (3 * channels + 1)
        rounded = np.rint(np.ldexp(biased.astype(np.float64), self.result.frac - self.accum.frac))
        clipped = np.clip(rounded, self.result.min_mantissa, self.result.max_mantissa)
        return clipped.astype(np.int64)


@dataclass(frozen=True)
class Axis:
    """One axis of a sliding window: sizes, and how slots relate to pixels and windows."""

    size: int
    taps: int
    stride: int
    before: int
    out: int
    dilation: int

    @staticmethod
    def draw(rng: random.Random) -> Axis:
        size, taps, stride = rng.randint(1, 6), rng.randint(1, 4), rng.randint(1, 3)
        dilation = rng.choice([1, 1, 2, 3, 9])
        span = (taps - 1) * dilation + 1
        before, after = rng.randint(0, span), rng.randint(0, span)
        after = max(after, span - size - before)
        fits = (before + size + after - span) // stride + 1
        return Axis(size, taps, stride, before, rng.choice([fits, max(1, fits - 1)]), dilation)

    @property
    def span(self) -> int:
        """Slots from the first tap to the last."""
        return (self.taps - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        """The padded size that all windows and all pixels fit in."""
        return max((self.out - 1) * self.stride + self.span, self.before + self.size)

    def slots(self, taken: int = 1, given: int = 1) -> tuple[list[bool], list[bool]]:
        """For slots of `taken` pixels of the widened padded image whether they hold pixels, and
        whether `given` windows have ended that had not ended with the slot before."""
        lead = -self.before % taken
        first = (lead + self.before) // taken
        ends = [
            (lead + (k * given + given - 1) * self.stride + self.span - 1) // taken
            for k in range(-(-self.out // given))
        ]
        last = max(ends[-1], first + (self.size - 1) // taken)
        inside = range(first, first + (self.size - 1) // taken + 1)
        return [s in inside for s in range(last + 1)], [s in ends for s in range(last + 1)]


def window_trips(
    rows: Axis, cols: Axis, taken: int, given: int, in_beats: int, out_beats: int
) -> int:
    """The sum of the lengths of all phases, evaluated phase by phase."""
    (row_real, row_ends), (col_real, col_ends) = rows.slots(), cols.slots(taken, given)
    real = [r and c for r in row_real for c in col_real] + [False]
    emit = [False] + [r and c for r in row_ends for c in col_ends]
    return sum(
        max(out_beats if e else 0, in_beats if r else 0, 1) for r, e in zip(real, emit, strict=True)
    )


def draw_window(rng: random.Random) -> Case:
    """`window`: any stride, padding on every side, unused rows and columns at the end; one pixel
    after the other, or several pixels and windows at once."""
    rows, cols, channels = Axis.draw(rng), Axis.draw(rng), rng.randint(1, 6)
    window = rows.taps * cols.taps * channels
    element = draw_format(rng)
    given = draw_layout(rng, cols.out, window)
    apart = divisors(cols.stride * given.pixels)
    taken = draw_layout(rng, 1, channels)
    taken = Layout(taken.lanes, rng.choice([n for n in apart if n <= cols.size]))
    shape = rows.size, cols.size, channels
    image = Port(element, taken.lanes, prod(shape), shape, taken.pixels)
    windows = rows.out, cols.out, window
    patches = Port(element, given.lanes, prod(windows), windows, given.pixels)
    padding = rng.choice([0, element.min_mantissa])
    beats = -(-channels // taken.lanes), -(-window // given.lanes)
    trips = window_trips(rows, cols, taken.pixels, given.pixels, *beats)
    sizes = constants(
        "sizes",
        in_height=rows.size,
        in_width=cols.size,
        n_chan=channels,
        in_pixels=taken.pixels,
        out_pixels=given.pixels,
        filt_height=rows.taps,
        filt_width=cols.taps,
        stride_height=rows.stride,
        stride_width=cols.stride,
        dilation_height=rows.dilation,
        dilation_width=cols.dilation,
        pad_top=rows.before,
        pad_left=cols.before,
        out_height=rows.out,
        out_width=cols.out,
        trips=trips,
    )

    def model(event: Sequence[Ints]) -> list[Ints]:
        padded = np.full((rows.padded, cols.padded, channels), padding, dtype=np.int64)
        top, left = rows.before, cols.before
        pixels = event[0].reshape(rows.size, cols.size, channels)
        padded[top : top + rows.size, left : left + cols.size] = pixels
        views = np.lib.stride_tricks.sliding_window_view(padded, (rows.span, cols.span), (0, 1))
        views = views[..., :: rows.dilation, :: cols.dilation]
        picked = views[:: rows.stride, :: cols.stride][: rows.out, : cols.out]
        return flat(picked.transpose(0, 1, 3, 4, 2))

    config = f"{sizes}\nstruct config : sizes {{\n{pad_value(element, padding)}}};"
    call = "nnet::window<in0_T, out0_T, config>(in0, out0);"
    return Case("window", (image,), (patches,), config, call, trips, model)


def pad_value(element: Format, mantissa: int) -> str:
    """The static member function that returns the padding."""
    return (
        f"    static ap_{element} pad_value() {{\n"
        f"        ap_{element} value;\n"
        f"        value.range() = ap_int<64>({mantissa});\n"
        "        return value;\n"
        "    }\n"
    )


def draw_matvec(rng: random.Random) -> Case:
    """`matvec` with random weights in random foldings."""
    rows, width = rng.randint(1, 2), rng.randint(1, 5)
    n, m = rng.randint(1, 12), rng.randint(1, 12)
    simd, pe = draw_layout(rng, 1, n).lanes, draw_layout(rng, 1, m).lanes
    pixels = draw_layout(rng, width, 1).pixels
    groups, vectors = rows * -(-width // pixels), rows * width
    element, weight = draw_format(rng), draw_format(rng)
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    matrix = numbers.integers(weight.min_mantissa, weight.max_mantissa, (n, m), endpoint=True)
    frac = element.frac + weight.frac + rng.choice([0, 0, 2])
    spare = frac - element.frac - weight.frac
    epilogue = Epilogue.draw(rng, Format(True, 26, 26 - frac))
    ends, ports = (element.min_mantissa, element.max_mantissa), rng.choice([DSP48E1, DSP48E2])
    packed = packing((int(matrix.min()), int(matrix.max())), ends, ports)
    first = rng.choice(["false", "true"])
    layout = folded_weights(matrix, pe, simd, first == "true")
    storage = rng.choice(["lutram", "bram", "uram"])
    sizes = constants("sizes", n_vectors=groups, n_pixels=pixels, n_in=n, n_out=m)
    in_logic = rng.random() < 0.3
    products = constants(
        "products",
        n_packed=1 if in_logic else packed.count,
        spacing=packed.spacing,
        wide_port=ports.wide,
    )
    definitions = (
        f"{sizes}\n{products}\n{epilogue.definition}\n"
        "struct config : sizes, products {\n"
        f"    typedef ap_{weight} weight_t;\n"
        f"    typedef ap_{epilogue.accum} accum_t;\n"
        f"    static const nnet::storage weight_storage = nnet::storage::{storage};\n"
        f"    static const bool inputs_first = {first};\n"
        f"    static const bool in_logic = {str(in_logic).lower()};\n"
        "    typedef case_epilogue epilogue;\n"
        "};\n"
        f"static const long long mantissas[] = {{{', '.join(map(str, layout.reshape(-1)))}}};\n"
        f"static config::weight_t weights[{pe}][{layout.shape[1]}][{simd}];"
    ).replace("struct epilogue", "struct case_epilogue")

    def model(event: Sequence[Ints]) -> list[Ints]:
        return flat(epilogue.model((event[0].reshape(vectors, n) @ matrix) << spare))

    return Case(
        "matvec",
        (Port(element, simd, vectors * n, (rows, width, n), pixels),),
        (Port(epilogue.result, pe, vectors * m, (rows, width, m), pixels),),
        definitions,
        f"fill(&weights[0][0][0], mantissas, {layout.size}); "
        "nnet::matvec<in0_T, out0_T, config>(in0, out0, weights);",
        groups * -(-n // simd) * -(-m // pe),
        model,
    )


def draw_reduce(rng: random.Random) -> Case:
    """`reduce` by sum or maximum."""
    rows, width, taps, channels = (rng.randint(1, n) for n in (2, 4, 9, 8))
    pixels = draw_layout(rng, width, 1).pixels
    lanes = rng.choice([*divisors(channels), channels])
    at_once = rng.randint(1, taps) if lanes == channels else 1
    groups, positions = rows * -(-width // pixels), rows * width
    element = draw_format(rng)
    taken, maximum = positions * taps * channels, rng.random() < 0.5
    accum = element if maximum else Format(True, 16, 16 - element.frac)
    epilogue = Epilogue.draw(rng, accum)
    combination = "x > acc ? accum_t(x) : acc" if maximum else "acc + x"
    sizes = constants("sizes", n_positions=groups, n_taps=taps, n_chan=channels, n_pixels=pixels)
    definitions = (
        f"{sizes}\n{epilogue.definition}\n"
        "struct config : sizes {\n"
        f"    typedef ap_{accum} accum_t;\n"
        f"    static accum_t combine(const accum_t &acc, const ap_{element} &x) {{\n"
        f"        return {combination};\n"
        "    }\n"
        "    typedef case_epilogue epilogue;\n"
        "};"
    ).replace("struct epilogue", "struct case_epilogue")

    def model(event: Sequence[Ints]) -> list[Ints]:
        taken = event[0].reshape(positions, taps, channels)
        return flat(epilogue.model(taken.max(axis=1) if maximum else taken.sum(axis=1)))

    return Case(
        "reduce",
        (Port(element, lanes * at_once, taken, (rows, width, taps * channels), pixels),),
        (Port(epilogue.result, lanes, positions * channels, (rows, width, channels), pixels),),
        definitions,
        "nnet::reduce<in0_T, out0_T, config>(in0, out0);",
        groups * -(-taps // at_once) * (channels // lanes),
        model,
    )


def draw_map(rng: random.Random) -> Case:
    """`map` of one tensor (adds 3 * channel + 1) or two (their sum plus that)."""
    pixels, channels, two = rng.randint(1, 6), rng.randint(1, 8), rng.random() < 0.5
    layout, shape = draw_layout(rng, pixels, channels), (pixels, channels)
    beats = layout.beats(shape)
    a, b = draw_format(rng), draw_format(rng)
    exact = Format(True, 32, 32 - max(f.frac for f in _ELEMENTS))
    epilogue = Epilogue.draw(rng, exact)
    names = ["a", "b"][: 1 + two]
    parameters = ", ".join(f"const ap_{f} &{name}" for name, f in zip(names, (a, b), strict=False))
    sizes = constants("sizes", n_beats=beats, n_chan=channels, n_pixels=layout.pixels)
    definitions = (
        f"{sizes}\n{epilogue.definition}\n"
        "struct config : sizes {\n"
        f"    static ap_{epilogue.result} apply({parameters}, const nnet::channel &at) {{\n"
        f"        return epilogue::apply(ap_{exact}({' + '.join(names)}), at);\n"
        "    }\n"
        "};"
    )

    def model(event: Sequence[Ints]) -> list[Ints]:
        formats = (a, b)[: len(event)]
        shifted = [x << (exact.frac - f.frac) for x, f in zip(event, formats, strict=True)]
        return flat(epilogue.model(np.sum(shifted, axis=0).reshape(pixels, channels)))

    ports = tuple(
        Port(f, layout.lanes, pixels * channels, shape, layout.pixels)
        for f in (a, b, epilogue.result)
    )
    ports, out = ports[: 1 + two], ports[2]
    arguments = ", ".join(f"in{i}" for i in range(len(ports)))
    types = ", ".join(f"in{i}_T" for i in range(len(ports)))
    return Case(
        "map",
        ports,
        (out,),
        definitions,
        f"nnet::map<{types}, out0_T, config>({arguments}, out0);",
        beats,
        model,
    )


def draw_fork(rng: random.Random) -> Case:
    """`fork` to one to eight streams."""
    beats, lanes, copies = rng.randint(1, 9), rng.randint(1, 5), rng.randint(1, 8)
    port = Port(draw_format(rng), lanes, beats * lanes)
    outs = ", ".join(f"out{i}" for i in range(copies))
    return Case(
        "fork",
        (port,),
        (port,) * copies,
        constants("config", n_beats=beats),
        f"nnet::fork<in0_T, config>(in0, {outs});",
        beats,
        lambda event: [event[0]] * copies,
    )


def draw_layout(rng: random.Random, pixels: int, channels: int) -> Layout:
    """Any layout: about as often one that divides the axes as one that does not."""
    if rng.random() < 0.5:
        return Layout(rng.choice(divisors(channels)), rng.choice(divisors(pixels)))
    return Layout(rng.randint(1, channels), rng.randint(1, pixels))


def draw_lanes(rng: random.Random) -> Case:
    """`lanes` from any layout to any other; half of the time with the same pixels."""
    shape = rng.randint(1, 3), rng.randint(1, 9), rng.randint(1, 12)
    taken, given = draw_layout(rng, *shape[1:]), draw_layout(rng, *shape[1:])
    if rng.random() < 0.5:
        given = Layout(given.lanes, taken.pixels)
    box, element = Gearbox(shape, taken, given), draw_format(rng)
    sizes = constants(
        "config",
        n_rows=shape[0],
        n_width=shape[1],
        n_chan=shape[2],
        in_pixels=taken.pixels,
        out_pixels=given.pixels,
        held_pixels=box.held[0],
        held_chan=box.held[1],
        trips=box.trips,
    )
    return Case(
        "lanes",
        (Port(element, taken.lanes, prod(shape), shape, taken.pixels),),
        (Port(element, given.lanes, prod(shape), shape, given.pixels),),
        sizes,
        "nnet::lanes<in0_T, out0_T, config>(in0, out0);",
        box.trips,
        lambda event: event,
    )


def draw_concat(rng: random.Random) -> Case:
    """`concat` of tensors of different formats, the output holding both."""
    outer, lanes = rng.randint(1, 5), rng.randint(1, 4)
    inner = [lanes * rng.randint(1, 4) for _ in range(2)]
    formats = [draw_format(rng), draw_format(rng)]
    frac = max(f.frac for f in _ELEMENTS)
    result = Format(True, 24, 24 - frac)
    sizes = constants("config", n_outer=outer, inner_a=inner[0], inner_b=inner[1])

    def model(event: Sequence[Ints]) -> list[Ints]:
        parts = [
            (x << (frac - f.frac)).reshape(outer, n)
            for x, f, n in zip(event, formats, inner, strict=True)
        ]
        return flat(np.concatenate(parts, axis=1))

    return Case(
        "concat",
        tuple(Port(f, lanes, outer * n) for f, n in zip(formats, inner, strict=True)),
        (Port(result, lanes, outer * sum(inner)),),
        sizes,
        "nnet::concat<in0_T, in1_T, out0_T, config>(in0, in1, out0);",
        outer * sum(inner) // lanes,
        model,
    )


def draw_pad(rng: random.Random) -> Case:
    """`pad` with zero or another constant on any side."""
    height, width, channels = (rng.randint(1, 5) for _ in range(3))
    top, bottom, left, right = (rng.randint(0, 3) for _ in range(4))
    lanes, element = rng.choice(divisors(channels)), draw_format(rng)
    padding = rng.choice([0, element.min_mantissa, element.max_mantissa])
    out_size = (top + height + bottom) * (left + width + right) * channels
    sizes = constants(
        "sizes",
        in_height=height,
        in_width=width,
        n_chan=channels,
        pad_top=top,
        pad_bottom=bottom,
        pad_left=left,
        pad_right=right,
    )

    def model(event: Sequence[Ints]) -> list[Ints]:
        image = event[0].reshape(height, width, channels)
        around = ((top, bottom), (left, right), (0, 0))
        return flat(np.pad(image, around, constant_values=padding))

    return Case(
        "pad",
        (Port(element, lanes, height * width * channels),),
        (Port(element, lanes, out_size),),
        f"{sizes}\nstruct config : sizes {{\n{pad_value(element, padding)}}};",
        "nnet::pad<in0_T, out0_T, config>(in0, out0);",
        out_size // lanes,
        model,
    )


def draw_slice(rng: random.Random) -> Case:
    """`slice` of an axis at any place."""
    outer, inner = rng.randint(1, 5), rng.choice([1, 2, 3, 4, 6])
    size = rng.randint(1, 5)
    start = rng.randrange(size)
    stop = rng.randint(start + 1, size)
    first, count = start * inner, (stop - start) * inner
    lanes = rng.choice(divisors(inner))
    element = draw_format(rng)
    config = constants("config", n_outer=outer, inner=size * inner, first=first, count=count)

    def model(event: Sequence[Ints]) -> list[Ints]:
        return flat(event[0].reshape(outer, size * inner)[:, first : first + count])

    return Case(
        "slice",
        (Port(element, lanes, outer * size * inner),),
        (Port(element, lanes, outer * count),),
        config,
        "nnet::slice<in0_T, out0_T, config>(in0, out0);",
        outer * size * inner // lanes,
        model,
    )


def draw_upsample(rng: random.Random) -> Case:
    """`upsample` by any integer factors, several copies at once."""
    height, width, channels = (rng.randint(1, 4) for _ in range(3))
    factors = rng.randint(1, 4), rng.randint(1, 4)
    lanes, element = rng.choice(divisors(channels)), draw_format(rng)
    copies = rng.choice(divisors(factors[1]))
    large = height * factors[0], width * factors[1], channels
    size = height * width * channels
    sizes = constants(
        "config",
        in_height=height,
        in_width=width,
        n_chan=channels,
        height_factor=factors[0],
        width_factor=factors[1],
    )

    def model(event: Sequence[Ints]) -> list[Ints]:
        image = event[0].reshape(height, width, channels)
        return flat(image.repeat(factors[0], axis=0).repeat(factors[1], axis=1))

    return Case(
        "upsample",
        (Port(element, lanes, size),),
        (Port(element, lanes, prod(large), large, copies),),
        sizes,
        "nnet::upsample<in0_T, out0_T, config>(in0, out0);",
        prod(large) // lanes // copies,
        model,
    )


def draw_interpolate(rng: random.Random) -> Case:
    """`interpolate` by any integer factors."""
    height, width, channels = (rng.randint(1, 4) for _ in range(3))
    factors = rng.randint(1, 5), rng.randint(1, 5)
    lanes, element = rng.choice(divisors(channels)), draw_format(rng)
    accum = Format(True, 24, 24 - element.frac)
    epilogue = Epilogue.draw(rng, accum)
    sizes = constants(
        "sizes",
        in_height=height,
        in_width=width,
        n_chan=channels,
        height_factor=factors[0],
        width_factor=factors[1],
    )
    # A unit is at most 10.
    column = Format(element.signed, element.width + 4, element.integer + 4)
    definitions = (
        f"{sizes}\n{epilogue.definition}\n"
        "struct config : sizes {\n"
        f"    typedef ap_{column} column_t;\n"
        f"    typedef ap_{accum} accum_t;\n"
        "    typedef case_epilogue epilogue;\n"
        "};"
    ).replace("struct epilogue", "struct case_epilogue")

    def model(event: Sequence[Ints]) -> list[Ints]:
        image = event[0].reshape(height, width, channels)
        for axis, factor in enumerate(factors):
            image = interpolated(image, axis, factor)
        return flat(epilogue.model(image))

    size = height * width * channels
    return Case(
        "interpolate",
        (Port(element, lanes, size),),
        (Port(epilogue.result, lanes, size * factors[0] * factors[1]),),
        definitions,
        "nnet::interpolate<in0_T, out0_T, config>(in0, out0);",
        size * factors[0] * factors[1] // lanes,
        model,
    )


def draw_tap_sum(rng: random.Random) -> Case:
    """`tap_sum` along rows or columns, with places outside the image on either side."""
    outer, length, inner, channels = (rng.randint(1, n) for n in (2, 5, rng.choice([1, 4]), 4))
    count, factor, stride = rng.randint(1, 5), rng.randint(1, 5), rng.randint(1, 4)
    dilation, outputs, start = rng.randint(1, 3), rng.randint(1, 9), rng.randint(-6, 4)
    lanes, element = rng.choice(divisors(channels)), draw_format(rng)
    accum = Format(True, 20, 20 - element.frac)
    epilogue = Epilogue.draw(rng, accum)
    pixels = rng.randint(1, outputs) if inner == 1 else 1
    taps = [
        [(o * stride + k * dilation + start) // factor for k in range(count)]
        for o in range(-(-outputs // pixels) * pixels)
    ]
    trips, span = tap_steps(taps, length, pixels, outputs)
    sizes = constants(
        "sizes",
        n_outer=outer,
        length=length,
        n_out=outputs,
        inner=inner,
        n_chan=channels,
        n_pixels=pixels,
        n_taps=count,
        factor=factor,
        stride=stride,
        dilation=dilation,
        first_copy=start % factor,
        span=span,
        steps=trips,
    )
    definitions = (
        f"{sizes}\n{epilogue.definition}\n"
        "struct config : sizes {\n"
        f"    static const int first_pixel = {start // factor};\n"
        f"    typedef ap_{accum} accum_t;\n"
        "    typedef case_epilogue epilogue;\n"
        "};"
    ).replace("struct epilogue", "struct case_epilogue")

    def model(event: Sequence[Ints]) -> list[Ints]:
        x = event[0].reshape(outer, length, inner, channels, count)
        sums = np.zeros((outer, outputs, inner, channels), np.int64)
        for o, under in enumerate(taps[:outputs]):
            for k, pixel in enumerate(under):
                if 0 <= pixel < length:
                    sums[:, o] += x[:, pixel, ..., k]
        return flat(epilogue.model(sums))

    size = outer * inner * channels
    return Case(
        "tap_sum",
        (Port(element, lanes * count, size * length * count),),
        (Port(epilogue.result, lanes, size * outputs, (outer, outputs, inner * channels), pixels),),
        definitions,
        "nnet::tap_sum<in0_T, out0_T, config>(in0, out0);",
        size * trips // lanes,
        model,
    )


def tap_steps(
    taps: Sequence[Sequence[int]], length: int, at_once: int, outputs: int
) -> tuple[int, int]:
    """Steps for a row, taken one by one, and the most pixels that are looked back over."""
    steps, come, span = 0, 0, 1
    for first in range(0, outputs, at_once):
        wanted = min(taps[first + at_once - 1][-1] + 1, length)
        steps += max(wanted - come, 1)
        come = max(wanted, come)
        for pixels in taps[first : min(first + at_once, outputs)]:
            span = max([span, *(come - p for p in pixels if 0 <= p < length)])
    return steps + length - come, span


def interpolated(image: Ints, axis: int, factor: int) -> Ints:
    """Pixel k lies at (2 k + 1 - factor) / (2 factor) of the image; times the denominator."""
    last = image.shape[axis] - 1
    pixels: list[Ints] = []
    for k in range(image.shape[axis] * factor):
        below, share = divmod(2 * k + 1 - factor, 2 * factor)
        first, second = (image.take([min(max(n, 0), last)], axis) for n in (below, below + 1))
        pixels.append((2 * factor - share) * first + share * second)
    whole = np.concatenate(pixels, axis)
    return whole // 2 if factor % 2 else whole


def draw_buffer(rng: random.Random) -> Case:
    """`buffer`: all permutations with one lane, those that keep the last axis with several."""
    dims = [rng.randint(1, 4) for _ in range(rng.randint(1, 5))]
    perm = rng.sample(range(len(dims)), len(dims))
    if rng.random() < 0.5:
        perm = sorted(range(len(dims)), key=lambda k: rng.random() if 0 < k < len(dims) - 1 else k)
    lanes = rng.choice(divisors(dims[-1])) if perm[-1] == len(dims) - 1 else 1
    element, size = draw_format(rng), prod(dims)
    blocks = Transposition.of(dims, perm, lanes)
    tables = [
        f"    static unsigned {name}(unsigned axis) {{\n"
        f"        const unsigned values[] = {{{', '.join(map(str, values))}}};\n"
        "        return values[axis];\n    }\n"
        for name, values in (("size", blocks.sizes), ("stride", blocks.strides))
    ]
    rank = len(blocks.sizes)
    sizes = constants("sizes", n_outer=blocks.outer, n_words=blocks.words, rank=rank)
    return Case(
        "buffer",
        (Port(element, lanes, size),),
        (Port(element, lanes, size),),
        f"{sizes}\nstruct config : sizes {{\n{''.join(tables)}}};",
        "nnet::buffer<in0_T, out0_T, config>(in0, out0);",
        size // lanes + blocks.words,
        lambda event: flat(event[0].reshape(dims).transpose(perm)),
    )


def draw_softmax(rng: random.Random) -> Case:
    """`softmax` with a table that may be shorter than the largest distance."""
    rows, n = rng.randint(1, 3), rng.randint(1, 8)
    element = draw_format(rng)
    result = Format.parse(rng.choice(["ufixed<8,0>", "ufixed<17,1>", "ufixed<1,0>"]))
    entries, exp_bits = rng.randint(1, 40), rng.choice([2, 16])
    decay = np.exp(-rng.uniform(0, 0.5) * np.arange(entries))
    table = np.maximum(np.floor(decay * ((1 << exp_bits) - 1)), [1] + [0] * (entries - 1))
    table = table.astype(np.int64)
    sizes = constants("sizes", n_rows=rows, n_in=n, table_size=entries)
    definitions = (
        f"{sizes}\n"
        "struct config : sizes {\n"
        f"    typedef ap_uint<{exp_bits}> exp_t;\n"
        f"    typedef ap_uint<{exp_bits + 4}> sum_t;\n"
        "};\n"
        f"static const config::exp_t table[] = {{{', '.join(map(str, table))}}};"
    )

    def model(event: Sequence[Ints]) -> list[Ints]:
        x = event[0].reshape(rows, n)
        exps = table[np.minimum(x.max(axis=1, keepdims=True) - x, entries - 1)]
        total = exps.sum(axis=1, keepdims=True)
        ratio = ((exps << result.frac) + (total >> 1)) // total
        return flat(np.minimum(ratio, result.max_mantissa))

    return Case(
        "softmax",
        (Port(element, 1, rows * n),),
        (Port(result, 1, rows * n),),
        definitions,
        "nnet::softmax<in0_T, out0_T, config>(in0, out0, table);",
        3 * rows * n,
        model,
    )


def draw_embedding(rng: random.Random) -> Case:
    """`embedding` with indices of few bits and many, and rows that the table lacks."""
    positions, rows, columns = rng.randint(1, 5), rng.randint(1, 12), rng.randint(1, 8)
    lanes = rng.choice(divisors(columns))
    texts = ("ufixed<1,1>", "ufixed<3,3>", "fixed<4,4>", "ufixed<3,4>", "fixed<40,41>")
    index = Format.parse(rng.choice(texts))
    element = draw_format(rng)
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    table = numbers.integers(element.min_mantissa, element.max_mantissa, (rows, columns))
    listed: list[list[int]] = table.tolist()
    words = rows * columns // lanes
    storage = rng.choice(["lutram", "bram"])
    sizes = constants("sizes", n_positions=positions, n_rows=rows, n_out=columns)
    definitions = (
        f"{sizes}\n"
        "struct config : sizes {\n"
        f"    typedef ap_{element} entry_t;\n"
        f"    static const nnet::storage table_storage = nnet::storage::{storage};\n"
        "};\n"
        f"static const long long mantissas[] = {{{', '.join(map(str, table.reshape(-1)))}}};\n"
        f"static config::entry_t table[{words}][{lanes}];"
    )

    def model(event: Sequence[Ints]) -> list[Ints]:
        known = dict(enumerate(listed))
        taken = [known.get(int(m) << -index.frac, [0] * columns) for m in event[0]]
        return flat(np.array(taken))

    return Case(
        "embedding",
        (Port(index, 1, positions),),
        (Port(element, lanes, positions * columns),),
        definitions,
        f"fill(&table[0][0], mantissas, {rows * columns}); "
        "nnet::embedding<in0_T, out0_T, config>(in0, out0, table);",
        positions * columns // lanes,
        model,
    )


def draw_layer_norm(rng: random.Random) -> Case:
    """`layer_norm` with large and small epsilons, and with shifts both ways behind the product."""
    rows, n = rng.randint(1, 3), rng.randint(1, 9)
    element = draw_format(rng)
    offset, shift = rng.choice([1, 37, 1 << 20]), rng.choice([0, 3, 9])
    frac = rng.choice([0, 6, 14])
    limit = largest_result(n, frac)
    result = Format.holding(-limit, limit, frac)
    table = reciprocal_roots()
    largest = n * max(-element.min_mantissa, element.max_mantissa)
    spread = (largest**2 << (2 * shift)) + offset
    sizes = constants("sizes", n_rows=rows, n_in=n, shift=shift, limit=limit)
    definitions = (
        f"{sizes}\n"
        "struct config : sizes {\n"
        "    typedef ap_uint<18> root_t;\n"
        f"    typedef ap_int<{(2 * largest).bit_length() + 1}> sum_t;\n"
        f"    typedef ap_uint<{(n * (largest // n) ** 2).bit_length()}> square_t;\n"
        f"    typedef ap_uint<{(spread.bit_length() + 1) // 2 * 2}> spread_t;\n"
        f"    static spread_t offset() {{ return {offset}ULL; }}\n"
        "};\n"
        f"static config::root_t table[{len(table)}];\n"
        f"static const long long entries[] = {{{', '.join(map(str, table.tolist()))}}};"
    )

    def model(event: Sequence[Ints]) -> list[Ints]:
        return flat(np.array([_normalised(row) for row in event[0].reshape(rows, n).tolist()]))

    def _normalised(row: list[int]) -> list[int]:
        """The recipe of the kernel's comment, in Python's integers."""
        a = (n * sum(v * v for v in row) - sum(row) ** 2) * 4**shift + offset
        e = (a.bit_length() - 1) // 2
        t = (a << 21) >> (2 * e)
        first, second = table[t // 4096 - 512 : t // 4096 - 510].tolist()
        root = first - (((first - second) * (t % 4096) + 2048) >> 12)
        products = (Fraction((n * v - sum(row)) * root) for v in row)
        exact = (p * Fraction(2) ** (shift - e + frac - 17) for p in products)
        return [min(max(floor(y + Fraction(1, 2)), -limit), limit) for y in exact]

    return Case(
        "layer_norm",
        (Port(element, 1, rows * n),),
        (Port(result, 1, rows * n),),
        definitions,
        f"fill(table, entries, {len(table)}); "
        "nnet::layer_norm<in0_T, out0_T, config>(in0, out0, table);",
        2 * rows * n,
        model,
    )


DRAWS: dict[str, Callable[[random.Random], Case]] = {
    "window": draw_window,
    "matvec": draw_matvec,
    "reduce": draw_reduce,
    "map": draw_map,
    "fork": draw_fork,
    "lanes": draw_lanes,
    "concat": draw_concat,
    "pad": draw_pad,
    "slice": draw_slice,
    "upsample": draw_upsample,
    "interpolate": draw_interpolate,
    "tap_sum": draw_tap_sum,
    "buffer": draw_buffer,
    "softmax": draw_softmax,
    "embedding": draw_embedding,
    "layer_norm": draw_layer_norm,
}
