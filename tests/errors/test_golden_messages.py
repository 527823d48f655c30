"""Every error that a user can meet says where, what and what to do, in these words.

`pytest tests/errors/test_golden_messages.py --update-golden` writes the texts anew.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import calocc
from calocc.codegen.vitis.lint.lint import Finding, NotSynthesizable
from calocc.codegen.vitis.project import CannotWrite, OccupiedDirectory
from calocc.codegen.vitis.sources import NoKernel
from calocc.codegen.vitis.target import NoSuchFile
from calocc.compiler.bits import BitsChanged
from calocc.compiler.calibration.bits import Bits
from calocc.compiler.calibration.errors import AccuracyNotReached, BadRequest
from calocc.compiler.charts import BadChart
from calocc.compiler.compilation import NoSuchLevel
from calocc.compiler.data import BadInput
from calocc.compiler.design import NotADesign, NotTraceable
from calocc.compiler.devices import UnknownDevice
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.exploration.grid import BadGrid, CannotRead
from calocc.compiler.exploration.results import BadResults
from calocc.compiler.exploration.workers import NoWorkers
from calocc.compiler.hls4ml.errors import BadHlsConfig, HlsContradiction, HlsWrap
from calocc.compiler.inputs import BadData, BadFormat, CannotSave, UnknownInput
from calocc.compiler.keras.layers.registry import LayerClash, UnsupportedLayer, UnusedOverride
from calocc.compiler.keras.refusals import REFUSED_LAYERS, RefusedLayer
from calocc.compiler.manifest import Damaged
from calocc.compiler.pass_options import BadPipeline
from calocc.compiler.placement import BadPlacement
from calocc.compiler.plugins import BrokenPlugin
from calocc.compiler.ports import NoMain
from calocc.compiler.roundings import BadRounding
from calocc.compiler.rules import NoRule
from calocc.compiler.scaling import BadScaler
from calocc.compiler.settings import FoldingIgnored, UnknownSetting
from calocc.compiler.stages import Stage, WrongStage
from calocc.compiler.verification import InvalidModule
from calocc.dialects.fixed.format import Format
from calocc.passes.balance import BadGoal, BadLayout, BadPin, DoesNotFit, NotFastEnough
from calocc.passes.balancing.attempt import Nearest
from calocc.passes.check_dataflow import NotBuildable
from calocc.passes.lowering import errors as lowering
from calocc.passes.lowering.budget import BudgetNotReached
from calocc.passes.partitioning.partition import NotStreamable
from calocc.runtime.cycles import Deadlock, FullChannel, MalformedNetwork, Wait
from calocc.runtime.deployment import Closed, NoSuchPlace
from calocc.runtime.fuzzing.campaign import BadState, DaskMissing
from calocc.runtime.fuzzing.reproducer import NotAReproducer
from calocc.runtime.gxx import ApTypesMissing, CompilerFailed, CompilerMissing
from calocc.runtime.host import DeviceFailed, XrtMissing
from calocc.runtime.reference import (
    InputMismatchError,
    ModelLoadError,
    ReferenceUnavailableError,
)
from calocc.testing.missing import HypothesisMissing

GOLDEN = Path(__file__).parent / "golden"

SAMPLES: list[CaloccError] = [
    ApTypesMissing("site-packages/hls4ml"),
    AccuracyNotReached(0.001, 0.0123, Bits(16, 16)),
    BadChart("timeline", "picture.png", ".png is no format", (".svg", ".html")),
    BadData("data.npz", "it has no array 'image'"),
    BadFormat("option --input image", "'float' is not fixed<W,I> or ufixed<W,I>"),
    BadGoal("beauty"),
    BadGrid("clock", "0 is out of range", "give clocks of 1 to 1000 MHz"),
    BadHlsConfig("hls4ml_config", "Model", "'Precison' is no entry", "did you mean Precision?"),
    BadInput("image", "its array has the shape (5, 7)", "give numbers of the shape (events, 56)"),
    BadLayout("double"),
    BadPin("dense", "pe=70 is more than the 32 that there are"),
    BadPipeline("fuze", "there is no pass 'fuze'", "did you mean fuse? `calocc-opt --list-passes`"),
    BitsChanged("thresholds", "energy", (3, 0), expected=83.25, found=83.5, differing=7),
    InvalidModule("layer 'sum' (qnn.add)", "fixed<4,2> does not hold the results", "fuse"),
    NoMain(),
    WrongStage("fuse", Stage.QNN, Stage.DATAFLOW),
    BadPlacement("powers", "square", "no pipeline has the pass 'fuze'", "take one of fuse"),
    NoKernel("calocc_square.h"),
    NoRule("y", "powers.square", "streaming form", "streams"),
    BadState("run.state", "it belongs to a run with other options"),
    BadRounding("rounding", "'up' is not a rounding or an overflow"),
    BadRequest("accuracy", "2 is not a relative error between 0 and 1"),
    BrokenPlugin("powers", "calocc_powers", "ModuleNotFoundError: No module named 'powers'"),
    BadScaler("scaler.json", "the model has no input 'imag'; it has image"),
    BadResults("jets_explore.jsonl", "line 3 is no result"),
    BudgetNotReached(1e-4, 0.000999),
    CannotRead("model.h5", "it cannot be read: No such file or directory"),
    CannotSave("y.npz", "Permission denied"),
    CannotWrite("/design", "Permission denied"),
    Closed("deepcalo"),
    CompilerFailed("model.cpp", ("model.cpp:1:1: error: expected unqualified-id",)),
    CompilerMissing("clang++"),
    Damaged("design", "firmware/weights/w3.txt", "its checksum is not that of the manifest"),
    Deadlock(
        (Wait("fork", "skip", True), Wait("join", "conv", False)), (FullChannel("skip", 2, 40),)
    ),
    DoesNotFit(
        *("pynq-z2", 0.8, (("ff", 128_615, 85_120), ("bram18", 330, 224))),
        *(Nearest("kv260", 0.8, 250_000, 125_000), 250.0),
    ),
    DeviceFailed("deepcalo", "xrt", 5, "the kernel did not end in time"),
    FoldingIgnored("dense.pe=4", 1),
    HlsContradiction(
        "hls4ml_config", "LayerName 'act'", "act", "fixed<4,2>", "quantized_relu(6,0)"
    ),
    HlsWrap("hls4ml_config", "Model", "conv", "fixed<16,6>", 43, 203.5),
    LayerClash("Square", "calocc_powers", "other_powers"),
    InputMismatchError("model.h5", "it has no input 'x'", "its inputs are image"),
    MalformedNetwork("process 'conv'", "it has no output", "connect it"),
    ModelLoadError("model.h5", "unknown layer"),
    NoSuchLevel(7),
    NoSuchFile("top.cpp", ("defines.h", "parameters.h")),
    NoSuchPlace("on='gpu'", "a design does not run there"),
    NotADesign("somewhere", "it holds no C++ sources"),
    lowering.NoArgmax("softmax", 14, 5),
    NoWorkers("option --scheduler tcp://x:1", "no scheduler answers", "start one"),
    NotSynthesizable(Finding("firmware/k.h", 7, "static-bounds", "'j' changes inside it"), 3),
    NotTraceable("deepcalo"),
    NotFastEnough(
        *("alveo-u50", 0.8, "latency", 5000, 7978, 6047),
        *(Nearest("alveo-u50", 0.9, 4900, 3546), 250.0),
    ),
    NotAReproducer("failure.json", "it is no JSON"),
    DaskMissing("tcp://cluster:8786"),
    HypothesisMissing(),
    NotBuildable("conv", "a beat has 5000 bits", "fold it less"),
    NotStreamable("prelu", "its parameters differ from pixel to pixel", "share them"),
    OccupiedDirectory("mine"),
    RefusedLayer("conv", "Conv3D", *REFUSED_LAYERS["Conv3D"]),
    ReferenceUnavailableError("No module named 'tensorflow'"),
    UnknownDevice("alveo-u51"),
    UnknownInput("option --input imag", "imag", ("image", "tracks")),
    UnknownSetting("dense.colour=7"),
    UnsupportedLayer("conv", "Conv2D", "axis=1 is not the channel axis", "use the last axis"),
    UnusedOverride("dense_9.kernel"),
    lowering.DataDependent("act", "quantized_bits(6,0,alpha='auto')"),
    lowering.FractionalIndices("words", Format.parse("fixed<16,6>")),
    lowering.InputWithoutFormat("image", "no quantizer stands between it and layer 'conv'"),
    lowering.NeedsQuantizer("act", "tanh", "layer 'dense' and layer 'add'"),
    lowering.NoCommonGrid("act", "quantized_linear(8,0,alpha=0.3)"),
    lowering.StepNeedsFormat("lstm", "a state"),
    lowering.TooManySteps("tanh", 1 << 20, 1 << 16),
    lowering.TooWide("dense"),
    lowering.UnquantizedConstant("dense", 41, None, 24),
    lowering.UnquantizedTable("words", 41, 24),
    XrtMissing("/usr/include/xrt"),
]

ELSEWHERE = ("calocc.compiler.keras.errors",)
"""Modules whose errors have golden texts in a test of their own."""
LIVE = {"UnknownLayer", "UnknownNode"}
"""Errors whose text lists a registry; tested where they are raised."""


def concrete(kind: type[CaloccError] = CaloccError) -> Iterator[type[CaloccError]]:
    """All errors that can be raised."""
    for child in kind.__subclasses__():
        yield from concrete(child)
        if not inspect.isabstract(child):
            yield child


@pytest.mark.parametrize("error", SAMPLES, ids=lambda e: type(e).__name__)
def test_the_text_is_the_golden_one(error: CaloccError, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{type(error).__name__}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text(f"{error}\n")
    assert f"{error}\n" == path.read_text()


def test_every_error_of_the_package_has_a_sample() -> None:
    for module in pkgutil.walk_packages(calocc.__path__, "calocc."):
        importlib.import_module(module.name)
    wanted = {
        kind.__name__
        for kind in concrete()
        if kind.__module__.startswith("calocc.") and kind.__module__ not in ELSEWHERE
    }
    assert wanted - LIVE == {type(error).__name__ for error in SAMPLES}
