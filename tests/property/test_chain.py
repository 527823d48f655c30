"""Real-valued chains that end in a quantizer: `lower-to-fixed` counts what it does not match.

Every operand that can occur is run through the lowered chain and through float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from qnn_networks import Network, Reals, run_passes, run_reals
from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.ir import Attribute

from calocc.compiler.ports import main_function
from calocc.dialects.fixed.arithmetic import to_real
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.elementwise import AffineOp, LeakyReluOp, ReluOp
from calocc.dialects.qnn.function import FUNCTIONS, FunctionOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.quantizers import (
    QuantizedBits,
    QuantizedHswish,
    QuantizedRelu,
    QuantizedTanh,
    Quantizer,
    Ternary,
)
from calocc.passes.lowering.errors import NeedsQuantizer

CHANNELS = 2
LOWER = "fold-batch-norm,lower-to-fixed,dce"


def reals(lo: float, hi: float) -> st.SearchStrategy[Reals]:
    """One real per channel, as trained weights are: nothing round."""
    numerator = st.integers(int(lo * 997), int(hi * 997))
    many = st.lists(numerator, min_size=CHANNELS, max_size=CHANNELS)
    many |= numerator.map(lambda one: [one] * CHANNELS)
    return many.map(lambda numerators: np.array(numerators, np.float64) / 997)


@st.composite
def sources(draw: st.DrawFn) -> QuantizedBits:
    """What quantizes the input."""
    bits = draw(st.integers(2, 7))
    return QuantizedBits(bits, draw(st.integers(-1, bits)), alpha=1.0)


@st.composite
def targets(draw: st.DrawFn, plain: bool = True) -> Quantizer:
    """What the chain ends in."""
    bits, integer = draw(st.integers(2, 6)), draw(st.integers(-1, 3))
    choices: list[Quantizer] = [
        QuantizedBits(bits, integer, draw(st.booleans()), alpha=1.0),
        QuantizedRelu(bits, integer),
        QuantizedTanh(bits),
    ]
    others: list[Quantizer] = [
        QuantizedTanh(bits, use_real_tanh=True),
        QuantizedHswish(bits, integer, alpha=1.0),
        Ternary(alpha=1.0),
        QuantizedBits(bits, integer, alpha=0.5),
        QuantizedRelu(bits, integer, negative_slope=0.25),
    ]
    return draw(st.sampled_from(choices if plain else others))


@dataclass
class Drawn:
    """A chain: input quantizer, stages, output quantizer."""

    source: QuantizedBits
    stages: list[str]
    target: Quantizer
    parameters: tuple[Reals, Reals, Reals, Reals]
    slope: Reals

    def network(self) -> ModuleOp:
        net = Network((CHANNELS,))
        x = net.add(QuantizeOp.real(net.inputs[0], self.source))
        for stage in self.stages:
            if stage == "batch_norm":
                args = [net.constant(p) for p in self.parameters]
                x = net.add(BatchNormOp(x, args[0], args[1], args[2], args[3], 1e-3, stage))
            elif stage == "affine":
                scale, offset = (net.constant(p) for p in self.parameters[:2])
                x = net.add(AffineOp((x, scale, offset), layer=stage))
            elif stage == "relu":
                x = net.add(ReluOp((x,), layer=stage))
            elif stage == "leaky":
                x = net.add(LeakyReluOp((x, net.constant(self.slope)), layer=stage))
            else:
                x = net.add(FunctionOp(stage, x, stage))
        return net.module(net.add(QuantizeOp.real(x, self.target, "last")))

    def operands(self) -> Reals:
        """All operands of the chain, in every channel: (points, channels)."""
        format = self.source.format
        assert format is not None
        points = to_real(np.arange(format.min_mantissa, format.max_mantissa + 1), format.frac)
        return np.broadcast_to(points[:, None], (len(points), CHANNELS))


@st.composite
def chains(
    draw: st.DrawFn, stages: tuple[str, ...], plain: bool = True, slopes: float = 0.0
) -> Drawn:
    chosen = [s for s in stages if draw(st.booleans())]
    assume(chosen)
    parameters = (draw(reals(-3, 3)), draw(reals(-2, 2)), draw(reals(-2, 2)), draw(reals(0.125, 4)))
    slope = draw(reals(slopes, 1.5))
    return Drawn(draw(sources()), chosen, draw(targets(plain)), parameters, slope)


def attribute(module: ModuleOp, name: str) -> int | None:
    """A number noted on the op that yields the result."""
    results = [op.attributes.get(name) for op in main_function(module).body.block.ops]
    found: list[Attribute] = [r for r in results if r is not None]
    assert len(found) <= 1
    if not found:
        return None
    assert isinstance(found[0], IntegerAttr)
    return found[0].value.data  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def check(drawn: Drawn) -> None:
    """The number of operands with another result is the one that the pass has noted."""
    module = drawn.network()
    x = drawn.operands()
    (expected,) = run_reals(module, [x])
    lowered = run_passes(module, LOWER)
    (result,) = run_reals(lowered, [x])
    differing = int((result != expected).sum())
    noted, points = attribute(lowered, "differing_points"), attribute(lowered, "points")
    text = f"{drawn}\n{lowered}\n{x[(result != expected).any(axis=1)]}"
    if points == x.size:
        assert noted == differing, text
    else:
        # Nothing is noted where all is exact by construction; and layers before the first real
        # constant are, and leave fewer points to the chain behind them.
        assert bool(noted) is (differing > 0), text


@given(chains(("batch_norm", "relu")))
@settings(max_examples=70)
def test_batch_norm_and_relu(drawn: Drawn) -> None:
    check(drawn)


@given(chains(("affine", "leaky", "relu")))
@settings(max_examples=70)
def test_affine_and_leaky_relu(drawn: Drawn) -> None:
    check(drawn)


@given(chains(("batch_norm", "leaky"), slopes=-1.5))
@settings(max_examples=50)
def test_negative_slopes(drawn: Drawn) -> None:
    check(drawn)


def test_points_that_differ_are_counted() -> None:
    """x / 10 is half-way between two results for every tenth x; no binary fraction is.

    There are too many levels for thresholds, so the pass has to leave some points different.
    """
    scale, offset = np.array([0.1, -0.3]), np.zeros(2)
    parameters = (scale, offset, offset, offset)
    source, target = QuantizedBits(13, 12, alpha=1.0), QuantizedBits(12, 11, alpha=1.0)
    drawn = Drawn(source, ["affine"], target, parameters, offset)
    check(drawn)
    noted = attribute(run_passes(drawn.network(), LOWER), "differing_points")
    assert noted is not None
    assert 0 < noted <= 2 * 2**13 / 10 + 2


@given(chains(tuple(FUNCTIONS)))
@settings(max_examples=50)
def test_functions(drawn: Drawn) -> None:
    check(drawn)


@given(chains(("affine", "relu"), plain=False))
@settings(max_examples=50)
def test_quantizers_that_are_no_casts(drawn: Drawn) -> None:
    try:
        check(drawn)
    except NeedsQuantizer:
        # One table serves all channels: those of a function that is not monotone must agree.
        assert not drawn.target.monotone
        (y,) = run_reals(drawn.network(), [drawn.operands()])
        assert (y != y[:, :1]).any()
