"""`-t vitis`: one file of the generated C++, for reading and for tests.

```
calocc-opt model.mlir -t 'vitis{file="parameters.h"}'
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.target import Target

from calocc.codegen.vitis.emit import emit
from calocc.codegen.vitis.sources import sources
from calocc.compiler.diagnostics import CaloccError


@dataclass(eq=False)
class NoSuchFile(CaloccError):
    """A project has no generated file of this name."""

    file: str
    files: tuple[str, ...]

    @property
    def where(self) -> str:
        return f'target vitis{{file="{self.file}"}}'

    @property
    def what(self) -> str:
        return "no file of this name is generated"

    @property
    def hint(self) -> str:
        return f"there are {', '.join(self.files)}"


@dataclass(frozen=True)
class Vitis(Target):
    """Print a file that stands below `firmware/` in the project of a dataflow module.

    `file` is by default the source of the top function, which is called `top`.
    """

    name = "vitis"
    file: str = ""
    top: str = "design"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        """Write the file's text; raise NoSuchFile."""
        texts = sources(emit(self.top, module))
        file = self.file or f"{self.top}.cpp"
        if file not in texts:
            raise NoSuchFile(file, tuple(texts))
        output.write(texts[file])
