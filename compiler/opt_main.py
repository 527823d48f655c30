"""`calocc-opt`: passes on the text of a module, or on a Keras `.h5` file."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError, PassFailedException, VerifyException
from xdsl.xdsl_opt_main import xDSLOptMain

from calocc.compiler.bits import BitsCheck
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.inputs import load_arrays
from calocc.compiler.pass_table import print_passes, print_times
from calocc.compiler.pipeline import Runner, passes_of
from calocc.compiler.verification import blamed, verify


class CaloccOpt(xDSLOptMain):
    """xDSL's optimiser driver with a frontend for Keras files.

    Dialects, passes and targets come from `calocc.compiler.universe` by entry point. Passes run as
    in the compiler itself: what is verified after each is more than the rules of the IR.
    """

    def register_all_frontends(self) -> None:
        """Besides `.mlir`, read `.h5` and `.keras`."""
        super().register_all_frontends()
        self.available_frontends["h5"] = self._read_h5
        self.available_frontends["keras"] = self._read_h5

    def _read_h5(self, stream: IO[bytes]) -> ModuleOp:
        # Parsing text loads the dialects it meets; their resources are printed only then.
        self.ctx.load_registered_dialect("fixed")
        return read_h5(stream)

    def register_all_arguments(self, arg_parser: argparse.ArgumentParser) -> None:
        """Besides those of xDSL, what calocc knows about passes and bits."""
        super().register_all_arguments(arg_parser)
        add = arg_parser.add_argument
        add("--list-passes", action=ListPasses, help="describe calocc's passes and their options")
        add("--verify-bits", metavar="X.npz", type=Path,
            help="run inputs after every pass; name the first that changes a bit")  # fmt: skip

    def setup_pipeline(self) -> None:
        """Read the pipeline, so that a mistake in it is told before the input is read."""
        passes_of(self.args.passes)

    def apply_passes(self, prog: ModuleOp) -> None:
        """Run the passes in order, each verified, with what the options ask for in between."""
        steps = passes_of(self.args.passes)
        bits = self._bits(prog)

        def watch(step: ModulePass, module: ModuleOp) -> None:
            if bits is not None:
                bits.after(step, module)
            if self.args.print_between_passes and step is not steps[-1]:
                _show(step, module)

        runner = Runner(self.ctx, {}, watch, _unchecked if self.args.disable_verify else verify)
        try:
            self._run(runner, prog, steps)
        finally:
            if bits is not None:
                bits.print(Console(stderr=True))
            if self.args.time_passes:
                print_times(runner.seconds)

    def _run(self, runner: Runner, prog: ModuleOp, steps: Sequence[ModulePass]) -> None:
        """Run the passes; raise InvalidModule that names the layer and the pass to blame."""
        last = None
        try:
            runner.check(prog)
            for step in steps:
                last = step.name
                runner.apply(step, prog)
        except VerifyException as error:
            if self.args.verify_diagnostics:
                raise
            raise blamed(prog, error, last) from None

    def _bits(self, prog: ModuleOp) -> BitsCheck | None:
        if self.args.verify_bits is None:
            return None
        bits = BitsCheck.of(load_arrays(self.args.verify_bits))
        bits.start(prog)
        return bits


class ListPasses(argparse.Action):
    """Print what there is to know about calocc's passes, and exit."""

    def __init__(self, **arguments: Any):
        super().__init__(nargs=0, **arguments)

    def __call__(self, parser: argparse.ArgumentParser, *unused: object) -> None:
        """Print and exit."""
        print_passes(Console())
        parser.exit()


def _unchecked(module: ModuleOp) -> None:
    """Verify nothing, as the user asks."""


def _show(step: ModulePass, module: ModuleOp) -> None:
    print(f"// -----// after {step.name} //----- //")
    Printer(stream=sys.stdout).print_op(module)
    print("\n")


def read_h5(stream: IO[bytes]) -> ModuleOp:
    """Import a Keras model from a binary stream; a stream without a file is copied to one."""
    from calocc.compiler.keras.importer import import_model

    name = getattr(stream, "name", None)
    if isinstance(name, str) and Path(name).is_file():
        return import_model(Path(name))
    with tempfile.NamedTemporaryFile(suffix=".h5") as copy:
        copy.write(stream.read())
        copy.flush()
        return import_model(Path(copy.name))


def main(args: Sequence[str] | None = None) -> None:
    """Run `calocc-opt`; exit with 1 and one message for what is wrong with its input."""
    try:
        CaloccOpt("calocc optimizer: runs passes on a module", args).run()
    except (CaloccError, ParseError, PassFailedException) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"error: {error.filename}: {error.strerror}\n  hint: name a file that exists")


def _refuse(text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
