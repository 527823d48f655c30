"""What processes and FIFOs occupy on an AMD FPGA: estimates before synthesis.

Memory sizes and shapes are those of the devices: block RAM of 18 Kib as 512x36 to 16Kx1 (AMD
UG573), LUTs as 64x1 memory or a 32-deep shift register (UG574), and the multipliers of DSP slices
(`packing.py`). Figures in LUTs and flip-flops for logic are ESTIMATES from the structure of the
loops, which stand until a csynth report replaces them: a LUT per bit of an adder or a comparison (a
carry chain, UG574), and a register behind each, because an adder tree takes a level per cycle
(`depths.py`). Together with buffers and products that makes 1.3 to 1.6 registers per LUT; AMD's own
streaming networks LFC and CNV on a Zynq report 1.08 and 1.13 (utilization reports of
github.com/Xilinx/BNN-PYNQ, which have next to no DSP slices).
"""

from __future__ import annotations

from dataclasses import dataclass

from calocc.dialects.dataflow.layout import ceil_div
from calocc.dialects.dataflow.packing import DSP48E2, SMALLEST_OPERAND, Multiplier, Packing

BRAM_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
LUTRAM_BITS = 1 << 13
"""Memories of up to this many bits go to LUTs (own choice: less than half a block RAM)."""
LUTRAM_DEPTH = 128
"""So do shallow ones, as in the kernels (own choice: two LUTs per bit of a word, where a block RAM
would use a quarter of its depth)."""
SRL_DEPTH = 32
"""Words of a shift register LUT (UG574)."""
SHORTEST_RING = 8
"""Rings of fewer entries are registers, as in the kernels (own choice)."""
UNPACKED = Packing(1, DSP48E2.wide + DSP48E2.narrow)
"""A multiplier for every product."""
CONTROL_LUTS = 60
"""Counters and handshakes of one loop (ESTIMATE: three counters of 12 bits, and 24 for the states
and the handshakes of the streams)."""


@dataclass(slots=True)  # not frozen: a search makes some hundred thousands of them
class Resources:
    """Numbers of DSP slices, 18 Kib block RAMs, UltraRAMs, LUTs and flip-flops."""

    dsp: int = 0
    bram18: int = 0
    uram: int = 0
    lut: int = 0
    ff: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.dsp + other.dsp,
            self.bram18 + other.bram18,
            self.uram + other.uram,
            self.lut + other.lut,
            self.ff + other.ff,
        )

    def scaled(self, count: int) -> Resources:
        """`count` times the same."""
        return Resources(
            self.dsp * count,
            self.bram18 * count,
            self.uram * count,
            self.lut * count,
            self.ff * count,
        )


def logic(luts: int) -> Resources:
    """Adders, comparators and the like, each bit of which has a pipeline register behind it."""
    return Resources(lut=luts, ff=luts)


def multiplexer(places: int, width: int) -> Resources:
    """One of so many words, and its register.

    A LUT is a 4:1 multiplexer of one bit (UG574), so n:1 takes about n / 3 of them.
    """
    return Resources(lut=width * ceil_div(places - 1, 3), ff=width)


def block_ram(depth: int, width: int) -> int:
    """18 Kib block RAMs for a memory, in the best of the shapes they can take."""
    return min(ceil_div(depth, d) * ceil_div(width, w) for d, w in BRAM_SHAPES)


def is_in_luts(depth: int, width: int) -> bool:
    """Whether a memory is small or shallow: block RAMs are 512 words deep at least."""
    return depth * width <= LUTRAM_BITS or depth <= LUTRAM_DEPTH


def memory(depth: int, width: int) -> Resources:
    """A memory of `depth` words, in LUTs or in block RAM."""
    if is_in_luts(depth, width):
        return Resources(lut=width * ceil_div(depth, 64), ff=width)
    return Resources(bram18=block_ram(depth, width), ff=width)


def fifo(depth: int, width: int) -> Resources:
    """A FIFO of `depth` beats: shift registers, LUT memory or block RAM, and its counters."""
    if depth <= SRL_DEPTH:
        return Resources(lut=width + 15, ff=width + 15)
    return memory(depth, width) + logic(25)


def multiplier(a: int, b: int, ports: Multiplier = DSP48E2) -> Resources:
    """A product of a bits times b bits: DSP slices with these ports, or LUTs if one is tiny.

    A slice has registers for operands and products of its own (UG579); those counted are for the
    product behind it.
    """
    narrow, wide = sorted((a, b))
    if narrow < SMALLEST_OPERAND:
        return logic(wide)
    return Resources(dsp=ceil_div(wide, ports.wide) * ceil_div(narrow, ports.narrow), ff=a + b)


def products(
    count: int,
    weight_width: int,
    data_width: int,
    packing: Packing | None,
    ports: Multiplier = DSP48E2,
) -> Resources:
    """`count` products with one shared factor, several per multiplier where they fit.

    A weight behind another takes its borrow in a LUT per bit; a carry per product is counted by
    about two LUTs (estimates). Without a packing all are made of LUTs: one for each bit of each
    partial product, which an adder takes in (estimate).
    """
    if packing is None:
        return logic(weight_width * data_width).scaled(count)
    if packing.count == 1:
        return multiplier(weight_width, data_width, ports).scaled(count)
    multipliers = ceil_div(count, packing.count)
    slices = Resources(dsp=1, ff=ports.wide + data_width).scaled(multipliers)
    return slices + logic(weight_width + 2).scaled(count - multipliers)


def matvec(
    pe: int,
    simd: int,
    depth: int,
    words: int,
    weight_width: int,
    data_width: int,
    acc_width: int,
    packing: Packing | None = UNPACKED,
    kept_sums: int = 0,
    pixels: int = 1,
    ports: Multiplier = DSP48E2,
) -> Resources:
    """Per pixel PE x SIMD products, an adder tree and an accumulator per PE; a weight ROM per PE.

    `depth` is the number of words of SIMD weights in each ROM; the last adder of the tree and
    the accumulator are `acc_width` bits wide, which bounds the others. The `words` of inputs of
    a vector are kept if more than one output fold needs them, or else `kept_sums` in registers.
    """
    sums = logic(simd * acc_width).scaled(pe)
    rom = memory(depth, simd * weight_width) if depth > 1 else Resources()
    multiplied = products(pe, weight_width, data_width, packing, ports).scaled(simd)
    wide = pixels * simd * data_width
    inputs = memory(words, wide) if words < depth and not kept_sums else Resources()
    kept = inputs + Resources(ff=kept_sums * acc_width)
    return (multiplied + sums).scaled(pixels) + rom.scaled(pe) + kept + logic(CONTROL_LUTS)


def depthwise(
    lanes: int,
    words: int,
    channels: int,
    weight_width: int,
    data_width: int,
    acc_width: int,
    ports: Multiplier = DSP48E2,
) -> Resources:
    """A multiplier and an adder per lane, a shift register of sums, a weight ROM of `words`."""
    sums = Resources(ff=channels * acc_width) + logic(lanes * acc_width + CONTROL_LUTS)
    return (
        multiplier(weight_width, data_width, ports).scaled(lanes)
        + sums
        + memory(words, lanes * weight_width)
    )


def ring(depth: int, width: int) -> Resources:
    """What delays words by `depth` steps: a memory that is read and written in every cycle."""
    return Resources(ff=depth * width) if depth < SHORTEST_RING else memory(depth, width)


def window(
    rows: int,
    columns: int,
    delay: int,
    gap: int,
    pixels: int,
    pixel_width: int,
    beats: int,
    beat_width: int,
) -> Resources:
    """A ring of `delay` groups of pixels between two of the rows of taps, and one of `gap` pixels
    between two taps of a row that dilation keeps apart; registers for `columns` of pixels in each
    row, and a multiplexer to one of `beats` of output.
    """
    lines = ring(delay, pixels * pixel_width).scaled(rows - 1)
    gaps = ring(gap, pixel_width).scaled(rows * (columns - 1))
    registers = Resources(ff=rows * columns * pixel_width)
    taken = multiplexer(beats, beat_width)
    return lines + gaps + registers + taken + logic(CONTROL_LUTS)


def lanes(held_width: int, places: int, beat_width: int) -> Resources:
    """Registers for what is held, from one of whose `places` a beat is taken."""
    return Resources(ff=held_width) + multiplexer(places, beat_width) + logic(CONTROL_LUTS)


def reduce(lanes: int, channels: int, acc_width: int) -> Resources:
    """A shift register of partial results and one adder or comparator per lane."""
    return Resources(ff=channels * acc_width) + logic(lanes * acc_width + CONTROL_LUTS)


def interpolate(
    lanes: int,
    words: int,
    channels: int,
    share_widths: tuple[int, int],
    widths: tuple[int, int, int],
    ports: Multiplier = DSP48E2,
) -> Resources:
    """Per lane two times a difference, a multiplier by a share and a sum; `words` beats of rows.

    `widths` are those of pixels, of pixels weighted down and of pixels weighted both ways; two of
    the second kind are kept of each channel.
    """
    products = Resources()
    for share, before, after in zip(share_widths, widths, widths[1:], strict=False):
        products = products + multiplier(share, before + 1, ports) + logic(before + after)
    rows = memory(words, lanes * widths[0]) if words else Resources()
    kept = Resources(ff=2 * channels * widths[1]) + rows
    return products.scaled(lanes) + kept + logic(CONTROL_LUTS)


def tap_sum(
    lanes: int, taps: int, span: int, beats: int, data_width: int, acc_width: int, pixels: int = 1
) -> Resources:
    """`span` pixels of `beats` are kept; each tap of a lane of each of `pixels` outputs is one of
    them or nothing, and added.
    """
    width = lanes * taps * data_width
    choices = multiplexer(span + 1, width)
    adders = logic(lanes * (taps - 1) * acc_width)
    return ring(beats, width).scaled(span) + (choices + adders).scaled(pixels) + logic(CONTROL_LUTS)


def softmax(table_size: int, entry_width: int, out_width: int) -> Resources:
    """The table of exponentials and a pipelined divider of one quotient bit per stage, of which
    each holds a remainder and the divisor."""
    stage = Resources(lut=entry_width + out_width, ff=2 * (entry_width + out_width))
    return memory(table_size, entry_width) + stage.scaled(out_width) + logic(CONTROL_LUTS)


def embedding(words: int, beat_width: int, index_width: int) -> Resources:
    """A ROM of `words`, a comparison of the index, and zeros in place of what is not there."""
    return memory(words, beat_width) + logic(index_width + beat_width + CONTROL_LUTS)


def layer_norm(
    length: int,
    data_width: int,
    spread_width: int,
    table: tuple[int, int],
    ports: Multiplier = DSP48E2,
) -> Resources:
    """Squares, the product of a sum with itself, the root interpolated, and the result's product.

    A row is kept; `spread_width` bits are shifted by any number of places, and so is the result;
    `table` is entries and their bits, of which two are read at once.
    """
    half, (entries, entry) = ceil_div(spread_width, 2), table
    products = [(data_width, data_width), (half, half), (entry, entry), (half, entry)]
    total = memory(length, data_width) + memory(entries, entry) + logic(CONTROL_LUTS)
    for a, b in products:
        total = total + multiplier(a, b, ports)
    return total + logic(2 * spread_width * max((spread_width - 1).bit_length(), 1))


def moving(beat_width: int) -> Resources:
    """A loop that only passes beats on."""
    return Resources(ff=2 * beat_width) + logic(CONTROL_LUTS)


def scalar(
    kind: str, operand_widths: tuple[int, ...], out_width: int, ports: Multiplier = DSP48E2
) -> Resources:
    """One scalar op of an epilogue on operands of these widths."""
    if kind in ("mul", "affine", "leaky_relu", "gate"):
        factor = operand_widths[2 if kind == "gate" else 1]
        product = multiplier(operand_widths[0], factor, ports)
        return product + logic(0 if kind == "mul" else out_width)
    if kind == "constant":
        return Resources()
    return logic(max((out_width, *operand_widths)))


def steps(levels: int, operand_width: int) -> Resources:
    """Thresholds: a comparator each, and the sum of their results."""
    return logic(levels * (operand_width + 1))
