"""The inputs and outputs of a module: names, shapes, formats, and how a host quantizes.

They live in the argument and result attributes of the one function `main`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FloatAttr,
    ModuleOp,
    StringAttr,
    TensorType,
    f64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.types import FixedType, OverflowAttr, RoundingAttr

_NAME, _ROUNDING, _OVERFLOW = "calocc.name", "calocc.rounding", "calocc.overflow"
_BOUND = "calocc.bound"


@dataclass(frozen=True)
class Port:
    """One input or output.

    `format` is None before lowering. `rounding` and `overflow` say how real inputs become
    mantissas; outputs are exact and leave them at their defaults. `bound` is how far an output can
    be from that of the model in real arithmetic, for any input on the grid of its format; None
    where nothing is certified.
    """

    name: str
    shape: tuple[int, ...]
    format: Format | None = None
    rounding: Rounding = Rounding.RND_CONV
    overflow: Overflow = Overflow.SAT
    bound: float | None = None

    def input_attributes(self) -> DictionaryAttr:
        """The attributes that carry an input on a function."""
        data: dict[str, Attribute] = {_NAME: StringAttr(self.name)}
        if self.format is not None:
            data[_ROUNDING] = RoundingAttr(self.rounding)
            data[_OVERFLOW] = OverflowAttr(self.overflow)
        return DictionaryAttr(data)

    def output_attributes(self) -> DictionaryAttr:
        """The attributes that carry an output on a function."""
        data: dict[str, Attribute] = {_NAME: StringAttr(self.name)}
        if self.bound is not None:
            data[_BOUND] = FloatAttr(self.bound, f64)
        return DictionaryAttr(data)


@dataclass(eq=False)
class NoMain(CaloccError, ValueError):
    """A module that holds no model."""

    @property
    def where(self) -> str:
        return "module"

    @property
    def what(self) -> str:
        return "it has no function @main"

    @property
    def hint(self) -> str:
        return "name the function of the model main"


def main_function(module: ModuleOp) -> FuncOp:
    """The function `main` of a module; raise NoMain if there is none."""
    for op in module.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == "main":
            return op
    raise NoMain


def return_op(function: FuncOp) -> ReturnOp:
    """The terminator of a function."""
    last = function.get_return_op()
    assert last is not None
    return last


def input_ports(module: ModuleOp) -> tuple[Port, ...]:
    """The inputs in argument order."""
    function = main_function(module)
    return _ports(function.function_type.inputs.data, function.arg_attrs, "input")


def output_ports(module: ModuleOp) -> tuple[Port, ...]:
    """The outputs in result order."""
    function = main_function(module)
    return _ports(function.function_type.outputs.data, function.res_attrs, "output")


def set_ports(function: FuncOp, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Write the ports' attributes and renew the function's type."""
    function.arg_attrs = ArrayAttr([p.input_attributes() for p in inputs])
    function.res_attrs = ArrayAttr([p.output_attributes() for p in outputs])
    function.update_function_type()


def replace_body(function: FuncOp, block: Block) -> None:
    """Put a new block in the place of a function's only one."""
    old = function.body.block
    function.body.insert_block(block, 0)
    function.body.detach_block(old)
    old.erase(safe_erase=False)


def _ports(
    types: Sequence[Attribute], attributes: ArrayAttr[DictionaryAttr] | None, default: str
) -> tuple[Port, ...]:
    dictionaries = attributes.data if attributes else [DictionaryAttr({})] * len(types)
    return tuple(
        _port(type, dictionary, f"{default}_{k}")
        for k, (type, dictionary) in enumerate(zip(types, dictionaries, strict=True))
    )


def _port(type: Attribute, dictionary: DictionaryAttr, default: str) -> Port:
    name = dictionary.data.get(_NAME)
    rounding = dictionary.data.get(_ROUNDING)
    overflow = dictionary.data.get(_OVERFLOW)
    bound = dictionary.data.get(_BOUND)
    shape, format = _shape_and_format(type)
    return Port(
        name.data if isinstance(name, StringAttr) else default,
        shape,
        format,
        rounding.data if isinstance(rounding, RoundingAttr) else Rounding.RND_CONV,
        overflow.data if isinstance(overflow, OverflowAttr) else Overflow.SAT,
        cast("FloatAttr[Any]", bound).value.data if isinstance(bound, FloatAttr) else None,
    )


def _shape_and_format(type: Attribute) -> tuple[tuple[int, ...], Format | None]:
    tensor = type.tensor if isinstance(type, StreamType) else type
    if not isinstance(tensor, TensorType):
        raise ValueError(f"a port is a tensor or a stream, not {type}")
    element: Attribute = tensor.element_type  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return tensor.get_shape(), element.format if isinstance(element, FixedType) else None
