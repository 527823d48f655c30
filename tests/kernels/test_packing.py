"""Several products with one multiplier: every product of small factors, in numpy and in C++."""

from __future__ import annotations

import ctypes
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import calocc.codegen
from calocc.dialects.dataflow.packing import (
    DSP48E1,
    DSP48E2,
    SMALLEST_OPERAND,
    Interval,
    Multiplier,
    Packing,
    packed_bits,
    packing,
    signed_bits,
)
from calocc.dialects.dataflow.resources import Resources, products
from calocc.dialects.fixed.format import Format
from calocc.runtime.gxx import ap_types_dir, compile_shared

KERNELS = Path(calocc.codegen.__path__[0]) / "vitis" / "kernels"
PAIRS = [
    ("fixed<3,3>", "ufixed<6,6>"),
    ("fixed<3,1>", "fixed<3,3>"),
    ("fixed<4,2>", "ufixed<5,1>"),
    ("ufixed<3,1>", "fixed<4,1>"),
    ("ufixed<4,4>", "ufixed<4,2>"),
    ("fixed<6,2>", "fixed<6,1>"),
]
PORTS = [DSP48E1, DSP48E2]


def of_formats(weight: Format, data: Format, ports: Multiplier) -> Packing:
    ends = [(f.min_mantissa, f.max_mantissa) for f in (weight, data)]
    return packing(ends[0], ends[1], ports)


def unpacked(weights: tuple[int, ...], x: np.ndarray, spacing: int) -> list[np.ndarray]:
    """The fields of the one product with the packed weights, each with its carry."""
    result = sum(w << (i * spacing) for i, w in enumerate(weights)) * x
    fields: list[np.ndarray] = []
    for i in range(len(weights)):
        field = (result >> (i * spacing)) & ((1 << spacing) - 1)
        signed = field - ((field >> (spacing - 1)) << spacing)
        fields.append(signed + ((result >> (i * spacing - 1)) & 1 if i else 0))
    return fields


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize(("weight", "data"), PAIRS)
def test_every_product_of_small_factors(weight: str, data: str, ports: Multiplier) -> None:
    w, d = Format.parse(weight), Format.parse(data)
    packed = of_formats(w, d, ports)
    assert packed.count > 1
    x = np.arange(d.min_mantissa, d.max_mantissa + 1)
    values = range(w.min_mantissa, w.max_mantissa + 1)
    for weights in product(values, repeat=min(packed.count, 3)):
        for got, factor in zip(unpacked(weights, x, packed.spacing), weights, strict=True):
            np.testing.assert_array_equal(got, factor * x)


def intervals() -> st.SearchStrategy[Interval]:
    ends = st.integers(-3000, 3000) | st.integers(-40, 40)
    return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


@given(intervals(), intervals(), st.data())
def test_products_of_drawn_factors(w: Interval, d: Interval, data: st.DataObject) -> None:
    packed = packing(w, d)
    assume(packed.count > 1)
    weights = tuple(data.draw(st.integers(*w)) for _ in range(packed.count))
    x = np.array([data.draw(st.integers(*d)), *d])
    for got, factor in zip(unpacked(weights, x, packed.spacing), weights, strict=True):
        np.testing.assert_array_equal(got, factor * x)


@given(intervals(), intervals(), st.sampled_from([DSP48E1, DSP48E2, Multiplier(20, 12)]))
def test_no_more_fit(w: Interval, d: Interval, ports: Multiplier) -> None:
    packed = packing(w, d, ports)
    assert packed.count == 1 or packed_bits(w, packed) <= ports.wide
    if min(signed_bits(*w), signed_bits(*d)) >= SMALLEST_OPERAND:
        if signed_bits(*d) <= ports.narrow:
            assert packed_bits(w, Packing(packed.count + 1, packed.spacing)) > ports.wide
        else:
            assert packed.count == 1


def test_two_bits_of_a_port_can_cost_a_product() -> None:
    """Two weights of 7 bits at a spacing of 19, for data of 13 bits, need 26 bits."""
    weights, data = (-63, 63), (-4096, 4095)
    assert packing(weights, data, DSP48E2) == Packing(2, 19)
    assert packing(weights, data, DSP48E1) == Packing(1, 19)


def test_wide_data_are_not_packed() -> None:
    most = (1 << (DSP48E2.narrow - 1)) - 1
    assert packing((-4, 3), (0, most)).count == 2
    assert packing((-4, 3), (0, most + 1)).count == 1


def test_the_least_weight_can_cost_a_product() -> None:
    """Three weights of -16 to 15 need 28 bits at a spacing of 11, of -15 to 15 they need 27."""
    assert packing((-15, 15), (0, 63)) == Packing(3, 11)
    assert packing((-16, 15), (0, 63)) == Packing(2, 11)


def test_multipliers_are_counted_by_groups() -> None:
    """Eight 4-bit products in threes: three DSPs; five weights take a borrow and give a carry."""
    slices = Resources(dsp=3, ff=3 * (27 + 7))
    expected = slices + Resources(lut=5 * (4 + 2), ff=5 * (4 + 2))
    assert products(8, 4, 7, Packing(3, 10)) == expected


SOURCE = """
// Returns how many of all products of factors in these formats are wrong.
extern "C" long {name}() {{
    typedef ap_{weight} weight_t;
    typedef ap_{data} data_t;
    const unsigned N = {count}, values = 1u << weight_t::width;
    long count = 0;
    unsigned long combinations = 1;
    for (unsigned i = 0; i < N; i++)
        combinations *= values;
    for (unsigned long c = 0; c < combinations; c += {step}) {{
        weight_t w[N];
        for (unsigned i = 0; i < N; i++)
            w[i].range() = ap_uint<weight_t::width>(c >> (i * weight_t::width));
        for (unsigned v = 0; v < 1u << data_t::width; v++) {{
            data_t x;
            x.range() = ap_uint<data_t::width>(v);
            ap_int<{spacing}> fields[N];
            ap_uint<1> carries[N];
            nnet::packed<weight_t, data_t, N, {spacing}, {wide}>::multiply(w, x, fields, carries);
            for (unsigned i = 0; i < N; i++)
                count += int(fields[i]) + int(carries[i]) !=
                         int(nnet::mantissa<weight_t>::of(w[i])) *
                         int(nnet::mantissa<data_t>::of(x));
        }}
    }}
    return count;
}}
"""


def counter(weight: str, data: str, ports: Multiplier) -> str:
    """A function for all combinations where there are up to 2^16, else as many, evenly spread."""
    w, d = Format.parse(weight), Format.parse(data)
    packed = of_formats(w, d, ports)
    step = 1 | (1 << max(w.width * packed.count + d.width - 16, 0)) >> 1
    facts = {"count": packed.count, "spacing": packed.spacing, "wide": ports.wide, "step": step}
    return SOURCE.format(name=name_of(weight, data, ports), weight=w, data=d, **facts)


def name_of(weight: str, data: str, ports: Multiplier) -> str:
    return f"wrong_{PAIRS.index((weight, data))}_{ports.wide}"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """All pairs of formats on all multipliers."""
    directory = tmp_path_factory.mktemp("packing")
    source, output = directory / "packing.cpp", directory / "packing.so"
    parts = [counter(*pair, ports) for pair in PAIRS for ports in PORTS]
    source.write_text("".join(['#include "calocc_packing.h"\n', *parts]))
    options = ["-std=c++11", "-O2", "-Wno-unknown-pragmas", "-isystem", str(ap_types_dir())]
    nnet = str(ap_types_dir().parent / "nnet_utils")
    compile_shared([source], output, [KERNELS], [*options, "-isystem", nnet])
    return ctypes.CDLL(str(output))


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize(("weight", "data"), PAIRS)
def test_the_kernel_computes_every_product(
    weight: str, data: str, ports: Multiplier, library: ctypes.CDLL
) -> None:
    assert library[name_of(weight, data, ports)]() == 0
