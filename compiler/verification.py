"""What every module has to be after every pass, and which layer is to blame if it is not."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.utils.exceptions import VerifyException

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.ranges import FormatTooNarrow, check_formats
from calocc.compiler.stages import Stage, stage_of


def verify(module: ModuleOp) -> None:
    """The IR's rules, and that no fixed-point value can leave its format; raise VerifyException."""
    module.verify()
    if stage_of(module) is Stage.FIXED:
        check_formats(module)


@dataclass(eq=False)
class InvalidModule(CaloccError):
    """IR that breaks a rule, as it was read or after a pass."""

    place: str
    problem: str
    after: str | None = None
    """The pass that left it so; None for what was read."""

    @property
    def where(self) -> str:
        return self.place

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        if self.after is None:
            return "mend the text of the module"
        return f"pass {self.after} has left it so: --print-between-passes shows what it was given"


def blamed(module: ModuleOp, error: Exception, after: str | None = None) -> InvalidModule:
    """The error that says which op of which layer breaks a rule."""
    narrow = error.op if isinstance(error, FormatTooNarrow) else None
    op = narrow or next((op for op in module.walk() if _is_broken(op)), None)
    return InvalidModule("module" if op is None else place_of(op), _first_line(error), after)


def place_of(op: Operation) -> str:
    """An op by the Keras layer that it stands for, where it has one."""
    layer = getattr(op, "layer", None)
    return f"layer {layer.data!r} ({op.name})" if layer is not None else op.name


def _is_broken(op: Operation) -> bool:
    try:
        op.verify(verify_nested_ops=False)
    except VerifyException:
        return True
    return False


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].rstrip(".")
    return text.removeprefix("Operation does not verify: ") or type(error).__name__
