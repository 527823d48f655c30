"""Resource estimates against numbers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calocc.dialects.dataflow import resources
from calocc.dialects.dataflow.gearbox import Gearbox
from calocc.dialects.dataflow.layout import Layout
from calocc.dialects.dataflow.packing import DSP48E1
from calocc.dialects.dataflow.resources import Resources

counts = st.integers(0, 1000)
amounts = st.builds(Resources, counts, counts, counts, counts, counts)


@given(amounts, st.integers(0, 20))
def test_scaling_is_repeated_addition(each: Resources, count: int) -> None:
    assert each.scaled(count) == sum([each] * count, Resources())


@given(amounts, amounts)
def test_sums_add_each_kind(a: Resources, b: Resources) -> None:
    total = a + b
    assert total == b + a
    assert (total.dsp, total.bram18, total.uram) == (
        a.dsp + b.dsp,
        a.bram18 + b.bram18,
        a.uram + b.uram,
    )
    assert (total.lut, total.ff) == (a.lut + b.lut, a.ff + b.ff)


@pytest.mark.parametrize(
    ("depth", "width", "blocks"),
    [
        (512, 36, 1),  # exactly one, 512 x 36
        (512, 37, 2),
        (513, 36, 2),  # two of 1K x 18
        (1024, 18, 1),
        (2048, 10, 2),  # a second 2K x 9 for one bit
        (16384, 1, 1),
        (16385, 1, 2),
        (10000, 8, 5),  # 5 levels of 2K x 9; 8 of 16K x 1, 6 of 4K x 4
        (3000, 4, 1),
        (600, 72, 4),  # four of 1K x 18 or 2 x 2 of 512 x 36
    ],
)
def test_block_ram_takes_the_best_aspect_ratio(depth: int, width: int, blocks: int) -> None:
    assert resources.block_ram(depth, width) == blocks


@given(st.integers(1, 40000), st.integers(1, 200))
def test_block_ram_holds_the_bits(depth: int, width: int) -> None:
    assert resources.block_ram(depth, width) * 18 * 1024 >= depth * width


@pytest.mark.parametrize(
    ("depth", "width", "expected"),
    [
        (64, 10, Resources(lut=10, ff=10)),  # 64 x 1 per LUT
        (65, 10, Resources(lut=20, ff=10)),
        (128, 500, Resources(lut=1000, ff=500)),  # shallow: LUTs however wide
        (129, 500, Resources(bram18=14, ff=500)),  # ceil(500 / 36) side by side
        (1024, 8, Resources(lut=128, ff=8)),  # 8 Kibit still fits LUTs
        (1025, 8, Resources(bram18=1, ff=8)),
    ],
)
def test_memory_goes_to_luts_or_blocks(depth: int, width: int, expected: Resources) -> None:
    assert resources.memory(depth, width) == expected


@pytest.mark.parametrize(
    ("depth", "width", "expected"),
    [
        (2, 16, Resources(lut=31, ff=31)),
        (32, 16, Resources(lut=31, ff=31)),  # one shift register LUT per bit up to 32
        (33, 16, Resources(lut=16 + 25, ff=16 + 25)),
        (1024, 36, Resources(bram18=2, lut=25, ff=36 + 25)),
    ],
)
def test_fifo(depth: int, width: int, expected: Resources) -> None:
    assert resources.fifo(depth, width) == expected


@pytest.mark.parametrize(
    ("a", "b", "dsp"),
    [(8, 8, 1), (27, 18, 1), (18, 27, 1), (28, 18, 2), (27, 19, 2), (28, 19, 4), (3, 3, 1)],
)
def test_multipliers_are_tiled_from_27_by_18(a: int, b: int, dsp: int) -> None:
    assert resources.multiplier(a, b) == Resources(dsp=dsp, ff=a + b)


@pytest.mark.parametrize(
    ("a", "b", "dsp"), [(25, 18, 1), (26, 18, 2), (27, 14, 2), (18, 19, 1), (26, 19, 4)]
)
def test_multipliers_of_the_7_series_are_25_by_18(a: int, b: int, dsp: int) -> None:
    assert resources.multiplier(a, b, DSP48E1).dsp == dsp
    assert resources.scalar("mul", (a, b), a + b, DSP48E1).dsp == dsp


@pytest.mark.parametrize(("a", "b", "luts"), [(2, 8, 8), (8, 2, 8), (1, 8, 8)])
def test_tiny_operands_need_no_dsp(a: int, b: int, luts: int) -> None:
    assert resources.multiplier(a, b) == Resources(lut=luts, ff=luts)


def test_matvec_adds_up() -> None:
    """Two PEs of four 6 x 14-bit products, 24-bit sums, 100 words of 24 weight bits each.

    Per PE: 4 DSPs with 20 flip-flops, 96 adder bits, a 100 x 24 LUT ROM (48 LUTs, 24 flip-flops).
    """
    per_pe = Resources(dsp=4, lut=96 + 48, ff=4 * 20 + 96 + 24)
    control = Resources(lut=60, ff=60)
    assert resources.matvec(2, 4, 100, 100, 6, 14, 24) == per_pe.scaled(2) + control


def test_embedding_adds_up() -> None:
    """1000 rows of four 8-bit entries, two per beat: two columns of block RAM 1K x 18 deep."""
    logic = 10 + 16 + 60
    table = Resources(bram18=2, ff=16)
    assert resources.embedding(2000, 16, 10) == table + Resources(lut=logic, ff=logic)


def test_constant_weights_take_no_memory() -> None:
    fixed, folded = (resources.matvec(1, 1, depth, depth, 8, 8, 20) for depth in (1, 2))
    assert (folded.lut - fixed.lut, folded.ff - fixed.ff) == (8, 8)


def test_window_adds_up() -> None:
    """3 x 3 over 56 columns of 16 channels of 8 bits, 16 lanes out.

    Two lines of 56 x 128 bits in LUTs, 9 pixels of registers, a 9:1 multiplexer of 128 bits.
    """
    lines = Resources(lut=2 * 128, ff=2 * 128)
    registers = Resources(ff=9 * 128)
    multiplexer = Resources(lut=128 * 3, ff=128)
    expected = lines + registers + multiplexer + Resources(lut=60, ff=60)
    assert resources.window(3, 3, 56, 0, 1, 128, 9, 128) == expected


def test_a_dilated_window_adds_the_gaps_between_its_taps() -> None:
    """2 x 2 over 100 columns of 4 bits, three rows and nine columns apart.

    A ring of 300 pixels of 4 bits and two of 8 in LUTs; the taps are those of the plain window.
    """
    dilated = resources.window(2, 2, 300, 8, 1, 4, 4, 4)
    plain = resources.window(2, 2, 100, 0, 1, 4, 4, 4)
    assert (dilated.lut - plain.lut, dilated.ff - plain.ff) == (4 * (5 - 2) + 2 * 4, 2 * 4)


@pytest.mark.parametrize(("across", "bits"), [(1, 0), (2, 1 * 4), (8, 7 * 4), (9, 4)])
def test_short_gaps_are_registers(across: int, bits: int) -> None:
    """Seven columns of 4 bits are 28 registers; a ring of eight has one register at its output."""
    dilated = resources.window(1, 2, 100, across - 1, 1, 4, 2, 4)
    assert dilated.ff - resources.window(1, 2, 100, 0, 1, 4, 2, 4).ff == bits


def test_two_pixels_at_once_share_weights() -> None:
    """Multipliers and sums twice, the ROMs once; a kept input is twice as wide."""
    one, two = (resources.matvec(4, 8, 100, 10, 6, 14, 24, pixels=n) for n in (1, 2))
    rom, inputs = resources.memory(100, 8 * 6).scaled(4), resources.memory(10, 8 * 14)
    control = resources.logic(resources.CONTROL_LUTS)
    assert one + one == two + rom + control
    assert two.dsp == 2 * one.dsp
    assert inputs.lut == 8 * 14


def test_a_converter_holds_elements_and_selects_a_beat() -> None:
    """From 4 lanes to 6 of 5 bits: 12 elements, from two places a beat of 30 bits."""
    found = Gearbox((1, 1, 24), Layout(4), Layout(6)).resources(5)
    assert found == Resources(lut=60 + 30, ff=60 + 12 * 5 + 30)


def test_interpolation_adds_up() -> None:
    each = (
        resources.multiplier(3, 9) + resources.logic(8 + 10)
        + resources.multiplier(2, 11) + resources.logic(10 + 11)
    )  # fmt: skip
    one_row, two_rows = (
        resources.interpolate(2, words, 6, share_widths=(3, 2), widths=(8, 10, 11))
        for words in (0, 5000)
    )
    control = resources.logic(resources.CONTROL_LUTS)
    assert one_row == each.scaled(2) + Resources(ff=2 * 6 * 10) + control
    assert two_rows == one_row + resources.memory(5000, 16)


def test_sums_of_taps_add_up() -> None:
    """Two sums of three taps in a beat of 6 x 8 bits, of which four pixels are kept."""
    each = Resources(lut=6 * 8 * 2, ff=6 * 8) + resources.logic(2 * 2 * 11)
    control = resources.logic(resources.CONTROL_LUTS)
    few, many = (
        resources.tap_sum(2, 3, span=4, beats=beats, data_width=8, acc_width=11)
        for beats in (2, 5000)
    )
    assert few == each + Resources(ff=4 * 2 * 48) + control
    assert many == each + resources.memory(5000, 48).scaled(4) + control
    both = resources.tap_sum(2, 3, span=4, beats=2, data_width=8, acc_width=11, pixels=2)
    assert both == few + each


def test_inputs_are_kept_for_later_output_folds() -> None:
    """Ten words of 4 x 14 bits, read again in each of ten output folds, are a memory in LUTs."""
    once, again = (resources.matvec(2, 4, 100, words, 6, 14, 24) for words in (100, 10))
    assert (again.lut - once.lut, again.ff - once.ff) == (4 * 14, 4 * 14)


def test_sums_are_kept_instead_of_inputs() -> None:
    """Twenty sums of 24 bits in registers, and no memory for the inputs."""
    inputs = resources.matvec(2, 4, 100, 10, 6, 14, 24)
    sums = resources.matvec(2, 4, 100, 10, 6, 14, 24, kept_sums=20)
    assert (inputs.lut - sums.lut, sums.ff - inputs.ff) == (4 * 14, 20 * 24 - 4 * 14)
