"""Between a user's arrays and the mantissas that a design works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ports import Port
from calocc.dialects.fixed.arithmetic import quantize_real, to_real

Inputs = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]


@dataclass(eq=False)
class BadInput(CaloccError):
    """Arrays that do not fit the inputs of a design."""

    name: str
    problem: str
    expected: str

    @property
    def where(self) -> str:
        return f"input {self.name!r}"

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return self.expected


def arrays_for(ports: Sequence[Port], x: Inputs) -> list[NDArray[np.float64]]:
    """One float64 array (events, *shape) per port, from an array, a list or a dictionary.

    Raise BadInput for a missing name, a wrong shape, a wrong kind of number or NaN.
    """
    given = [np.asarray(value) for value in _in_order(ports, x)]
    for port, array in zip(ports, given, strict=True):
        if (misfit := misfit_of(port, array)) is not None:
            shape = ", ".join(map(str, ("events", *port.shape)))
            raise BadInput(port.name, f"its array {misfit}", f"give numbers of the shape ({shape})")
    if (counts := different_counts(ports, given)) is not None:
        problem = f"inputs have different numbers of events ({counts})"
        raise BadInput(ports[0].name, problem, "give as many events for every input")
    return [array.astype(np.float64) for array in given]


def misfit_of(port: Port, array: NDArray[Any]) -> str | None:
    """What an array has or holds that does not fit an input; None for numbers (events, *shape)."""
    if array.dtype.kind not in "fiub":
        return f"holds {array.dtype}, not numbers"
    if array.shape[1:] != port.shape or array.ndim != len(port.shape) + 1:
        expected = ", ".join(map(str, ("events", *port.shape)))
        return f"has the shape {array.shape}, not ({expected})"
    return None if np.isfinite(array).all() else "holds NaN or infinite values"


def different_counts(ports: Sequence[Port], arrays: Sequence[NDArray[Any]]) -> str | None:
    """The numbers of events by input; None if they are equal."""
    if len({len(array) for array in arrays}) == 1:
        return None
    return ", ".join(f"{p.name}: {len(a)}" for p, a in zip(ports, arrays, strict=True))


def _in_order(ports: Sequence[Port], x: Inputs) -> list[ArrayLike]:
    names = [p.name for p in ports]
    wanted = f"the inputs are {', '.join(names)}"
    if isinstance(x, Mapping):
        for name in names:
            if name not in x:
                raise BadInput(name, "no array is given for it", wanted)
        return [x[name] for name in names]
    values = list(cast(Sequence[ArrayLike], x)) if isinstance(x, list | tuple) else []
    if len(ports) == 1 and not _is_single_array(values, ports[0]):
        return [cast(ArrayLike, x)]
    if len(values) != len(ports):
        raise BadInput(names[0], f"{len(names)} arrays are needed", wanted)
    return values


def _is_single_array(x: Sequence[Any], port: Port) -> bool:
    """Whether a list holds one array for the only input, rather than being that array."""
    return len(x) == 1 and np.ndim(x[0]) == len(port.shape) + 1


def to_mantissas(port: Port, x: NDArray[np.float64]) -> NDArray[np.int64]:
    """Quantize as the model's input quantizer does."""
    assert port.format is not None
    return quantize_real(x, port.format, port.rounding, port.overflow)


def to_reals(port: Port, mantissas: NDArray[np.int64]) -> NDArray[np.float64]:
    """The values of an output's mantissas; exact up to 53 bits."""
    assert port.format is not None
    return to_real(mantissas, port.format.frac)
