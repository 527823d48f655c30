"""What recurrent layers cannot do is refused by name, where it stands, with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdf5_models import Weights, entry, write_layers

import calocc
from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.importer import import_model
from calocc.passes.lowering.errors import StepNeedsFormat

UNITS, FEATURES = 3, 2


def weights(gates: int, scope: str = "") -> Weights:
    """Those of a recurrent layer."""
    shapes = {"kernel": (FEATURES,), "recurrent_kernel": (UNITS,), "bias": ()}
    columns = UNITS * gates
    return {f"{scope}{n}": np.ones((*s, columns), np.float32) for n, s in shapes.items()}


def cell(class_name: str, **config: Any) -> dict[str, Any]:
    """What Keras always writes of a recurrent layer."""
    keys = ["activation"] if class_name.endswith("RNN") else ["activation", "recurrent_activation"]
    return {"units": UNITS, **dict.fromkeys(keys, "tanh"), **config}


def both_ways(words: str, inner: Any = None, **config: Any) -> tuple[str, Weights, Any, str]:
    layer = of_class("SimpleRNN")
    scopes = ("y/forward_l/cell/", "y/backward_l/cell/")
    own = {k: a for scope in scopes for k, a in weights(1, scope).items()}
    return "Bidirectional", own, {"layer": inner or layer, **config}, words


def plain(class_name: str, words: str, gates: int, **config: Any) -> tuple[str, Weights, Any, str]:
    return class_name, weights(gates), cell(class_name, **config), words


def of_class(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "l", **cell(class_name, **config)}}


BACK = of_class("SimpleRNN", go_backwards=True)
LAYERS: dict[str, tuple[str, Weights, Any, str]] = {
    "two outputs": both_ways("with merge_mode=None it has two outputs", merge_mode=None),
    "unknown merge": both_ways("merge_mode='max'", merge_mode="max"),
    "a dense layer": both_ways("its inner layer is a Dense", of_class("Dense")),
    "a dense layer back": both_ways("its inner layer is a Dense", backward_layer=of_class("Dense")),
    "the same way": both_ways(
        "its layers have the same go_backwards", backward_layer=of_class("SimpleRNN")),
    "one sequence": both_ways("its layers have different return_sequences",
        of_class("SimpleRNN", return_sequences=True), backward_layer=BACK),
    "other units": both_ways("bias has the shape (3,), not (4,)",
        backward_layer=of_class("SimpleRNN", go_backwards=True, units=4)),
    "constants": both_ways("num_constants=1", num_constants=1),
    "inner key": both_ways("secret=1, which is not interpreted", of_class("SimpleRNN", secret=1)),
    "stateful": plain("LSTM", "stateful=True, only False", 4, stateful=True),
    "states as outputs": plain("GRU", "return_state=True, only False", 3, return_state=True),
    "time first": plain("SimpleRNN", "time_major=True, only False", 1, time_major=True),
    "units of another": plain("LSTM", "bias has the shape (9,), not (12,)", 3),
    "one bias": plain("GRU", "bias has the shape (9,), not (2, 9)", 3, reset_after=True),
    "unknown activation": plain("SimpleRNN", "'log_softmax' is not known", 1,
        activation="log_softmax"),
    "unknown gate": plain("LSTM", "'log_softmax' is not known", 4,
        recurrent_activation="log_softmax"),
    "no steps": plain("SimpleRNN", "it takes 2 axes besides the batch", 1, shape=(FEATURES,)),
    "shared kernels": plain("QGRU", "without a recurrent quantizer QKeras takes the kernel", 3,
        recurrent_quantizer=None),
    "a first state": plain("QSimpleRNN", "makes something else of the first state, 0", 1,
        state_quantizer="binary(alpha=1)"),
    "no activation": ("SimpleRNN", weights(1), {"units": UNITS}, "activation"),
    "a new key": plain("LSTM", "peephole=True, which is not interpreted", 4, peephole=True),
}  # fmt: skip


def model_of(class_name: str, own: Weights, config: Any, path: Path) -> Path:
    """A model of one layer `y`; `shape` is that of its operand."""
    shape = config.pop("shape", (4, FEATURES))
    x = entry("x", "InputLayer", batch_input_shape=[None, *shape])
    layers = [x, entry("y", class_name, "x", **config)]
    return write_layers(path, layers, {"y": own})


@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers_that_cannot_be_imported(name: str, tmp_path: Path) -> None:
    class_name, own, config, words = LAYERS[name]
    with pytest.raises(CaloccError) as caught:
        import_model(model_of(class_name, own, {**config}, tmp_path / "m.h5"))
    assert words in str(caught.value)
    assert "'y'" in caught.value.where
    assert caught.value.hint


IMPORTED = {
    "both ways": both_ways("", backward_layer=BACK),
    "plain": plain("LSTM", "", 4),
    "for training": plain("LSTM", "", 4, dropout=0.5, recurrent_dropout=0.2, seed=3),
    "in other words": plain("LSTM", "", 4, unroll=True, implementation=1, use_cudnn="auto"),
    "without masks": plain("LSTM", "", 4, zero_output_for_mask=True),
}


def test_what_matters_to_training_or_speed_only_makes_no_difference(tmp_path: Path) -> None:
    modules = {
        name: import_model(model_of(class_name, own, {**config}, tmp_path / f"{name}.h5"))
        for name, (class_name, own, config, _) in IMPORTED.items()
    }
    for name in ("for training", "in other words", "without masks"):
        assert modules[name].is_structurally_equivalent(modules["plain"]), name


STEPS = {
    "state": ("SimpleRNN", {"activation": "relu"}, "a state"),
    "function": ("SimpleRNN", {"activation": "tanh"}, "a state"),
    "gate": ("LSTM", {"state": "fixed<6,2>"}, "the result of tanh"),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_without_formats_are_refused(name: str, tmp_path: Path) -> None:
    class_name, config, words = STEPS[name]
    state = config.pop("state", None)
    own = weights(4 if class_name == "LSTM" else 1)
    path = model_of(class_name, own, cell(class_name, **config), tmp_path / "m.h5")
    given = ("y.kernel=fixed<4,2>", "y.recurrent_kernel=fixed<4,2>", "y.bias=fixed<4,2>")
    states = () if state is None else (f"y.state={state}",)
    with pytest.raises(StepNeedsFormat) as caught:
        calocc.compile(path, inputs={"x": "fixed<6,2>"}, settings=(*given, *states))
    assert words in caught.value.what
    assert "--set y." in caught.value.hint
