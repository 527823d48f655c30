"""`calocc-opt`: passes on the text of a module, or on a Keras `.h5` file."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from xdsl.dialects.builtin import ModuleOp
from xdsl.xdsl_opt_main import xDSLOptMain

from calocc.compiler.diagnostics import CaloccError


class CaloccOpt(xDSLOptMain):
    """xDSL's optimiser driver with a frontend for Keras files.

    Dialects, passes and targets come from `calocc.compiler.universe` by entry point.
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
    """Run `calocc-opt`; exit with 1 and one message if calocc refuses its input."""
    try:
        CaloccOpt("calocc optimizer: runs passes on a module", args).run()
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
