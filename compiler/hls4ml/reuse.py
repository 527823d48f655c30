"""hls4ml's reuse factor, how often a multiplier is used for one vector of inputs, as a folding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xdsl.dialects.builtin import ModuleOp

from calocc.dialects.qnn.conv import ConvOp
from calocc.dialects.qnn.dense import DenseOp
from calocc.dialects.qnn.op import shape_of


def folding_for(inputs: int, outputs: int, reuse: int) -> tuple[int, int]:
    """PE and SIMD with which a product of `inputs` x `outputs` uses each multiplier `reuse` times.

    `inputs / simd * outputs / pe` comes as near to `reuse` as divisors allow, from below where two
    are equally near. As in hls4ml, inputs are taken one after the other before outputs are.
    """
    candidates = ((pe, simd) for pe in _divisors(outputs) for simd in _divisors(inputs))

    def distance(folding: tuple[int, int]) -> tuple[int, int, int]:
        pe, simd = folding
        folds = (inputs // simd) * (outputs // pe)
        return abs(folds - reuse), folds, -pe

    return min(candidates, key=distance)


def _divisors(number: int) -> Iterator[int]:
    return (d for d in range(1, number + 1) if number % d == 0)


def matrices(module: ModuleOp) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of the matrix of each dense layer and convolution, by layer."""
    sizes: dict[str, tuple[int, int]] = {}
    for op in module.walk():
        if isinstance(op, DenseOp | ConvOp):
            *taps, outputs = shape_of(op.w)
            inputs = 1
            for n in taps:
                inputs *= n
            sizes[op.layer_name] = inputs, outputs
    return sizes


def pins_for(module: ModuleOp, reuse: Mapping[str, int]) -> tuple[str, ...]:
    """The foldings of layers with a reuse factor, as settings of `--set`; others have no matrix."""
    pins: list[str] = []
    for layer, (inputs, outputs) in matrices(module).items():
        if layer in reuse:
            pe, simd = folding_for(inputs, outputs, reuse[layer])
            pins += [f"{layer}.pe={pe}", f"{layer}.simd={simd}"]
    return tuple(pins)
