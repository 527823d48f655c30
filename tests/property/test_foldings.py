"""Layouts and foldings: what they count, and that no better folding is left out."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calocc.dialects.dataflow.foldings import Pin, Product, foldings
from calocc.dialects.dataflow.layout import Layout, least_parts

sizes = st.integers(1, 12)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_beats_cover_every_element_once(shape: list[int], data: st.DataObject) -> None:
    *rows, pixels, channels = (1, *shape)
    layout = Layout(data.draw(st.integers(1, channels)), data.draw(st.integers(1, pixels)))
    seen = np.zeros((int(np.prod(rows)), pixels, channels), int)
    beats = 0
    for row in seen:
        for p, c in product(range(0, pixels, layout.pixels), range(0, channels, layout.lanes)):
            row[p : p + layout.pixels, c : c + layout.lanes] += 1
            beats += 1
    assert np.all(seen == 1)
    assert layout.beats(shape) == beats
    assert layout.is_whole(shape) == (layout.beats(shape) * layout.lanes == seen.size)


@given(st.integers(1, 300))
def test_least_parts_are_the_fewest_lanes_for_each_number_of_folds(n: int) -> None:
    fewest: dict[int, int] = {}
    for lanes in range(n, 0, -1):
        fewest[-(-n // lanes)] = lanes
    assert least_parts(n) == tuple(sorted(fewest.values()))


@st.composite
def products(draw: st.DrawFn) -> Product:
    """Any product, with floors that fall with the pixels or without any."""
    rows, width, inputs, outputs = draw(st.integers(1, 3)), *(draw(sizes) for _ in range(3))
    count = len(least_parts(width))
    falls = sorted(draw(st.lists(st.integers(1, 60), min_size=count, max_size=count)), reverse=True)
    floors = draw(st.sampled_from([(), tuple(falls)]))
    widest = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return Product(rows, width, inputs, outputs, widest, draw(st.integers(1, 4)), floors)


def cost_of(p: Product, simd: int, pe: int, pixels: int) -> tuple[int, int]:
    """Cycles and multipliers of a folding."""
    cycles = p.rows * -(-p.width // pixels) * -(-p.inputs // simd) * -(-p.outputs // pe)
    floor = p.floors[least_parts(p.width).index(pixels)] if p.floors else 0
    groups, folds = p.rows * -(-p.width // pixels), -(-p.inputs // simd)
    return max(cycles, floor + groups * (folds - 1)), simd * pixels * -(-pe // p.packed)


@settings(deadline=None)
@given(products())
def test_no_folding_is_better(p: Product) -> None:
    """But one of more pixels than it takes to be as fast."""
    found = foldings(p)
    triples = found.triples(slice(None))
    offered = [cost_of(p, *triple) for triple in triples]
    pairs = zip(found.cycles.tolist(), found.multipliers.tolist(), strict=True)
    assert offered == list(pairs)
    assert offered == sorted(offered, key=lambda pair: (pair[0], -pair[1]))
    listed = least_parts(p.width)
    for simd, pe, pixels in product(range(1, p.inputs + 1), range(1, p.outputs + 1), listed):
        cycles, multipliers = cost_of(p, simd, pe, pixels)
        fewer = [cost_of(p, p.inputs, p.outputs, n)[0] for n in listed if n < pixels]
        narrow = simd * pixels <= p.widest[0] and pe * pixels <= p.widest[1]
        if narrow and cycles < min(fewer, default=cycles + 1):
            assert any(c <= cycles and m <= multipliers for c, m in offered)


@settings(deadline=None)
@given(products(), st.integers(1, 2000))
def test_the_cheapest_within_a_target(p: Product, target: int) -> None:
    found = foldings(p)
    chosen = {cost_of(p, *triple) for triple in found.triples(found.cheapest(target))}
    (best,) = chosen
    everything = [cost_of(p, *triple) for triple in found.triples(slice(None))]
    within = [(m, c) for c, m in everything if c <= target]
    assert best == (min(within)[::-1] if within else min(everything))


@settings(deadline=None)
@given(products(), st.data())
def test_pins_are_kept_though_nothing_divides(p: Product, data: st.DataObject) -> None:
    drawn = [data.draw(st.none() | st.integers(1, n)) for n in (p.inputs, p.outputs, p.width)]
    found = foldings(p, Pin(*drawn)).triples(slice(None))
    assert found
    for pinned, values in zip(drawn, zip(*found, strict=True), strict=True):
        assert pinned is None or set(values) == {pinned}
