"""Hypothesis strategies for what calocc works on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from hypothesis.vendor import pretty
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.pipeline import NUMERICS
from calocc.dialects.fixed.format import Format
from calocc.runtime.fuzzing.draw import draw_model
from calocc.runtime.fuzzing.folding import fold_at_random
from calocc.runtime.fuzzing.models import Drawn
from calocc.runtime.fuzzing.source import Source
from calocc.runtime.fuzzing.trial import run_passes

Ints = NDArray[np.int64]


def _print_module(module: ModuleOp, printer: pretty.RepresentationPrinter, cycle: bool) -> None:
    """The text of a module; hypothesis would follow all references from op to op."""
    printer.text(str(module))


pretty.for_type_by_name(ModuleOp.__module__, ModuleOp.__name__, _print_module)


class DrawSource(Source):
    """Decisions from hypothesis, which shrinks them one by one."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integer(self, lo: int, hi: int) -> int:
        """Hypothesis likes the ends."""
        return self._draw(st.integers(lo, hi))


@st.composite
def formats(draw: st.DrawFn, widest: int = 6) -> Format:
    """Formats of up to so many bits, with integer bits below 0 and above the width among them."""
    width = draw(st.integers(1, widest))
    return Format(draw(st.booleans()), width, draw(st.integers(-2, width + 2)))


def tensors(format: Format, shape: tuple[int, ...]) -> st.SearchStrategy[Ints]:
    """Mantissas (int64) of a format; hypothesis likes their extremes and 0."""
    elements = st.integers(format.min_mantissa, format.max_mantissa)
    return npst.arrays(np.int64, shape, elements=elements, fill=st.nothing())


@st.composite
def models(draw: st.DrawFn, layers: int = 4, classes: Sequence[str] | None = None) -> Drawn:
    """Keras models of up to about so many layers, of these classes (default: all known ones).

    `Drawn.write` makes a `.h5` file of one, `Drawn.module` a `qnn` module on reals.
    """
    return draw_model(DrawSource(draw), layers, classes)


@st.composite
def qnn_modules(
    draw: st.DrawFn,
    layers: int = 4,
    classes: Sequence[str] | None = None,
    fixed: bool = True,
) -> ModuleOp:
    """`qnn` modules of drawn models: lowered to fixed-point numbers, or on reals."""
    module = draw(models(layers, classes)).module()
    try:
        return run_passes(module, NUMERICS) if fixed else module
    except CaloccError:  # a function without a quantizer, and the like
        assume(False)
        raise


@st.composite
def foldings(draw: st.DrawFn, module: ModuleOp) -> ModuleOp:
    """Copies of a dataflow module with any lanes, pixels, PE and SIMD that are legal."""
    copy = module.clone()
    fold_at_random(copy, DrawSource(draw))
    return copy
