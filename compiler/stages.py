"""How far a module has come: layers on reals, layers on fixed-point numbers, or processes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from calocc.compiler.diagnostics import CaloccError
from calocc.dialects.dataflow.stream import StreamType
from calocc.dialects.qnn.op import is_fixed


class Stage(StrEnum):
    """The stages of a model, in the words of `calocc --emit`."""

    QNN = "qnn"
    FIXED = "fixed"
    DATAFLOW = "dataflow"


MEANING = {
    Stage.QNN: "layers on real numbers",
    Stage.FIXED: "layers on fixed-point numbers",
    Stage.DATAFLOW: "processes joined by streams",
}

PASS_BEFORE = {
    Stage.QNN: "read a Keras model, as in `calocc-opt model.h5`",
    Stage.FIXED: "run 'fold-batch-norm,factor-scales,hoist-quantize,lower-to-fixed,dce' first",
    Stage.DATAFLOW: "run 'partition-streams' on fixed-point numbers first",
}
"""What leads to a stage."""


@dataclass(eq=False)
class WrongStage(CaloccError):
    """A pass on a module that it is not made for."""

    name: str
    found: Stage
    wanted: Stage

    @property
    def where(self) -> str:
        return f"pass {self.name}"

    @property
    def what(self) -> str:
        return f"it works on {MEANING[self.wanted]}, and the module holds {MEANING[self.found]}"

    @property
    def hint(self) -> str:
        return PASS_BEFORE[self.wanted]


def stage_of(module: ModuleOp) -> Stage | None:
    """The stage of a model by the types of what `main` takes and yields; None for what is none."""
    functions = (op for op in module.ops if isinstance(op, FuncOp) and not op.is_declaration)
    main = next((f for f in functions if f.sym_name.data == "main"), None)
    if main is None:
        return None
    last = main.get_return_op()
    values: list[SSAValue] = [*main.args, *(last.operands if last is not None else ())]
    if any(isinstance(value.type, StreamType) for value in values):
        return Stage.DATAFLOW
    if not all(isinstance(value.type, TensorType) for value in values):
        return None
    return Stage.FIXED if all(is_fixed(value) for value in values) else Stage.QNN
