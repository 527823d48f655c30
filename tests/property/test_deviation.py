"""Certified bounds of |fixed - real|: never exceeded, and reached where they can be."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from qnn_networks import FLOAT64_NOISE, Network, Reals, float_network, network, run_passes
from xdsl.dialects.builtin import ModuleOp, UnitAttr

from calocc.compiler.calibration.bits import Bits
from calocc.compiler.calibration.formats import Criterion
from calocc.compiler.calibration.insert import quantized
from calocc.compiler.calibration.points import Needs
from calocc.compiler.calibration.request import Request
from calocc.compiler.calibration.search import Calibration
from calocc.compiler.pipeline import NUMERICS
from calocc.compiler.ports import input_ports, output_ports
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.elementwise import SubtractOp
from calocc.dialects.qnn.function import FUNCTIONS, STEEPEST, FunctionOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import QuantizedBits
from calocc.passes.lowering.chain import Chain, Stage
from calocc.passes.lowering.chain_deviation import of_chain
from calocc.passes.lowering.deviation import quantized as cast_deviation
from calocc.passes.lowering.forms import Form, rectified
from calocc.runtime.attack import Attack

SEEDS = st.integers(0, 2**32 - 1)


def check(model: ModuleOp, lowered: ModuleOp, seed: int) -> None:
    """No output is further from the model's than its bound, and what float64 itself rounds."""
    worst = Attack(model, lowered, np.random.default_rng(seed), kept=1).run(128)
    for port, distance in zip(output_ports(lowered), worst, strict=True):
        assert port.bound is not None
        assert distance <= port.bound + FLOAT64_NOISE * (1 + port.bound)


DRAWN = settings(max_examples=40, phases=[Phase.generate])


@given(SEEDS)
@DRAWN
def test_networks_with_quantizers(seed: int) -> None:
    """Batch normalisations feed sums and products without a quantizer between."""
    # Taking the scale out of a product moves the last bit of a float64.
    model = run_passes(network(seed, plain=False, loose=True), "fold-batch-norm,factor-scales")
    lowered = run_passes(model.clone(), NUMERICS)
    check(model, lowered, seed)


@given(SEEDS, st.integers(2, 9), st.sampled_from(Criterion))
@DRAWN
def test_networks_without_quantizers(seed: int, bits: int, criterion: Criterion) -> None:
    """Inserted quantizers count with all that they round and cut off."""
    model = float_network(seed)
    random = np.random.default_rng(seed)
    events = [random.normal(0, 1, (16, *port.shape)) for port in input_ports(model)]
    request = Request.of(None, bits, bits, criterion)
    calibration = Calibration(model, events, request, lambda _: None)
    lowered = run_passes(calibration.quantized(Bits(bits, bits, criterion)), NUMERICS)
    check(model, lowered, seed)


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-2, 2, width=32)), st.integers(2, 6))
@settings(max_examples=20)
def test_the_bound_of_rounded_weights_is_reached(weights: Reals, bits: int) -> None:
    """By inputs that are largest and have the signs of the rounded parts of one output."""
    assume(np.abs(weights).max() > 1e-3)
    net = Network((4,))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedBits(6, 0, alpha=1.0)))
    model = net.module(net.add(DenseOp(x, net.constant(weights))))
    needs = Needs.of(model)
    samples = {k: np.array([-9.0, 9.0]) for k in range(len(needs.points))}
    lowered = run_passes(quantized(model, samples, Bits(bits, 12, Criterion.RANGE)), NUMERICS)
    (distance,) = Attack(model, lowered, np.random.default_rng(0), kept=2).run(512)
    (port,) = output_ports(lowered)
    assert port.bound is not None
    assert port.format is not None
    assert port.bound * 31 / 32 - 3 * port.format.lsb <= distance <= port.bound


def test_what_two_branches_share_cancels() -> None:
    """The same sums of an inserted quantizer's results, subtracted: nothing is left of it."""
    net = Network((4,))
    x = net.add(QuantizeOp.real(net.inputs[0], QuantizedBits(6, 0, alpha=1.0)))
    random = np.random.default_rng(5)
    hidden = net.add(DenseOp(x, net.constant(random.normal(0, 1, (4, 4)))))
    weights = net.constant(random.integers(-3, 4, (4, 3)) / 4)
    kernel = net.add(QuantizeOp.real(weights, QuantizedBits(3, 0, alpha=1.0)))
    branches = [net.add(DenseOp(hidden, kernel)) for _ in range(2)]
    model = net.module(net.add(SubtractOp(branches)))
    calibration = Calibration(model, [random.normal(0, 1, (64, 4))], Request(), lambda _: None)
    lowered = run_passes(calibration.quantized(Bits(4, 6, Criterion.RANGE)), NUMERICS)
    (port,) = output_ports(lowered)
    assert port.bound == 0
    assert Attack(model, lowered, random).run(2048) == [0.0]


def test_equal_numbers_have_equal_values_under_a_function_of_any_slope() -> None:
    """One channel is exact, of the other nothing is known behind the exponential function."""
    net = Network((2,))
    op = FunctionOp("exponential", net.inputs[0])
    quantizer = QuantizedBits(8, 4, alpha=1.0)
    last = QuantizeOp.real(op, quantizer, inserted=UnitAttr())
    bounds = Interval(np.zeros(2, np.int64), np.full(2, 3), 2)
    found = of_chain(Chain((Stage(op, ()),), last, 2), bounds, np.array([0.0, 0.5]), 0)
    values = np.exp(np.arange(4) / 4)
    lost = np.abs(quantizer(values) - values).max()
    assert_array_equal(found, [lost, np.inf])


def test_no_function_is_steeper_than_its_bound() -> None:
    near = np.arange(-(2.0**-8), 2.0**-8, 2.0**-14)
    x = np.union1d(np.arange(-40, 40, 2.0**-8), near)
    for name, slope in STEEPEST.items():
        y = FUNCTIONS[name](x)
        rise = np.abs(np.diff(y)) / np.diff(x)
        # Terms of the size of 1 and of y have been rounded.
        last_digits = np.spacing(1 + np.abs(y[1:]) + np.abs(y[:-1])) / np.diff(x)
        assert (rise - last_digits <= slope).all(), name
        assert slope <= 1.02 * rise.max(), name


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 2), st.floats(-3, 3), st.data())
def test_what_a_rectifier_leaves_of_a_deviation(
    noise: float, term: float, rest: float, x: float, data: st.DataObject
) -> None:
    """A deviation of `term` times what is shared, and at most `rest` besides, of one number."""
    form = Form(np.array([[term]]), np.array([rest]))
    fixed = x + term * noise + data.draw(st.floats(-1, 1)) * rest
    least, most = (np.array([bound(x, fixed)]) for bound in (min, max))
    result = rectified(form, least - 1, most + 1)
    left = max(fixed, 0.0) - max(x, 0.0) - result.terms[0, 0] * noise
    assert abs(left) <= result.rest[0] + FLOAT64_NOISE * 8


def test_a_cast_bounds_what_is_not_known_in_front_of_it() -> None:
    """Also one that wraps, whose results may be its whole range apart for any deviation."""
    deviation = np.array([0.0, 0.2, 1.1, np.inf])
    assert_array_equal(cast_deviation(deviation, lsb=0.5, reach=7.5), [0.0, 0.5, 1.5, 7.5])
    assert_array_equal(cast_deviation(deviation, lsb=np.inf, reach=7.5), [0.0, 7.5, 7.5, 7.5])
