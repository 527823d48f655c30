"""Configs of layers as Keras 2 writes them today, from what other versions write.

Only renamed keys, wrappers and keys that say what holds anyway are changed. Keras 1 is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from calocc.compiler.keras.errors import Keras1Config

_RENAMED = {"batch_shape": "batch_input_shape"}
_RENAMED_OF = {"LeakyReLU": {"negative_slope": "alpha"}}  # Keras 3 -> Keras 2
_NEUTRAL: Mapping[str, object] = {
    "optional": False,
    "quantization_config": None,
    "synchronized": False,
}
"""Keys of newer versions, with the value that means: as if the key were not there."""
_WRAPPED = ("layer", "backward_layer")
"""Keys for the layers in a wrapper."""
HARD_SIGMOID_OF_KERAS_3 = "hard_sigmoid_of_keras_3"
"""clip(x/6 + 1/2, 0, 1); in Keras 2 the slope is 0.2, in QKeras 0.5."""
_KERAS_1 = frozenset(
    [
        *("nb_filter", "nb_row", "nb_col", "border_mode", "subsample", "dim_ordering", "init"),
        *("W_regularizer", "b_regularizer", "W_constraint", "b_constraint", "inner_activation"),
        *("output_dim", "output_mode"),
    ]
)
_STILL_IN_USE = {"Embedding": frozenset(["output_dim"])}


def normalised(name: str, class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of one layer in today's Keras 2 form; raise Keras1Config."""
    for key in config:
        if key in _KERAS_1 - _STILL_IN_USE.get(class_name, frozenset()):
            raise Keras1Config(name, class_name, key)
    names = _RENAMED | _RENAMED_OF.get(class_name, {})
    entries: dict[str, Any] = {}
    for key, value in config.items():
        new = names.get(key, key)
        entries[key if new in config else new] = _unwrapped(key, value)
    kept = {key: value for key, value in entries.items() if not _is_neutral(key, value, entries)}
    return _with_inner(kept, lambda inner, own: normalised(name, inner, own))


def renamed_activation(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of a layer of Keras 3, whose hard_sigmoid is steeper than that of Keras 2."""
    config = _with_inner(config, lambda _, own: renamed_activation(own))
    named = [k for k in ("activation", "recurrent_activation") if config.get(k) == "hard_sigmoid"]
    return {**config, **dict.fromkeys(named, HARD_SIGMOID_OF_KERAS_3)}


def innermost(class_name: str, config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Class and config of the layer in a wrapper, or in wrappers of one another."""
    while (inner := wrapped(config)) is not None:
        class_name, config = inner
    return class_name, config


def wrapped(config: Mapping[str, Any], key: str = "layer") -> tuple[str, Mapping[str, Any]] | None:
    """Class and config of the layer that a wrapper holds."""
    match config.get(key):
        case {"class_name": str() as class_name, "config": own} if isinstance(own, dict):
            return class_name, cast(dict[str, Any], own)
        case _:
            return None


def _with_inner(
    config: Mapping[str, Any], change: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, Any]:
    """The config of a layer, with those of the layers it wraps, if it does, changed."""
    entries = dict(config)
    for key in _WRAPPED:
        if inner := wrapped(config, key):
            entries[key] = {**config[key], "config": change(*inner)}
    return entries


def _is_neutral(key: str, value: object, config: Mapping[str, object]) -> bool:
    if key in ("renorm_clipping", "renorm_momentum"):
        return config.get("renorm") is False
    return key in _NEUTRAL and value is _NEUTRAL[key]


def _unwrapped(key: str, value: object) -> object:
    if key == "dtype":
        return _dtype(value)
    return _without_marks(value)


def _dtype(value: object) -> object:
    """The name of a dtype, which Keras 3 wraps as a policy."""
    match value:
        case {"class_name": "DTypePolicy", "config": {"name": str() as name}}:
            return name
        case _:
            return value


def _without_marks(value: object) -> object:
    """Without the numbers by which Keras 2.12 and later mark objects that it saves repeatedly."""
    if isinstance(value, list):
        return [_without_marks(entry) for entry in cast(list[object], value)]
    if not isinstance(value, dict):
        return value
    entries = cast(dict[str, object], value)
    marked = "class_name" in entries and isinstance(entries.get("shared_object_id"), int)
    return {
        key: _without_marks(entry)
        for key, entry in entries.items()
        if not (marked and key == "shared_object_id")
    }
