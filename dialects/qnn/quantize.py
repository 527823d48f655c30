"""`qnn.quantize`: the only op that loses bits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from xdsl.dialects.builtin import StringAttr, TensorType, UnitAttr
from xdsl.interfaces import HasCanonicalizationPatternsInterface
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue
from xdsl.irdl import (
    base,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
)
from xdsl.parser import AttrParser
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from calocc.dialects.fixed import ops as scalar
from calocc.dialects.fixed.arithmetic import quantize
from calocc.dialects.fixed.format import Format, Overflow, Rounding
from calocc.dialects.fixed.interval import Interval
from calocc.dialects.fixed.types import OverflowAttr, RoundingAttr
from calocc.dialects.qnn.elementwise import ElementwiseOp, ReluOp
from calocc.dialects.qnn.hls_table import SIGNATURE, HlsTable
from calocc.dialects.qnn.op import (
    Mantissas,
    Reals,
    Value,
    fixed_tensor,
    format_of,
    is_fixed,
    name_attr,
    real_tensor,
    shape_of,
)
from calocc.dialects.qnn.quantizers import Quantizer, parse

_OTHERS = {HlsTable.NAME: SIGNATURE}
"""Quantizers that only models of hls4ml have."""


@irdl_attr_definition
class QuantizerAttr(ParametrizedAttribute):
    """`#qnn.quantizer<"quantized_bits(6,1,alpha=1.0)">`: a quantizer of QKeras or hls4ml in
    closed form."""

    name = "qnn.quantizer"
    text: StringAttr

    @staticmethod
    def of(quantizer: Quantizer) -> QuantizerAttr:
        """The attribute that names this quantizer."""
        return _named(str(quantizer))

    @property
    def quantizer(self) -> Quantizer:
        """The closed form."""
        return parse(self.text.data, _OTHERS)

    def verify(self) -> None:
        """The text names a quantizer that is known."""
        try:
            parse(self.text.data, _OTHERS)
        except ValueError as error:
            raise VerifyException(str(error)) from error

    def print_parameters(self, printer: Printer) -> None:
        """Print `<"...">`."""
        with printer.in_angle_brackets():
            printer.print_string_literal(self.text.data)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        """Parse what `print_parameters` prints."""
        with parser.in_angle_brackets():
            return (StringAttr(parser.parse_str_literal()),)


@lru_cache(maxsize=1024)
def _named(quantizer: str) -> QuantizerAttr:
    return QuantizerAttr(StringAttr(quantizer))


@irdl_op_definition
class QuantizeOp(HasCanonicalizationPatternsInterface, ElementwiseOp):
    """On reals a QKeras quantizer; on fixed-point numbers a cast with rounding and overflow.

    `inserted` marks quantizers that the model does not have: what they round counts in bounds of
    how far results are from the model's.

    ```mlir
    %y = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_relu(6,1)">} : ...
    %y = qnn.quantize %x {rounding = #fixed<rounding trn>, overflow = #fixed<overflow sat>} : ...
    ```
    """

    name = "qnn.quantize"
    x = operand_def(base(TensorType))
    quantizer = opt_prop_def(QuantizerAttr)
    rounding = opt_prop_def(RoundingAttr)
    overflow = opt_prop_def(OverflowAttr)
    inserted = opt_prop_def(UnitAttr)
    assembly_format = "$x attr-dict `:` functional-type(operands, results)"

    @classmethod
    def get_canonicalization_patterns(cls) -> tuple[RewritePattern, ...]:
        """Casts that change nothing, and rectifiers whose work a cast does anyway."""
        return (DropIdentityCast(), DropRelu())

    @staticmethod
    def real(
        x: Value, quantizer: Quantizer, layer: str = "", inserted: UnitAttr | None = None
    ) -> QuantizeOp:
        """Apply a QKeras quantizer to a tensor of reals."""
        return QuantizeOp(
            operands=[x],
            properties={
                "quantizer": QuantizerAttr.of(quantizer),
                "layer": name_attr(layer),
                "inserted": inserted,
            },
            result_types=[real_tensor(shape_of(x))],
        )

    @staticmethod
    def fixed(
        x: Value, out: Format, rounding: Rounding, overflow: Overflow, layer: str = ""
    ) -> QuantizeOp:
        """Cast a fixed-point tensor to another format."""
        return QuantizeOp(
            operands=[x],
            properties={
                "rounding": RoundingAttr(rounding),
                "overflow": OverflowAttr(overflow),
                "layer": name_attr(layer),
            },
            result_types=[fixed_tensor(shape_of(x), out)],
        )

    @property
    def modes(self) -> tuple[Rounding, Overflow]:
        """Rounding and overflow of a cast between fixed-point formats."""
        assert self.rounding is not None
        assert self.overflow is not None
        return self.rounding.data, self.overflow.data

    def verify_(self) -> None:
        """Exactly the properties of the domain are there."""
        super().verify_()
        has = (self.quantizer is not None, self.rounding is not None, self.overflow is not None)
        wanted = (False, True, True) if is_fixed(self.result) else (True, False, False)
        if has != wanted or is_fixed(self.x) != is_fixed(self.result):
            raise VerifyException(
                "reals take a quantizer, fixed-point numbers take rounding and overflow"
            )

    def scalar(self, args: Sequence[SSAValue], out: Format) -> scalar.ScalarOp:
        """The scalar cast."""
        return scalar.QuantizeOp(args[0], out, *self.modes)

    def evaluate_real(self, *args: Reals) -> Reals:
        """The closed form of the QKeras quantizer."""
        assert self.quantizer is not None
        return self.quantizer.quantizer(args[0])

    def evaluate_fixed(self, *args: Mantissas) -> Mantissas:
        """Round and saturate or wrap."""
        return quantize(args[0], format_of(self.x).frac, self.out, *self.modes)

    def interval(self, *args: Interval) -> Interval:
        """Casts that saturate are monotone."""
        return args[0].quantize(self.out, *self.modes)


def common_quantizer(value: SSAValue) -> Quantizer | None:
    """The quantizer on reals that all readers of a value are; None if they differ or are others."""
    readers = [use.operation for use in value.uses]
    attributes = {op.quantizer for op in readers if isinstance(op, QuantizeOp)}
    if len(attributes) != 1 or not all(isinstance(op, QuantizeOp) for op in readers):
        return None
    (attribute,) = attributes
    return None if attribute is None else attribute.quantizer


class DropIdentityCast(RewritePattern):
    """quantize(x) -> x where the format stays the same"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: QuantizeOp, rewriter: PatternRewriter, /) -> None:
        """Only casts between fixed-point formats; a symmetric one may still change a value."""
        if op.overflow is None or op.overflow.data is Overflow.SAT_SYM:
            return
        if op.x.type == op.result.type:
            rewriter.replace(op, [], [op.x])


class DropRelu(RewritePattern):
    """quantize(relu(x)) -> quantize(x) where the cast saturates at 0"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: QuantizeOp, rewriter: PatternRewriter, /) -> None:
        """An unsigned saturating cast takes negative values to 0."""
        if op.overflow is None or op.overflow.data is not Overflow.SAT or op.out.signed:
            return
        if isinstance(relu := op.x.owner, ReluOp):
            cast = QuantizeOp.fixed(relu.args[0], op.out, *op.modes, layer=op.layer_name)
            cast.attributes.update(op.attributes)
            rewriter.replace(op, cast)
