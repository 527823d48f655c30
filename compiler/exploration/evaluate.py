"""One point of an exploration: compile, and say how fast, how large and how exact the design is."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from calocc.compiler.calibration.accuracy import compared, worst
from calocc.compiler.calibration.request import Request
from calocc.compiler.calibration.search import execute_all
from calocc.compiler.compilation import COMPARED_EVENTS, Compilation, Options
from calocc.compiler.design import Design
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.exploration.grid import Point, Setup
from calocc.compiler.inputs import calibration_arrays, load_arrays
from calocc.compiler.report import Json
from calocc.compiler.roundings import Rounds

FILES = ("model", "weights", "data")


@dataclass(frozen=True)
class Shipment:
    """A setup with the contents of its files, for a machine that does not have them."""

    setup: Setup
    contents: tuple[tuple[str, bytes], ...]

    @staticmethod
    def of(setup: Setup) -> Shipment:
        """Read all files."""
        paths = {name: getattr(setup, name) for name in FILES}
        return Shipment(setup, tuple((n, p.read_bytes()) for n, p in paths.items() if p))

    @contextmanager
    def unpacked(self) -> Generator[Setup]:
        """The setup with files of the same names in a directory that lasts as long."""
        with TemporaryDirectory(prefix="calocc-") as place:
            paths: dict[str, Path] = {}
            for name, content in self.contents:
                paths[name] = Path(place) / name / getattr(self.setup, name).name
                paths[name].parent.mkdir()
                paths[name].write_bytes(content)
            yield replace(self.setup, **paths)


def evaluate(key: str, point: Point, setup: Setup) -> Json:
    """The record of a point: figures, or a `message` why there is no design."""
    started = perf_counter()
    record: Json = {"key": key, "model": setup.model.name, **asdict(point)}
    try:
        record |= _figures(setup, setup.options(point))
    except CaloccError as error:
        record |= {"message": str(error)}
    except Exception as error:  # a bug must not end the sweep, and is tried again in the next run
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        record |= {"message": f"error in calocc: {type(error).__name__}: {error} ({place})"}
        record |= {"crashed": True}
    return {**record, "seconds": perf_counter() - started}


def evaluate_shipped(key: str, point: Point, shipment: Shipment) -> Json:
    """`evaluate` where only the contents of files have arrived."""
    with shipment.unpacked() as setup:
        return evaluate(key, point, setup)


def _figures(setup: Setup, options: Options) -> Json:
    design = Compilation(setup.model, options).design()
    report = design.report
    times = ("latency_cycles", "latency_us", "interval_cycles", "interval_us")
    error = _bound(report) if setup.data is None else _measured(setup, options, design)
    return {
        **{name: report[name] for name in times},
        **{name: figure["used"] for name, figure in report["resources"].items()},
        "error": error,
        "calibration": report["calibration"]
        and {k: report["calibration"][k] for k in ("weights_bits", "activations_bits")},
    }


def _bound(report: Json) -> float | None:
    """The largest certified distance of an output from the model; None if one is not bounded."""
    bounds = [port["certified_bound"] for port in report["outputs"]]
    largest = max(inf if bound is None else bound for bound in bounds)
    return None if largest == inf else largest


def _measured(setup: Setup, options: Options, design: Design) -> float:
    """The largest relative error (root mean square) of an output on the calibration data."""
    assert setup.data is not None
    if (calibration := design.report["calibration"]) is not None:
        return max(row["relative_rms"] for row in calibration["outputs"])
    plain = replace(options, rounds=Rounds(), request=Request())
    model = Compilation(setup.model, plain).stage("qnn")
    arrays = calibration_arrays(model, load_arrays(setup.data), str(setup.data))
    events = [array[:COMPARED_EVENTS] for array in arrays]
    results = design.predict(events)
    values = results if isinstance(results, list) else [results]
    names = [port["name"] for port in design.report["outputs"]]
    return worst(compared(names, values, execute_all(model, events)))
