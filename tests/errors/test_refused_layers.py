"""Classes of layers that are known and not imported are refused with their reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hdf5_models import entry, functional, write_layers, write_model

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.importer import import_model, known_layers
from calocc.compiler.keras.refusals import REFUSED_LAYERS, RefusedLayer

X = entry("x", "InputLayer", batch_input_shape=[None, 4, 4, 4])


@pytest.mark.parametrize("class_name", REFUSED_LAYERS)
@pytest.mark.parametrize("package", ["", "theirs>"])
def test_a_refused_class_is_named_with_its_reason(
    package: str, class_name: str, tmp_path: Path
) -> None:
    layers = [X, entry("y", package + class_name, "x")]
    with pytest.raises(RefusedLayer) as caught:
        import_model(write_layers(tmp_path / "m.h5", layers, {}))
    refusal = REFUSED_LAYERS[class_name]
    assert caught.value.where == f"layer 'y' ({package}{class_name})"
    assert (caught.value.what, caught.value.hint) == refusal
    assert not refusal.reason.endswith(".")
    assert not refusal.advice.endswith(".")


def test_no_class_is_both_imported_and_refused() -> None:
    assert not REFUSED_LAYERS.keys() & known_layers().keys()


def test_a_refused_class_beside_the_way_to_the_output_does_no_harm(tmp_path: Path) -> None:
    layers = [X, entry("beside", "UnitNormalization", "x"), entry("y", "Flatten", "x")]
    import_model(write_layers(tmp_path / "m.h5", layers, {}))


@pytest.mark.parametrize("class_name", ["MultiHeadAttention", "TFOpLambda"])
def test_a_refused_class_with_call_arguments(class_name: str, tmp_path: Path) -> None:
    call = [["x", 0, 0, {"value": ["x", 0, 0]}]]
    path = write_model(tmp_path / "m.h5", functional(X, entry("y", class_name, call)), {})
    with pytest.raises(CaloccError) as caught:
        import_model(path)
    assert (caught.value.what, caught.value.hint) == REFUSED_LAYERS[class_name]
