"""The compiled emulator against every op's own `evaluate`: the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qnn_networks import as_mantissas, network, run_passes
from test_lowering import inputs_for
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Region

from calocc.compiler.ports import main_function
from calocc.dialects.dataflow.compute import MapOp, MatvecOp
from calocc.dialects.dataflow.process import run_epilogue
from calocc.dialects.fixed import ops
from calocc.dialects.fixed.blob import BlobAttr
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.types import FixedType
from calocc.runtime.emulator import execute
from calocc.runtime.native import plan as plans
from calocc.runtime.native import steps
from calocc.runtime.native.library import library
from calocc.runtime.native.plan import Plan
from calocc.runtime.native.program import NotCompiled, compile_epilogue

CHANNELS = 3


def test_the_library_builds_here() -> None:
    assert library() is not None


# ---- whole networks ----------------------------------------------------------------------------


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), plain=st.booleans(), threads=st.integers(1, 3))
def test_plans_return_the_same_bits(seed: int, plain: bool, threads: int) -> None:
    module = network(seed, plain)
    inputs = inputs_for(module, seed)
    run_passes(module, "fold-batch-norm,factor-scales,hoist-quantize,lower-to-fixed,dce")
    mantissas = as_mantissas(module, inputs)
    for passes in ("partition-streams", "fuse,balance{interval=64}"):
        run_passes(module, passes)
        expected = execute(module, mantissas)
        for got, wanted in zip(Plan.of(module).run(mantissas, threads), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_without_a_compiler_plans_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        return None

    module = network(7)
    inputs = inputs_for(module, 7)
    run_passes(module, "lower-to-fixed,dce,partition-streams,fuse")
    mantissas = as_mantissas(module, inputs)
    monkeypatch.setattr(steps, "library", missing)
    for got, wanted in zip(
        Plan.of(module).run(mantissas, 1), execute(module, mantissas), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


def test_products_and_maps_of_drawn_networks_are_compiled() -> None:
    compiled = [op for seed in range(8) for op in _processes(network(seed)) if steps.compiles(op)]
    assert {MatvecOp, MapOp} <= {type(op) for op in compiled}


def _processes(module: ModuleOp) -> list[MatvecOp | MapOp]:
    run_passes(module, "lower-to-fixed,dce,partition-streams")
    ops_of = main_function(module).body.block.ops
    return [op for op in ops_of if isinstance(op, MatvecOp | MapOp)]


# ---- epilogues ---------------------------------------------------------------------------------


@st.composite
def formats(draw: st.DrawFn, widest: int = 40) -> Format:
    """Signed and unsigned, with binary points left and right of the bits."""
    width = draw(st.integers(2, widest))
    return Format(draw(st.booleans()), width, draw(st.integers(-6, width + 6)))


def through(region: Region, x: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    """Run an epilogue compiled and by `evaluate`."""
    compiled = compile_epilogue(region, CHANNELS)
    got = np.empty_like(x)
    plans.run_program(compiled, [x], got, 1)
    np.testing.assert_array_equal(got, run_epilogue(region, x))


def values(data: st.DataObject, format: Format) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Pixels of mantissas: ends of the range, neighbours of ties, anything."""
    lo, hi = format.min_mantissa, format.max_mantissa
    near = [lo, lo + 1, -1, 0, 1, hi - 1, hi, hi // 2, hi // 2 + 1, lo // 2]
    element = st.integers(lo, hi) | st.sampled_from([v for v in near if lo <= v <= hi])
    rows = data.draw(st.lists(st.lists(element, min_size=CHANNELS, max_size=CHANNELS), min_size=4))
    return np.array(rows, np.int64)


@settings(max_examples=300)
@given(
    source=formats(),
    target=formats(),
    rounding=st.sampled_from(list(Rounding)),
    overflow=st.sampled_from(list(Overflow)),
    data=st.data(),
)
def test_casts(
    source: Format, target: Format, rounding: Rounding, overflow: Overflow, data: st.DataObject
) -> None:
    block = Block(arg_types=[FixedType.of(source)])
    cast = ops.QuantizeOp(block.args[0], target, rounding, overflow)
    block.add_ops([cast, ops.YieldOp(cast)])
    try:
        through(Region(block), values(data, source))
    except NotCompiled:
        assert abs(source.frac - target.frac) + 1 > 30


@settings(max_examples=100)
@given(
    source=formats(12),
    constants=st.lists(st.integers(-40, 40), min_size=6, max_size=6),
    data=st.data(),
)
def test_exact_ops(source: Format, constants: list[int], data: st.DataObject) -> None:
    """x -> leaky(relu'd affine, ...) and comparisons, with constants per channel."""
    block = Block(arg_types=[FixedType.of(source)])
    per_channel = Format(True, 7, 5)
    scale, offset = (
        ops.ConstantOp(BlobAttr.of(np.array(c, np.int64)), per_channel)
        for c in (constants[:3], constants[3:])
    )
    wide = Format(True, 40, 40 - max(source.frac + per_channel.frac, per_channel.frac))
    affine = ops.AffineOp((block.args[0], scale, offset), wide)
    slope = ops.ConstantOp(BlobAttr.of(np.array(3, np.int64)), Format(True, 4, 2))
    steep = Format(True, 48, 48 - wide.frac - 2)
    leaky = ops.LeakyReluOp((affine, slope), steep)
    difference = ops.SubtractOp((leaky, offset), Format(True, 52, 52 - max(steep.frac, 2)))
    greater = ops.MaximumOp((difference, offset), difference.out)
    lesser = ops.MinimumOp((greater, leaky), difference.out)
    block.add_ops(
        [scale, offset, affine, slope, leaky, difference, greater, lesser, ops.YieldOp(lesser)]
    )
    through(Region(block), values(data, source))


@settings(max_examples=60)
@given(
    source=formats(10), rows=st.sampled_from([1, CHANNELS]), seed=st.integers(0, 99), data=st.data()
)
def test_steps(source: Format, rows: int, seed: int, data: st.DataObject) -> None:
    random = np.random.default_rng(seed)
    x = values(data, source)
    span = source.min_mantissa - 1, source.max_mantissa + 2
    thresholds = np.sort(random.integers(*span, (rows, 5)), axis=1)
    block = Block(arg_types=[FixedType.of(source)])
    steps = ops.ThresholdOp(block.args[0], BlobAttr.of(thresholds), -2, Format(True, 4, 4))
    entries = random.integers(-9, 9, (rows, 6) if rows > 1 else 6)
    table = ops.LookupOp(steps, BlobAttr.of(entries), -2, Format(True, 5, 2))
    block.add_ops([steps, table, ops.YieldOp(table)])
    through(Region(block), x)


@settings(max_examples=60)
@given(
    source=formats(12),
    frac=st.integers(-2, 5),
    slope=st.integers(-8, 8),
    data=st.data(),
)
def test_gates(source: Format, frac: int, slope: int, data: st.DataObject) -> None:
    """Thresholds on a finer and on a coarser grid than the operand's."""
    block = Block(arg_types=[FixedType.of(source)])
    thresholds = np.array(data.draw(st.lists(st.integers(-40, 40), min_size=3, max_size=3)))
    threshold = ops.ConstantOp(BlobAttr.of(thresholds), Format(True, 7, 7 - frac))
    factor = ops.ConstantOp(BlobAttr.of(np.array(slope)), Format(True, 5, 3))
    common = max(source.frac, frac)
    gate = ops.GateOp((block.args[0], threshold, factor), Format(True, 40, 38 - common))
    block.add_ops([threshold, factor, gate, ops.YieldOp(gate)])
    through(Region(block), values(data, source))


def test_a_lookup_outside_its_table_is_noticed() -> None:
    block = Block(arg_types=[FixedType.of(Format(True, 4, 4))])
    table = ops.LookupOp(block.args[0], BlobAttr.of(np.arange(3)), 0, Format(True, 5, 5))
    block.add_ops([table, ops.YieldOp(table)])
    compiled, x = compile_epilogue(Region(block), 1), np.array([[7]])
    with pytest.raises(IndexError, match="table"):
        plans.run_program(compiled, [x], np.empty_like(x), 1)
