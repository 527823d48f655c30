"""The text of a module, with and without its weights."""

from __future__ import annotations

from io import StringIO

from xdsl.dialects.builtin import ModuleOp
from xdsl.printer import Printer

from calocc.dialects.fixed.dialect import FIXED


def module_text(module: ModuleOp) -> str:
    """The module and the bytes of its weights; parses back to an equal module."""
    stream = StringIO()
    printer = Printer(stream)
    printer.print_op(module)
    printer.print_metadata([FIXED])
    return stream.getvalue() + "\n"
