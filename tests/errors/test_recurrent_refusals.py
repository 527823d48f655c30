"""What recurrent layers cannot do is refused by name, where it stands, with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdf5_models import Weights, entry, write_layers

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.importer import import_model

UNITS, FEATURES = 3, 2


def weights(gates: int, scope: str = "") -> Weights:
    """Those of a recurrent layer."""
    shapes = {"kernel": (FEATURES,), "recurrent_kernel": (UNITS,), "bias": ()}
    columns = UNITS * gates
    return {f"{scope}{n}": np.ones((*s, columns), np.float32) for n, s in shapes.items()}


def both_ways(words: str, inner: Any = None, **config: Any) -> tuple[str, Weights, Any, str]:
    layer = {"class_name": "SimpleRNN", "config": {"name": "l", "units": UNITS}}
    scopes = ("y/forward_l/cell/", "y/backward_l/cell/")
    own = {k: a for scope in scopes for k, a in weights(1, scope).items()}
    return "Bidirectional", own, {"layer": inner or layer, **config}, words


def of_class(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "l", "units": UNITS, **config}}


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
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers_that_cannot_be_imported(name: str, tmp_path: Path) -> None:
    class_name, own, config, words = LAYERS[name]
    x = entry("x", "InputLayer", batch_input_shape=[None, 4, FEATURES])
    layers = [x, entry("y", class_name, "x", **config)]
    with pytest.raises(CaloccError) as caught:
        import_model(write_layers(tmp_path / "m.h5", layers, {"y": own}))
    assert words in str(caught.value)
    assert "'y'" in caught.value.where
    assert caught.value.hint


def test_the_layers_of_these_tests_are_imported_otherwise(tmp_path: Path) -> None:
    class_name, own, config, _ = both_ways("", backward_layer=BACK)
    x = entry("x", "InputLayer", batch_input_shape=[None, 4, FEATURES])
    layers = [x, entry("y", class_name, "x", **config)]
    import_model(write_layers(tmp_path / "m.h5", layers, {"y": own}))
