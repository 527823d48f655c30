"""Drawn networks through the compiler: after every pass they return the same bits."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from qnn_draws import integers
from qnn_networks import (
    CONTEXT,
    Ints,
    Network,
    Reals,
    as_mantissas,
    network,
    run_passes,
    run_reals,
)
from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.parser import Parser

from calocc.compiler.pipeline import NUMERICS
from calocc.compiler.ports import input_ports, main_function
from calocc.compiler.text import module_text
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import QuantizedBits, QuantizedRelu
from calocc.dialects.qnn.windows import Window
from calocc.passes.balance import longest_loop
from calocc.runtime.emulator import execute

EVENTS = 3
SEEDS = st.integers(0, 2**32 - 1)
DRAWN = settings(
    max_examples=40,
    phases=[Phase.generate],
)


def inputs_for(module: ModuleOp, seed: int) -> list[Reals]:
    """Events in and beyond the range of the input quantizers, on and between their grids."""
    random = np.random.default_rng(seed)
    return [
        np.rint(random.normal(0, 3, (EVENTS, *port.shape)) * 16) / 16
        for port in input_ports(module)
    ]


def same(expected: list[Reals] | list[Ints], got: list[Reals] | list[Ints], what: str) -> None:
    """Bit for bit, or a readable difference."""
    assert len(expected) == len(got)
    for k, (a, b) in enumerate(zip(expected, got, strict=True)):
        np.testing.assert_array_equal(b, a, err_msg=f"output {k} after {what}")


def check_text(module: ModuleOp) -> None:
    """The module's text parses back to an equal module."""
    text = module_text(module)
    parsed = Parser(CONTEXT, text).parse_module()
    assert module.is_structurally_equivalent(parsed), text
    assert module_text(parsed) == text


def exact(module: ModuleOp) -> bool:
    """Whether lowering has proved that no point differs from float64."""
    numbers = [
        op.attributes[name]
        for op in module.walk()
        for name in ("differing_points", "rounded_to_bits")
        if name in op.attributes
    ]
    return all(isinstance(n, IntegerAttr) and not n.value.data for n in numbers)


def check_integer_passes(module: ModuleOp, mantissas: list[Ints], interval: int) -> None:
    """From fixed-point layers to balanced processes, nothing changes a bit."""
    expected = execute(module, mantissas)
    layers = ["canonicalize", "cse", "exact-algebra", "narrow-widths", "thresholds"]
    for step in [
        *layers,
        "partition-streams",
        "fuse",
        f"balance{{interval={interval}}}",
        "balance{interval=1}",
        "size-fifos",
        "check-dataflow",
    ]:
        run_passes(module, step)
        same(expected, execute(module, mantissas), f"{step}\n{module}")
        if step in ("narrow-widths", "size-fifos"):
            check_text(module)


@given(SEEDS, st.integers(1, 500))
@DRAWN
def test_plain_networks_are_exact(seed: int, interval: int) -> None:
    module = network(seed)
    x = inputs_for(module, seed)
    expected = run_reals(module, x)
    check_text(module)
    for step in ("fold-batch-norm", "factor-scales", "hoist-quantize", "lower-to-fixed", "dce"):
        run_passes(module, step)
        same(expected, run_reals(module, x), f"{step}\n{module}")
    check_integer_passes(module, as_mantissas(module, x), interval)


@given(SEEDS, st.integers(1, 500))
@DRAWN
def test_networks_with_real_scales(seed: int, interval: int) -> None:
    module = network(seed, plain=False)
    x = inputs_for(module, seed)
    # Taking the scale out of a product moves the last bit of a float64.
    run_passes(module, "fold-batch-norm,factor-scales")
    expected = run_reals(module, x)
    run_passes(module, "hoist-quantize")
    same(expected, run_reals(module, x), f"hoist-quantize\n{module}")
    run_passes(module, "lower-to-fixed,dce")
    if exact(module):
        same(expected, run_reals(module, x), f"lower-to-fixed\n{module}")
    check_integer_passes(module, as_mantissas(module, x), interval)


@given(integers(-20, 20, (3, 2)), st.sampled_from(["auto", "auto_po2"]))
def test_factored_scales_are_the_same_product(weights: Ints, alpha: str) -> None:
    net = Network((3,))
    w = net.add(QuantizeOp.real(net.constant(weights / 7), QuantizedBits(4, alpha=alpha)))
    module = net.module(net.add(DenseOp(net.inputs[0], w)))
    x = [np.arange(12.0).reshape(4, 3) / 8]
    expected = run_reals(module, x)
    run_passes(module, "factor-scales")
    left = [op for op in module.walk() if isinstance(op, QuantizeOp)]
    assert not any(list(op.result.uses) for op in left)
    np.testing.assert_allclose(run_reals(module, x), expected, rtol=1e-13, atol=1e-13)


@given(st.integers(1, 1000))
@settings(max_examples=30)
def test_a_reachable_interval_is_met(interval: int) -> None:
    """A dense layer with 8 inputs and 6 outputs, one vector per event."""
    net = Network((8,))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedRelu(4, 2)))
    w = net.add(QuantizeOp.real(net.constant(np.ones((8, 6)) / 2), QuantizedBits(4, 1, alpha=1.0)))
    module = net.module(net.add(DenseOp(x, w)))
    run_passes(module, "lower-to-fixed,partition-streams,fuse")
    run_passes(module, f"balance{{interval={interval}}}")
    assert longest_loop(main_function(module)) <= interval


def test_padding_never_wins_a_maximum() -> None:
    net = Network((3, 3, 1))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedBits(4, 1, alpha=1.0)))
    module = net.module(net.add(PoolOp(x, Pooling.MAX, Window.same(3, 3, (2, 2), (2, 2)))))
    run_passes(module, "lower-to-fixed,narrow-widths,partition-streams,fuse")
    (y,) = run_reals(module, [np.full((1, 3, 3, 1), -1.25)])
    np.testing.assert_array_equal(y, np.full((1, 2, 2, 1), -1.25))


LAYER_PASSES = ("canonicalize", "cse", "dce", "exact-algebra", "narrow-widths", "thresholds")
PROCESS_PASSES = (
    "canonicalize",
    "cse",
    "dce",
    "fuse",
    "balance{interval=1}",
    "balance{interval=40}",
)


@given(SEEDS, st.booleans(), st.data())
@DRAWN
def test_passes_in_any_order_keep_every_bit(seed: int, plain: bool, data: st.DataObject) -> None:
    """Any of the passes on layers, any number of times, and then any of those on processes."""
    module = run_passes(network(seed, plain=plain, loose=not plain), NUMERICS)
    mantissas = as_mantissas(module, inputs_for(module, seed))
    expected = execute(module, mantissas)
    layers = data.draw(st.lists(st.sampled_from(LAYER_PASSES), max_size=6))
    processes = data.draw(st.lists(st.sampled_from(PROCESS_PASSES), max_size=6))
    order = [*layers, "partition-streams", *processes, "size-fifos", "check-dataflow"]
    for step in order:
        run_passes(module, step)
        same(expected, execute(module, mantissas), f"{step} of {','.join(order)}\n{module}")
