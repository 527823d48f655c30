"""A compiled model: run it, trace it, write it, load it again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError, VerifyException

from calocc.compiler.data import Inputs, arrays_for, to_mantissas, to_reals
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.manifest import verify
from calocc.compiler.pipeline import new_context
from calocc.compiler.ports import Port, input_ports, output_ports
from calocc.compiler.report import Json
from calocc.compiler.scaling import SCALERS, Scaler, Scalers, scalers_for
from calocc.dialects.fixed.blob import BlobAttr
from calocc.runtime.layers import LayerTrace, trace

if TYPE_CHECKING:
    from calocc.runtime.csim import Csim
    from calocc.runtime.native.plan import Plan

Prediction = NDArray[np.float64] | list[NDArray[np.float64]]


@dataclass(eq=False)
class NotADesign(CaloccError):
    """A directory that calocc has not written, or that is damaged."""

    directory: str
    problem: str

    @property
    def where(self) -> str:
        return self.directory

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "name a directory that calocc has written, or compile the model again"


@dataclass(eq=False)
class NotTraceable(CaloccError):
    """A design that was loaded, and so has no layers any more."""

    name: str

    @property
    def where(self) -> str:
        return f"design {self.name!r}"

    @property
    def what(self) -> str:
        return "a directory holds processes, not the layers of the model"

    @property
    def hint(self) -> str:
        return "trace the design that calocc.compile returns"


@dataclass(frozen=True)
class Layers:
    """A model layer by layer: on reals, and the same on fixed-point numbers."""

    reals: ModuleOp
    fixed: ModuleOp


@dataclass(eq=False)
class Design:
    """A compiled model: the dataflow module and its report.

    `name` is a C identifier: the name of the top function and of the generated files. `layers`
    are those of the model, which a design that was loaded does not have.
    """

    name: str
    module: ModuleOp
    report: Json
    layers: Layers | None = None
    provenance: Json = field(default_factory=dict[str, Any])
    """What the manifest of a written project states: the model and the options."""
    scalers: Scalers = field(default_factory=dict[str, Scaler])
    """What a host does to raw inputs; `predict` takes inputs of the model, which are scaled."""
    _plan: Plan | None = field(default=None, init=False)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """The inputs in order."""
        return input_ports(self.module)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """The outputs in order."""
        return output_ports(self.module)

    def plan(self) -> Plan:
        """The exact emulator's steps, compiled where there is a C++ compiler; made once."""
        from calocc.runtime.native.plan import Plan

        if self._plan is None:
            self._plan = Plan.of(self.module)
        return self._plan

    def predict(
        self,
        x: Inputs,
        threads: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Prediction:
        """Run events through the exact emulator.

        `x` is an array (events, *shape), or a list or dictionary of them for several inputs;
        `threads` bounds the threads (default: all processors that this process may use);
        `progress` is told now and then how many events are done, and of how many.
        Returns float64, an array for one output and a list for several. Raises BadInput.
        """
        arrays = arrays_for(self.inputs, x)
        workers = threads or _processors()
        plan, count = self.plan(), len(arrays[0])
        chunks: list[list[NDArray[np.int64]]] = []
        for first in range(0, max(count, 1), plan.events_at_once):
            last = min(first + plan.events_at_once, count)
            events = zip(self.inputs, (a[first:last] for a in arrays), strict=True)
            chunks.append(plan.run([to_mantissas(p, a) for p, a in events], workers))
            if progress is not None:
                progress(last, count)
        results = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
        return as_prediction(self.outputs, results)

    def trace(self, x: Inputs) -> dict[str, LayerTrace]:
        """The values of every layer by its Keras name, fixed and real side by side.

        `x` is what `predict` takes; the real ones are float64, of the model as it was before any
        format was found for it. Raises BadInput, and NotTraceable for a design that was loaded.
        """
        if self.layers is None:
            raise NotTraceable(self.name)
        arrays = arrays_for(self.inputs, x)
        mantissas = [to_mantissas(p, a) for p, a in zip(self.inputs, arrays, strict=True)]
        reals = [np.asarray(a, np.float64) for a in arrays]
        return trace(self.layers.reals, self.layers.fixed, reals, mantissas)

    def write(self, directory: str | Path) -> Path:
        """Write the project atomically; an existing directory is replaced. Returns its path."""
        from calocc.codegen.vitis.project import write_project

        return write_project(self, Path(directory))

    def csim(self) -> Csim:
        """The generated C++, built with g++ in a directory of its own."""
        from calocc.runtime.csim import build_csim

        return build_csim(self)


def _processors() -> int:
    """How many processors this process may use; not every system tells."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def as_prediction(ports: tuple[Port, ...], mantissas: list[NDArray[np.int64]]) -> Prediction:
    """The values of a design's outputs: an array for one output, a list for several."""
    values = [to_reals(p, m) for p, m in zip(ports, mantissas, strict=True)]
    return values[0] if len(values) == 1 else values


def load(directory: str | Path) -> Design:
    """Load a design that was written to a directory; raise NotADesign, or Damaged where a file is
    not the one that was written."""
    root = Path(directory)
    try:
        provenance = verify(root)
        report = json.loads((root / "report.json").read_text())
        text = (root / "model.mlir").read_text()
        if text.count('"') % 2:  # the lexer takes very long to see that a string has no end
            raise ValueError("model.mlir is cut short")
        module = Parser(new_context(), text).parse_module()
        _require_design(module)
        design = Design(str(report["name"]), module, report, provenance=provenance)
        if (root / SCALERS).exists():
            design.scalers = scalers_for(design.inputs, root / SCALERS)
        return design
    except OSError as error:
        raise NotADesign(str(root), f"it holds no design: {error.strerror or error}") from None
    except ParseError as error:
        raise NotADesign(str(root), f"its model.mlir is damaged: {error.msg}") from None
    except (ValueError, KeyError, TypeError, VerifyException) as error:
        raise NotADesign(str(root), f"it holds no readable design: {error}") from None


def _require_design(module: ModuleOp) -> None:
    """Raise VerifyException or ValueError for what `Design.predict` could not run."""
    module.verify()
    if not input_ports(module) or not output_ports(module):
        raise ValueError("the module has no inputs or no outputs")
    for op in module.walk():
        for attribute in (*op.properties.values(), *op.attributes.values()):
            if isinstance(attribute, BlobAttr):
                attribute.numpy()
