"""`calocc`: compile a Keras model to a streaming FPGA design."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from math import inf, nan
from pathlib import Path

from rich.console import Console
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from calocc.codegen.vitis.project import expect_writable
from calocc.compiler.calibration.formats import Criterion
from calocc.compiler.calibration.request import Request
from calocc.compiler.compilation import STAGES, Compilation, Options, device_and_clock
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.hls4ml.configuration import read_configuration
from calocc.compiler.inputs import BadFormat
from calocc.compiler.pass_table import print_times
from calocc.compiler.roundings import Rounds
from calocc.compiler.summary import print_summary
from calocc.compiler.text import module_text
from calocc.compiler.timeline import expect_timeline, write_timeline
from calocc.passes.balance import GOALS, LAYOUTS

DESCRIPTION = """\
Compile a QKeras network to a bit-exact streaming FPGA design: Vitis HLS kernels in an
hls4ml-compatible project. Needs neither TensorFlow nor Vitis."""
SELDOM = 1_000_000
"""Objects between searches for garbage: most of what a compilation makes lives until it ends."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("calocc", description=DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="Keras .h5 or .keras file, or .json")
    add("--weights", metavar="FILE", type=Path, help="weights (.h5) of a .json architecture")
    levels = parser.add_mutually_exclusive_group()
    for level in range(4):
        levels.add_argument(
            f"-O{level}", dest="opt_level", action="store_const", const=level, default=2,
            help="optimisation level, the results of all are the same (default -O2)",
        )  # fmt: skip
    add("-o", dest="output", metavar="DIR", type=Path, help="default: ./<model stem>_calocc")
    add("--target", metavar="NAME", help=f"device (default {Options.target})")
    add("--clock", metavar="MHZ", type=_megahertz, help=f"default {Options.clock_mhz:g}")
    add("--optimize", choices=GOALS, default=GOALS[0],
        help="what -O2 chooses foldings for (default %(default)s)")  # fmt: skip
    add("--budget", metavar="FRACTION", type=_fraction, default=0.8,
        help="of the device that a design may use (default %(default)g)")  # fmt: skip
    add("--latency-us", metavar="US", type=_micros,
        help="the fewest resources with which an event takes no longer")  # fmt: skip
    add("--interval-us", metavar="US", type=_micros,
        help="the fewest resources with which events follow each other as fast")  # fmt: skip
    add("--layout", choices=LAYOUTS, default=LAYOUTS[0],
        help="streams between layers as wide as is best, or of single values"
        " (default %(default)s)")  # fmt: skip
    add("--packing", choices=("on", "off"), default="on",
        help="whether products may share a DSP slice (default %(default)s)")  # fmt: skip
    add("--input", metavar="NAME=FORMAT", action="append", default=[], type=_assignment,
        help="format of an input: NAME=fixed<W,I> or NAME=ufixed<W,I>")  # fmt: skip
    add(
        "--calibrate",
        metavar="X.npz",
        type=Path,
        help="formats from typical inputs, and what quantizers clip",
    )
    add("--accuracy", metavar="ERROR", type=float,
        help="relative error that formats of a float model may cause (default 0.01)")  # fmt: skip
    add("--weights-bits", metavar="N", type=int, help="bits of weights of a float model")
    add("--activations-bits", metavar="N", type=int, help="bits of its activations")
    add("--criterion", choices=list(Criterion),
        help="what formats of a float model hold: the range that was seen, all but 1 in 10,000, "
             "or what gives the least mean square error (default mse)")  # fmt: skip
    add("--max-error", metavar="ERROR", type=float,
        help="fewer bits, while no output can be further than this from the model")  # fmt: skip
    add("--exact-argmax", action="store_true",
        help="let the greatest operand of a softmax alone have the greatest result")  # fmt: skip
    add("--rounding", metavar="MODE[,MODE]",
        help="let activations truncate, round or convergent, saturate or wrap instead")  # fmt: skip
    add("--compare-rounding", action="store_true",
        help="show what each rounding does to the calibration data and to the design")  # fmt: skip
    add("--scaler", metavar="FILE", type=Path,
        help="offset and scale of raw inputs (.json or .npz), which the host applies")  # fmt: skip
    add("--set", metavar="LAYER.KEY=VALUE", action="append", default=[], dest="settings",
        help="kernel, bias, output (formats), pe, simd, pixels (numbers) of a layer")  # fmt: skip
    add("--hls4ml-config", metavar="FILE.yml", type=Path,
        help="types, reuse factors, part and clock from a configuration of hls4ml")  # fmt: skip
    add("--emit", choices=[*STAGES, "hls"], default="hls",
        help="stop at a stage and print its IR (default: hls, a project on disk)")  # fmt: skip
    add("--print-ir-after-all", action="store_true", help="show the IR after every pass")
    add("--time-passes", action="store_true", help="show the seconds of every pass")
    add("--timeline", metavar="FILE", type=Path,
        help="draw what every process does, and when: a .svg, or a .html with details")  # fmt: skip
    add("--json", action="store_true", help="print the report as JSON instead of tables")
    return parser


def _megahertz(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a clock of 1 to 1000 MHz")
    return value


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a fraction above 0, up to 1")
    return value


def _micros(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not 0 < value < inf:
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0")
    return value


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=fixed<W,I>")
    return name, value


def _show_ir(step: ModulePass, module: ModuleOp) -> None:
    print(f"// -----// after {step.name} //----- //\n{module}", file=sys.stderr)


def run(arguments: argparse.Namespace) -> None:
    """Compile as the command line says; raise CaloccError."""
    file = arguments.hls4ml_config
    config = None if file is None else read_configuration(file)
    options = Options(
        arguments.opt_level,
        *device_and_clock(config, arguments.target, arguments.clock),
        inputs=_formats(arguments.input),
        calibrate=arguments.calibrate,
        settings=tuple(arguments.settings),
        weights=arguments.weights,
        request=Request.of(
            arguments.accuracy,
            arguments.weights_bits,
            arguments.activations_bits,
            arguments.criterion,
        ),
        max_error=arguments.max_error,
        exact_argmax=arguments.exact_argmax,
        rounds=Rounds.parse(arguments.rounding),
        compare_rounding=arguments.compare_rounding,
        optimize=arguments.optimize,
        budget=arguments.budget,
        latency_us=arguments.latency_us,
        interval_us=arguments.interval_us,
        scaler=arguments.scaler,
        layout=arguments.layout,
        packing=arguments.packing == "on",
        hls4ml_config=config,
    )
    watch = _show_ir if arguments.print_ir_after_all else None
    compilation = Compilation(arguments.model, options, watch)
    if arguments.emit in STAGES:
        print(module_text(compilation.stage(arguments.emit)), end="")
    else:
        _compile(arguments, compilation)
    if arguments.time_passes:
        print_times(compilation.seconds)


def _formats(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    formats: dict[str, str] = {}
    for name, text in pairs:
        if name in formats:
            raise BadFormat(f"option --input {name}", "this input is given two formats")
        formats[name] = text
    return formats


def _compile(arguments: argparse.Namespace, compilation: Compilation) -> None:
    console = Console(stderr=arguments.json)
    directory = arguments.output or Path(f"{arguments.model.stem}_calocc")
    expect_writable(directory)
    if arguments.timeline is not None:
        expect_timeline(arguments.timeline)
    title = f"compiling {arguments.model.name} ..."
    with console.status(title) as status:
        compilation.progress = lambda text: status.update(f"{title} {text}")
        design = compilation.design()
        design.write(directory)
    if arguments.timeline is not None:
        write_timeline(design.module, design.report, arguments.timeline)
    if arguments.json:
        print(json.dumps(design.report, indent=2))
    else:
        print_summary(console, design.report, directory)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `calocc`; exit with 1 and one message for an error in the model or the options."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    if parsed.emit in STAGES and (parsed.json or parsed.output or parsed.timeline):
        parser.error(f"--emit {parsed.emit} prints IR alone: no --json, -o or --timeline with it")
    gc.set_threshold(SELDOM)
    try:
        run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # as in `calocc model.h5 --emit fixed | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except CaloccError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
