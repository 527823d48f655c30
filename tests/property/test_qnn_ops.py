"""`qnn` layers: on fixed-point numbers they are what they are on reals, bit for bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qnn_draws import Ints, argument, bounds_of, integers, on_fixed
from xdsl.ir import Block, SSAValue

from calocc.dialects.fixed.arithmetic import quantize_real, to_real
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.qnn.batch_norm import BatchNormOp
from calocc.dialects.qnn.constant import ConstantOp
from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.depthwise import DepthwiseOp
from calocc.dialects.qnn.elementwise import (
    AddOp,
    AffineOp,
    ExactElementwiseOp,
    GateOp,
    IsZeroOp,
    LeakyReluOp,
    MaximumOp,
    MinimumOp,
    MultiplyOp,
    ReluOp,
    SubtractOp,
)
from calocc.dialects.qnn.embedding import EmbeddingOp
from calocc.dialects.qnn.function import FUNCTIONS, VALLEYS, FunctionOp
from calocc.dialects.qnn.interpolate import InterpolateOp
from calocc.dialects.qnn.layer_norm import (
    LayerNormOp,
    bound_in_lsb,
    integer_layer_norm,
    largest_result,
    reciprocal_roots,
    stated_epsilon,
)
from calocc.dialects.qnn.movement import (
    ConcatOp,
    MovementOp,
    PadOp,
    ReshapeOp,
    TransposeOp,
    UpsampleOp,
)
from calocc.dialects.qnn.op import QnnOp, Shape, fixed_tensor, format_of, real_tensor, shape_of
from calocc.dialects.qnn.pool import Pooling, PoolOp
from calocc.dialects.qnn.quantize import QuantizeOp
from calocc.dialects.qnn.slice import SliceOp
from calocc.dialects.qnn.softmax import SoftmaxOp, integer_softmax
from calocc.dialects.qnn.windows import Padding, Window, exact_matmul
from calocc.testing import formats, tensors

BATCH = 2
SMALL = settings(max_examples=30)


@dataclass
class Case:
    """A layer on reals, its twin on fixed-point numbers, and mantissas for both."""

    real: QnnOp
    fixed: QnnOp
    inputs: list[Ints]

    def check(self) -> None:
        """Both give the same values, within the interval and the format."""
        (result,) = self.fixed.evaluate(*self.inputs)
        reals = [
            to_real(x, format_of(o).frac)
            for x, o in zip(self.inputs, self.fixed.operands, strict=True)
        ]
        (expected,) = self.real.evaluate(*reals)
        assert result.dtype == np.int64
        assert result.shape == (BATCH, *shape_of(self.real.result))
        np.testing.assert_array_equal(to_real(result, self.fixed.out.frac), expected)
        assert self.bounds.holds(self.fixed.out)
        aligned = self.bounds.aligned(self.fixed.out.frac)
        assert aligned.contains(result), (aligned, result)

    @property
    def bounds(self) -> Interval:
        return self.fixed.interval(*(bounds_of(o) for o in self.fixed.operands))

    def check_met(self, *probes: Sequence[Ints]) -> None:
        """The bounds per channel are the least and the greatest result over the probes."""
        results = [self.fixed.evaluate(*probe)[0] for probe in probes]
        shape = shape_of(self.fixed.result)
        bounds = self.bounds.aligned(self.fixed.out.frac).broadcast(shape).collapse()
        channels = np.concatenate([r.reshape(-1, shape[-1]) for r in results])
        np.testing.assert_array_equal(channels.min(axis=0), bounds.lo)
        np.testing.assert_array_equal(channels.max(axis=0), bounds.hi)


@dataclass
class Operand:
    """An operand in the making: fixed-point values, drawn, or constant for good."""

    shape: Shape
    format: Format
    values: Ints
    constant: bool = False

    def fixed(self) -> SSAValue:
        if self.constant:
            return ConstantOp.fixed(self.values, self.format).result
        return argument(self.shape, self.format)

    def real(self) -> SSAValue:
        if self.constant:
            return ConstantOp.real(to_real(self.values, self.format.frac)).result
        return Block(arg_types=[real_tensor(self.shape)]).args[0]

    def filled(self, mantissa: int) -> Ints:
        """All elements alike; constants stay what they are."""
        return self.values if self.constant else np.full_like(self.values, mantissa)

    def corners(self) -> list[Ints]:
        """The least and the greatest value, and 0."""
        if self.constant:
            return [self.values]
        return [self.filled(m) for m in (self.format.min_mantissa, 0, self.format.max_mantissa)]


@st.composite
def operands(draw: st.DrawFn, shape: Shape, constant: bool = False, widest: int = 6) -> Operand:
    format = draw(formats(widest))
    values = draw(tensors(format, shape if constant else (BATCH, *shape)))
    return Operand(shape, format, values, constant)


def case(build: Callable[[list[SSAValue]], QnnOp], given: Sequence[Operand]) -> Case:
    real = build([o.real() for o in given])
    real.verify()
    return Case(real, on_fixed(real, [o.fixed() for o in given]), [o.values for o in given])


ELEMENTWISE: list[tuple[type[ExactElementwiseOp], int]] = [
    (AddOp, 2),
    (SubtractOp, 2),
    (MultiplyOp, 2),
    (MaximumOp, 2),
    (MinimumOp, 2),
    (ReluOp, 1),
    (IsZeroOp, 1),
]


@pytest.mark.parametrize(("kind", "arity"), ELEMENTWISE)
@given(data=st.data())
@SMALL
def test_elementwise(kind: type[ExactElementwiseOp], arity: int, data: st.DataObject) -> None:
    given = [data.draw(operands((3,))) for _ in range(arity)]
    checked = case(kind, given)
    checked.check()
    checked.check_met(*itertools.product(*(o.corners() for o in given)))


@pytest.mark.parametrize(("kind", "constants"), [(AddOp, 1), (AffineOp, 2), (LeakyReluOp, 1)])
@given(data=st.data())
@SMALL
def test_elementwise_with_constants(
    kind: type[ExactElementwiseOp], constants: int, data: st.DataObject
) -> None:
    shape = data.draw(st.sampled_from([(1,), (3,)]))
    x = data.draw(operands((2, 3)))
    given = [x, *(data.draw(operands(shape, constant=True)) for _ in range(constants))]
    checked = case(kind, given)
    checked.check()
    checked.check_met(*itertools.product(*(o.corners() for o in given)))


@given(data=st.data())
@SMALL
def test_gate(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(1,), (3,)]))
    given = [data.draw(operands((2, 3)))]
    given += [data.draw(operands(shape, constant=True)) for _ in range(2)]
    case(GateOp, given).check()


@given(data=st.data())
@SMALL
def test_dense(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(3,), (2, 4), (2, 2, 1)]))
    x = data.draw(operands(shape))
    w = data.draw(operands((shape[-1], data.draw(st.integers(1, 3))), constant=True))
    checked = case(lambda args: DenseOp(args[0], args[1]), [x, w])
    checked.check()
    checked.check_met(*_steepest(x, w.values, shape))


@given(data=st.data())
@SMALL
def test_embedding(data: st.DataObject) -> None:
    """Indices with few bits and many, some of them negative or multiples of 2."""
    shape = data.draw(st.sampled_from([(3,), (2, 2)]))
    width = data.draw(st.integers(1, 4))
    format = Format(data.draw(st.booleans()), width, width + data.draw(st.integers(0, 1)))
    x = Operand(shape, format, data.draw(tensors(format, (BATCH, *shape))))
    w = data.draw(operands((data.draw(st.integers(1, 9)), 2), constant=True))
    checked = case(lambda args: EmbeddingOp(args[0], args[1]), [x, w])
    checked.check()
    everything = range(format.min_mantissa, format.max_mantissa + 1)
    checked.check_met(*([np.full((1, *shape), m), w.values] for m in everything))
    (result,) = checked.fixed.evaluate(x.values, w.values)
    listed: list[list[int]] = w.values.tolist()
    rows = dict(enumerate(listed))
    for index, row in zip(x.values.flat, result.reshape(-1, 2).tolist(), strict=True):
        assert row == rows.get(int(index) << -format.frac, [0, 0])


@given(st.floats(-20, 20))
def test_real_indices_are_cut_to_integers(x: float) -> None:
    table = ConstantOp.real(np.arange(1.0, 13.0)[:, None])
    op = EmbeddingOp(Block(arg_types=[real_tensor((1,))]).args[0], table)
    (result,) = op.evaluate(np.array([[x]]), table.evaluate_real())
    assert result.item() == (int(x) + 1 if 0 <= int(x) < 12 else 0)


def _steepest(x: Operand, kernels: Ints, shape: Shape) -> list[list[Ints]]:
    """For each column of the weights, the operands with the greatest and the least sum."""
    probes: list[list[Ints]] = []
    for column in kernels.reshape(-1, kernels.shape[-1]).T:
        for up in (column > 0, column < 0):
            best = np.where(up, x.format.max_mantissa, x.format.min_mantissa)
            probes.append([np.broadcast_to(best, (1, *shape)), kernels])
    return probes


@st.composite
def windows(draw: st.DrawFn, image: Shape, padded: bool) -> Window:
    size = draw(st.tuples(st.integers(1, image[0]), st.integers(1, image[1])))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    if not padded:
        return Window(*size, strides)
    rows, columns = (st.integers(0, n - 1) for n in size)
    return Window(*size, strides, Padding(draw(rows), draw(rows), draw(columns), draw(columns)))


IMAGES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 2))


@given(data=st.data(), padded=st.booleans())
@SMALL
def test_conv(data: st.DataObject, padded: bool) -> None:
    image = data.draw(IMAGES)
    window = data.draw(windows(image, padded))
    kernel = (window.height, window.width, image[2], data.draw(st.integers(1, 2)))
    x, w = data.draw(operands(image)), data.draw(operands(kernel, constant=True))
    checked = case(lambda args: ConvOp(args[0], args[1], window), [x, w])
    checked.check()
    (result,) = checked.fixed.evaluate(x.values, w.values)
    shift = checked.fixed.out.frac - x.format.frac - w.format.frac
    np.testing.assert_array_equal(result, _naive_conv(x.values, w.values, window) << shift)


def _naive_conv(x: Ints, w: Ints, window: Window) -> Ints:
    """Six loops."""
    rows, columns = window.output_size(*x.shape[1:3])
    result = np.zeros((len(x), rows, columns, w.shape[3]), np.int64)
    for b, i, j, m in np.ndindex(result.shape):
        for k, n, c in np.ndindex(w.shape[:3]):
            row = i * window.strides[0] + k - window.padding.top
            column = j * window.strides[1] + n - window.padding.left
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                result[b, i, j, m] += x[b, row, column, c] * w[k, n, c, m]
    return result


@given(data=st.data(), padded=st.booleans())
@SMALL
def test_depthwise(data: st.DataObject, padded: bool) -> None:
    image = data.draw(IMAGES)
    window = data.draw(windows(image, padded))
    kernel = (window.height, window.width, image[2], data.draw(st.integers(1, 2)))
    x, w = data.draw(operands(image)), data.draw(operands(kernel, constant=True))
    checked = case(lambda args: DepthwiseOp(args[0], args[1], window), [x, w])
    checked.check()
    channels = [
        _naive_conv(x.values[..., [c]], w.values[:, :, [c]], window) for c in range(image[2])
    ]
    shift = checked.fixed.out.frac - x.format.frac - w.format.frac
    (result,) = checked.fixed.evaluate(x.values, w.values)
    np.testing.assert_array_equal(result, np.concatenate(channels, axis=-1) << shift)


def test_sums_beyond_62_bits_are_refused() -> None:
    x = argument((2, 2, 1), Format(True, 60, 60))
    w = ConstantOp.fixed(np.full((2, 2, 1, 1), 2), Format(True, 3, 3))
    for kind in (ConvOp, DepthwiseOp):
        op = kind(x, w, Window(2, 2), fixed_tensor((1, 1, 1), Format(True, 62, 62)))
        with pytest.raises(OverflowError):
            op.interval(bounds_of(x), w.interval())


@given(data=st.data())
@SMALL
def test_bounds_of_an_unpadded_convolution_are_met(data: st.DataObject) -> None:
    image = data.draw(IMAGES)
    window = Window(image[0], image[1])
    x = data.draw(operands(image))
    w = data.draw(operands((*image, 2), constant=True))
    checked = case(lambda args: ConvOp(args[0], args[1], window), [x, w])
    probes = _steepest(x, w.values, (image[0] * image[1] * image[2],))
    checked.check_met(*([p.reshape(1, *image), w.values] for p, _ in probes))


@pytest.mark.parametrize("kind", Pooling)
@given(data=st.data(), padded=st.booleans())
@SMALL
def test_pool(kind: Pooling, data: st.DataObject, padded: bool) -> None:
    image = data.draw(IMAGES)
    window = data.draw(windows(image, padded))
    x = data.draw(operands(image))
    checked = case(lambda args: PoolOp(args[0], kind, window), [x])
    checked.check()
    checked.check_met(*([corner] for corner in x.corners()))
    (result,) = checked.fixed.evaluate(x.values)
    np.testing.assert_array_equal(result, _naive_pool(x.values, kind, window))


@given(data=st.data(), factors=st.tuples(st.integers(1, 5), st.integers(1, 5)))
@SMALL
def test_interpolate(data: st.DataObject, factors: tuple[int, int]) -> None:
    x = data.draw(operands(data.draw(IMAGES)))
    checked = case(lambda args: InterpolateOp(args[0], factors), [x])
    checked.check()
    checked.check_met(*([corner] for corner in x.corners()))
    (result,) = checked.fixed.evaluate(x.values)
    assert isinstance(checked.real, InterpolateOp)
    naive = [
        [_bilinear(image, factors, *place) for place in np.ndindex(result.shape[1:3])]
        for image in x.values
    ]
    expected = np.reshape(naive, result.shape) * checked.real.scale
    np.testing.assert_allclose(result, expected, atol=1e-9)


def _bilinear(image: Ints, factors: tuple[int, int], row: int, column: int) -> list[float]:
    """One pixel, between the middles of its neighbours; beyond the last ones the image is flat."""
    rows, columns = ([k + 0.5 for k in range(n)] for n in image.shape[:2])
    down, across = (row + 0.5) / factors[0], (column + 0.5) / factors[1]
    values: list[float] = []
    for channel in range(image.shape[2]):
        pixels: list[list[int]] = image[..., channel].tolist()
        lines = [float(np.interp(across, columns, line)) for line in pixels]
        values.append(float(np.interp(down, rows, lines)))
    return values


def _naive_pool(x: Ints, kind: Pooling, window: Window) -> Ints:
    """Pixel by pixel."""
    rows, columns = window.output_size(*x.shape[1:3])
    result = np.empty((len(x), rows, columns, x.shape[3]), np.int64)
    for b, i, j, c in np.ndindex(result.shape):
        top = i * window.strides[0] - window.padding.top
        left = j * window.strides[1] - window.padding.left
        seen = [
            int(x[b, row, column, c])
            for row in range(max(top, 0), min(top + window.height, x.shape[1]))
            for column in range(max(left, 0), min(left + window.width, x.shape[2]))
        ]
        result[b, i, j, c] = max(seen) if kind is Pooling.MAX else sum(seen)
    return result


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 5))
def test_same_windows_give_as_many_pixels_as_keras(
    height: int, width: int, size: int, stride: int
) -> None:
    window = Window.same(height, width, (size, size), (stride, stride))
    assert window.output_size(height, width) == (-(-height // stride), -(-width // stride))
    pad = window.padding
    assert 0 <= pad.bottom - pad.top <= 1
    assert 0 <= pad.right - pad.left <= 1


MOVEMENTS: list[tuple[Shape, Callable[[SSAValue], MovementOp], Callable[[Ints], Ints]]] = [
    ((2, 3), lambda x: ReshapeOp(x, (3, 2)), lambda x: np.array(list(x.flat)).reshape(3, 2)),
    ((2, 3), lambda x: TransposeOp(x, (1, 0)), lambda x: np.array(list(zip(*x, strict=True)))),
    (
        (2, 1, 3),
        lambda x: TransposeOp(x, (2, 0, 1)),
        lambda x: np.array([[[x[i, j, c] for j in range(1)] for i in range(2)] for c in range(3)]),
    ),
    (
        (1, 2, 1),
        lambda x: PadOp(x, Padding(0, 1, 2, 0)),
        lambda x: np.array([[[0], [0], x[0, 0], x[0, 1]], [[0]] * 4]),
    ),
    ((2, 3), lambda x: SliceOp(x, 1, 1, 3), lambda x: np.array([[a[1], a[2]] for a in x])),
    ((3, 2), lambda x: SliceOp(x, 0, 1, 2), lambda x: np.array([x[1]])),
    (
        (1, 2, 1),
        lambda x: UpsampleOp(x, (2, 3)),
        lambda x: np.array([[x[0, j // 3] for j in range(6)] for _ in range(2)]),
    ),
]


@pytest.mark.parametrize(("shape", "build", "naive"), MOVEMENTS)
@given(data=st.data())
@SMALL
def test_movement(
    shape: Shape,
    build: Callable[[SSAValue], MovementOp],
    naive: Callable[[Ints], Ints],
    data: st.DataObject,
) -> None:
    x = data.draw(operands(shape))
    real = build(x.real())
    real.verify()
    checked = Case(real, build(x.fixed()), [x.values])
    checked.fixed.verify()
    checked.check()
    checked.check_met(*([corner] for corner in x.corners()))
    (result,) = checked.fixed.evaluate(x.values)
    np.testing.assert_array_equal(result, [naive(event) for event in x.values])


@given(data=st.data(), axis=st.integers(0, 2))
@SMALL
def test_concat(data: st.DataObject, axis: int) -> None:
    shapes = [
        tuple(n if k == axis else 2 for k in range(3))
        for n in data.draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))
    ]
    given = [data.draw(operands(shape)) for shape in shapes]
    checked = case(lambda args: ConcatOp(args, axis), given)
    checked.check()
    checked.check_met(*(list(p) for p in zip(*(o.corners() for o in given), strict=True)))


@given(data=st.data(), source=formats(), to=formats())
@settings(max_examples=200)
def test_cast(data: st.DataObject, source: Format, to: Format) -> None:
    rounding = data.draw(st.sampled_from(Rounding))
    overflow = data.draw(st.sampled_from(Overflow))
    count = source.max_mantissa - source.min_mantissa + 1
    op = QuantizeOp.fixed(argument((count,), source), to, rounding, overflow)
    op.verify()
    everything = np.arange(source.min_mantissa, source.max_mantissa + 1)[None]
    (result,) = op.evaluate(everything)
    expected = quantize_real(to_real(everything, source.frac), to, rounding, overflow)
    np.testing.assert_array_equal(result, expected)
    bounds = op.interval(bounds_of(op.x))
    assert bounds.frac == to.frac
    assert bounds.contains(result)
    if overflow in (Overflow.SAT, Overflow.SAT_SYM):
        assert (bounds.lo.min(), bounds.hi.max()) == (result.min(), result.max())


@given(
    x=integers(-300, 300, (3, 4)),
    frac=st.integers(0, 6),
    out=st.builds(Format, st.just(False), st.integers(2, 16), st.integers(-1, 1)),
)
def test_integer_softmax(x: Ints, frac: int, out: Format) -> None:
    table = np.rint(np.exp(-np.arange(400) * 2.0**-frac) * 2**18).astype(np.int64)
    result = integer_softmax(x, table, out)
    for row, got in zip(x.tolist(), result.tolist(), strict=True):
        weights = [int(table[min(max(row) - v, 399)]) for v in row]
        exact = [Fraction(w, sum(weights)) * 2**out.frac for w in weights]
        assert all(abs(g - min(e, out.max_mantissa)) <= 1 for g, e in zip(got, exact, strict=True))


@given(x=integers(-100, 100, (BATCH, 5)))
def test_softmax_op(x: Ints) -> None:
    table = np.rint(np.exp(-np.arange(201) / 16) * 2**18).astype(np.int64)
    source, out = Format(True, 8, 4), Format(False, 16, 0)
    op = SoftmaxOp(argument((5,), source), table, fixed_tensor((5,), out))
    op.verify()
    (result,) = op.evaluate(x)
    real = SoftmaxOp(Block(arg_types=[real_tensor((5,))]).args[0])
    (expected,) = real.evaluate(to_real(x, source.frac))
    np.testing.assert_allclose(to_real(result, 16), expected, atol=2.0**-14)
    assert op.interval(bounds_of(op.x)).contains(result)


@st.composite
def layer_norms(draw: st.DrawFn) -> tuple[LayerNormOp, LayerNormOp, Ints]:
    """The recipe, the function, and rows of which some have hardly any spread."""
    x, length = draw(formats(16)), draw(st.integers(1, 9))
    epsilon = draw(st.sampled_from([1e-12, 1e-6, 1e-3, 0.3, 50.0]))
    limit = largest_result(length, frac := draw(st.integers(0, 20)))
    result = fixed_tensor((length,), Format.holding(-limit, limit, frac))
    fixed = LayerNormOp.fixed(argument((length,), x), *stated_epsilon(epsilon, x, length), result)
    real = LayerNormOp.real(Block(arg_types=[real_tensor((length,))]).args[0], epsilon)
    around = draw(st.integers(x.min_mantissa, x.max_mantissa))
    near = integers(max(around - 2, x.min_mantissa), min(around + 2, x.max_mantissa), (2, length))
    return fixed, real, np.concatenate([draw(tensors(x, (2, length))), draw(near)])


@given(layer_norms())
@settings(max_examples=300)
def test_layer_norm_is_within_its_bound(drawn: tuple[LayerNormOp, LayerNormOp, Ints]) -> None:
    fixed, real, x = drawn
    fixed.verify()
    real.verify()
    (result,) = fixed.evaluate(x)
    (expected,) = real.evaluate(to_real(x, format_of(fixed.x).frac))
    error = np.abs(result - expected * 2.0**fixed.out.frac)
    assert error.max() <= bound_in_lsb(fixed.length, fixed.out.frac)
    assert fixed.interval(bounds_of(fixed.x)).contains(result)


@pytest.mark.parametrize("length", [2, 16, 256])
def test_the_bound_of_layer_norm_is_within_twice_the_largest_error(length: int) -> None:
    source = Format(True, 10, 4)
    x = np.zeros((512, length), np.int64)
    x[:, 0] = np.arange(512)  # a single element differs: the largest result of a row
    offset, frac = stated_epsilon(1e-3, source, length)
    out = Format(True, 30, 12)
    result = integer_layer_norm(x, frac - source.frac, offset, out)
    reals = to_real(x, source.frac)
    centred = reals - reals.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt(reals.var(axis=1, keepdims=True) + 1e-3)
    worst = np.abs(result - expected * 2.0**out.frac).max()
    assert worst <= bound_in_lsb(length, out.frac) <= 2 * worst


def test_roots_fall_from_one_to_a_half() -> None:
    """Strictly, since the kernel's differences are unsigned, and in steps of 2^-10 at most."""
    table = reciprocal_roots()
    assert (table[0], table[-1]) == (1 << 17, 1 << 16)
    falls = table[:-1] - table[1:]
    assert 0 < falls.min() <= falls.max() <= 1 << 7


@given(
    x=integers(-50, 50, (BATCH, 3)),
    parameters=st.tuples(*(integers(-9, 9, (3,)) for _ in range(3))),
    variance=integers(1, 9, (3,)),
)
def test_batch_norm(x: Ints, parameters: tuple[Ints, Ints, Ints], variance: Ints) -> None:
    gamma, beta, mean = (p / 4 for p in parameters)
    a, b, c, d = (ConstantOp.real(p) for p in (gamma, beta, mean, variance / 2))
    op = BatchNormOp(Block(arg_types=[real_tensor((3,))]).args[0], a, b, c, d, 1e-3)
    op.verify()
    (result,) = op.evaluate(x / 8, gamma, beta, mean, variance / 2)
    expected = gamma * (x / 8 - mean) / np.sqrt(variance / 2 + 1e-3) + beta
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("sigmoid", np.log(3.0), 0.75),
        ("tanh", np.log(2.0), 0.6),
        ("hard_sigmoid", 1.0, 0.7),
        ("softplus", 0.0, np.log(2.0)),
        ("softsign", -3.0, -0.75),
        ("hard_silu", 1.0, 2 / 3),
        ("log_sigmoid", 0.0, -np.log(2.0)),
        ("mu_law", -1 / 255, -1 / 8),
    ],
)
def test_functions(name: str, at: float, value: float) -> None:
    op = FunctionOp(name, Block(arg_types=[real_tensor((1,))]).args[0])
    op.verify()
    (result,) = op.evaluate(np.array([[at]]))
    np.testing.assert_allclose(result, [[value]], rtol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_never_overflow_and_fall_only_where_they_say_so(name: str) -> None:
    x = np.concatenate([np.linspace(-20, 20, 4001), [-1e4, 1e4]])
    x.sort()
    with np.errstate(over="raise", invalid="raise"):
        y: NDArray[np.float64] = FUNCTIONS[name](x)
    assert (np.diff(y) >= 0).all() == (name not in VALLEYS)


@given(data=st.data(), bits=st.sampled_from([4, 12, 24, 29]))
def test_exact_matmul(data: st.DataObject, bits: int) -> None:
    top = 1 << bits
    x = data.draw(integers(-top, top, (2, 3, 4)))
    w = data.draw(integers(-top, top, (4, 2)))
    expected = x.astype(object) @ w.astype(object)
    np.testing.assert_array_equal(exact_matmul(x, w), expected.astype(np.int64))
