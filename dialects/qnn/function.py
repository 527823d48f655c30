"""`qnn.function`: a real function of one number; lowering stores it as steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from xdsl.dialects.builtin import StringAttr, TensorType
from xdsl.irdl import base, irdl_op_definition, operand_def, prop_def
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.qnn.op import (
    QnnOp,
    Reals,
    Shape,
    Value,
    name_attr,
    real_tensor,
    shape_of,
)


def _sigmoid(x: Reals) -> Reals:
    # exp of a non-positive number never overflows.
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _gelu(x: Reals) -> Reals:
    return 0.5 * x * (1 + _ERF(x / np.sqrt(2)))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al., Self-Normalizing Neural Networks (2017), as Keras rounds them."""


def _exponential(x: Reals) -> Reals:
    # No format reaches as far as the greatest float64.
    return np.exp(np.minimum(x, 709))


def _elu(x: Reals) -> Reals:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: Reals) -> Reals:
    return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0)))


MU = 255.0
"""The parameter of mu-law companding in ITU-T G.711, and the default of quantized_ulaw."""

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": _exponential,
    "elu": _elu,
    "selu": _selu,
    "swish": lambda x: x * _sigmoid(x),
    "gelu": _gelu,
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "log_sigmoid": lambda x: -np.logaddexp(-x, 0),
    "mu_law": lambda x: np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU),
}
"""The Keras activations by name, and the curve of mu-law companding."""

VALLEYS = frozenset(["swish", "gelu", "mish", "hard_silu"])
"""Those that fall before they rise; all others never fall."""

STEEPEST = {
    **{"sigmoid": 0.25, "hard_sigmoid": 0.2, "tanh": 1.0, "softplus": 1.0, "softsign": 1.0},
    **{"elu": 1.0, "selu": 1.759, "swish": 1.1, "gelu": 1.13, "mish": 1.09},
    **{"hard_silu": 1.5, "log_sigmoid": 1.0, "mu_law": 45.99},
}
"""Upper bounds of the absolute slopes of functions; what is not here has no bound."""


@irdl_op_definition
class FunctionOp(QnnOp):
    """A real function of each element."""

    name = "qnn.function"
    x = operand_def(base(TensorType))
    kind = prop_def(StringAttr)
    assembly_format = "$kind $x attr-dict `:` functional-type(operands, results)"

    def __init__(self, kind: str, x: Value, layer: str = ""):
        super().__init__(
            operands=[x],
            properties={"kind": StringAttr(kind), "layer": name_attr(layer)},
            result_types=[real_tensor(shape_of(x))],
        )

    @property
    def monotone(self) -> bool:
        """Whether the function never falls."""
        return self.kind.data not in VALLEYS

    def verify_(self) -> None:
        """Reals only, and the function is known."""
        super().verify_()
        self.require_reals()
        if self.kind.data not in FUNCTIONS:
            raise VerifyException(f"unknown function {self.kind.data!r}")

    def infer_shape(self, *shapes: Shape) -> Shape:
        """The operand's shape."""
        return shapes[0]

    def evaluate_real(self, *args: Reals) -> Reals:
        """The function in float64."""
        return FUNCTIONS[self.kind.data](args[0])
