"""Which weight of a file belongs to which layer, and what it is called there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from calocc.compiler.keras.architecture import MODELS, Graph, Member
from calocc.compiler.keras.dialect import innermost, wrapped
from calocc.compiler.keras.errors import (
    DamagedFile,
    ForeignWeights,
    UnassignedWeight,
    UnmatchedGroups,
    UnnamedVariables,
)
from calocc.compiler.keras.flatten import Weights
from calocc.compiler.keras.hdf5 import Array, Groups, Hdf5File
from calocc.compiler.keras.refusals import refusal_of

_KERAS_3_NAMES = {
    "DepthwiseConv1D": {"kernel": "depthwise_kernel"},
    "DepthwiseConv2D": {"kernel": "depthwise_kernel"},
}
"""Keras 3 name -> Keras 2 name, by class."""
_BOTH_WAYS = ("Bidirectional", "QBidirectional")


# ---- by name: model.h5, weights.h5 ---------------------------------------------------------------


def named_weights(path: Path, groups: Groups, graph: Graph) -> Weights:
    """The weights of each layer; those of a nested model are told apart by their names.

    Raises UnassignedWeight or DamagedFile.
    """
    result: dict[str, Mapping[str, Array]] = {}
    for member in graph.members:
        found = groups.get(member.name, {})
        if member.graph is None:
            result[member.name] = _shortened(path, member, found)
        elif found:
            result |= _distributed(path, member, member.graph, found)
    return result


def expect_no_others(path: Path, groups: Groups, graph: Graph) -> None:
    """Raise ForeignWeights if a group with weights belongs to no layer."""
    known = {member.name for member in graph.members}
    for name, weights in groups.items():
        if weights and name not in known:
            raise ForeignWeights(path, name)


def _shortened(
    path: Path, member: Member, weights: Mapping[str, Array], prefix: str = ""
) -> Mapping[str, Array]:
    """`block/dense/kernel:0` -> `kernel`; the name without `:0` where that is not unique."""
    full = [re.sub(r":\d+$", "", name) for name in weights]
    if len(set(full)) < len(full):
        raise DamagedFile(path)
    short = [_direction(member, name) + name.rpartition("/")[2] for name in full]
    times = Counter(short)
    keys = [s if times[s] == 1 else f for s, f in zip(short, full, strict=True)]
    class_name, _ = innermost(member.class_name, member.config)
    renamed = _KERAS_3_NAMES.get(class_name, {})
    return {renamed.get(k, k): array for k, array in zip(keys, weights.values(), strict=True)}


def _direction(member: Member, name: str) -> str:
    """`forward/` or `backward/` in front of the weights of a layer that runs both ways."""
    outer, inner = member.class_name, wrapped(member.config)
    while inner is not None and outer not in _BOTH_WAYS:
        outer, inner = inner[0], wrapped(inner[1])
    if inner is None:
        return ""
    # Keras 2 puts `forward_` in front of the name in the config, Keras 3 stores it so.
    scope = rf"(forward_)?{re.escape(str(inner[1].get('name')))}"
    forward = re.search(rf"(^|/){scope}(/[^/]+)?/[^/]+$", name)
    return "forward/" if forward else "backward/"


def _distributed(path: Path, outer: Member, graph: Graph, weights: Mapping[str, Array]) -> Weights:
    leaves = dict(_leaves(graph, f"{outer.name}/"))
    parts: dict[str, dict[str, Array]] = {}
    for name, array in weights.items():
        owners = _owners(name, leaves)
        if len(owners) != 1:
            raise UnassignedWeight(path, outer.name, name, tuple(owners))
        parts.setdefault(owners[0], {})[name] = array
    return {full: _shortened(path, leaves[full], part) for full, part in parts.items()}


def _leaves(graph: Graph, prefix: str) -> Iterator[tuple[str, Member]]:
    """The layers that may have weights, by their whole names."""
    for member in graph.members:
        if member.graph is not None:
            yield from _leaves(member.graph, f"{prefix}{member.name}/")
        elif member.class_name != "InputLayer":
            yield prefix + member.name, member


def _owners(variable: str, leaves: Mapping[str, Member]) -> list[str]:
    """The layers whose names come first in `model/layer/part/kernel:0`."""
    scopes = variable.split("/")[:-1]
    for start in range(len(scopes)):
        rest = "/".join(scopes[start:]) + "/"
        fitting = [full for full, leaf in leaves.items() if rest.startswith(f"{leaf.name}/")]
        if fitting:
            longest = max(len(leaves[full].name) for full in fitting)
            return [full for full in fitting if len(leaves[full].name) == longest]
    return []


# ---- by number: model.weights.h5 of .keras -------------------------------------------------------

_OLD_CONTAINER = "_layer_checkpoint_dependencies"
_INPUT_LAYER = re.compile(r"input_layer(_\d+)?")
_DEEPEST = 64  # groups in groups
_PARTS = 4  # groups in that of a layer
_RANDOM_STATE = "seed_generator"  # which Keras 3 keeps for training

Variables = Mapping[str, tuple[str, ...]]
"""The names of the variables in each group below the one of a layer, in their order."""


def numbered_weights(file: Hdf5File, graph: Graph) -> Weights:
    """The weights of each layer from groups that are named and numbered by class.

    Raises UnmatchedGroups or UnnamedVariables, and the errors of `Hdf5File`.
    """
    return dict(_numbered(file, file.root, graph, ""))


def _numbered(
    file: Hdf5File, group: Any, graph: Graph, prefix: str
) -> Iterator[tuple[str, Mapping[str, Array]]]:
    for place, member in _places(file, group, graph):
        name = prefix + member.name
        inner = file.open(group, place)
        if member.graph is None:
            yield name, _variables(file, inner, member, name)
        else:
            yield from _numbered(file, inner, member.graph, f"{name}/")


def _places(file: Hdf5File, group: Any, graph: Graph) -> Iterator[tuple[str, Member]]:
    """The group of each layer: its class in snake case, numbered in the order of the layers.

    Input layers have no weights, and no group where an outer model has the same one.
    """
    container = _OLD_CONTAINER if _OLD_CONTAINER in group else "layers"
    groups: Any = file.open(group, container) if container in group else {}
    stored = [m for m in graph.members if m.class_name != "InputLayer"]
    used: Counter[str] = Counter()
    names: list[str] = []
    for member in stored:
        base = snake_case(member.class_name)
        names.append(f"{base}_{used[base]}" if used[base] else base)
        used[base] += _step(file, groups, names[-1], container)
    found = [name for name in file.members(groups) if not _INPUT_LAYER.fullmatch(name)]
    if sorted(names) != found:
        place = f"{group.name.rstrip('/')}/{container}"
        raise UnmatchedGroups(file.path, place, tuple(sorted(names)), tuple(found))
    return zip((f"{container}/{name}" for name in names), stored, strict=True)


def _step(file: Hdf5File, groups: Any, name: str, container: str) -> int:
    """Keras 2.12 to 2.14 count layers with weights twice."""
    twice = container == _OLD_CONTAINER and name in groups
    return 2 if twice and _has_datasets(file, file.open(groups, name)) else 1


def _has_datasets(file: Hdf5File, group: Any) -> bool:
    return bool(_datasets(file, group, _DEEPEST))


def snake_case(class_name: str) -> str:
    """The name of a group in .keras files: `QConv2DBatchnorm` -> `q_conv2d_batchnorm`."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    return f"private{name}" if name.startswith("_") else name


def _variables(file: Hdf5File, group: Any, member: Member, name: str) -> Mapping[str, Array]:
    inner, _ = innermost(member.class_name, member.config)
    if refusal_of(inner) or inner in MODELS:
        return {}  # the importer says more about it, if the layer is needed
    known = _known(member.class_name, member.config)
    expected = {f"{place}/{n}": key for place in known for n, key in enumerate(known[place])}
    found = _datasets(file, group, _PARTS)
    if set(found) != set(expected):
        raise UnnamedVariables(name, member.class_name, tuple(found), tuple(expected.values()))
    return {key: file.weight(file.open(group, place)) for place, key in expected.items()}


def _datasets(file: Hdf5File, group: Any, depth: int) -> list[str]:
    """The places of the variables in a group, at most `depth` groups down."""
    if depth < 0:
        raise DamagedFile(file.path)
    places: list[str] = []
    for name in file.members(group):
        node = file.open(group, name)
        if not file.is_group(node):
            places.append(name)
        elif name != _RANDOM_STATE:
            places += [f"{name}/{place}" for place in _datasets(file, node, depth - 1)]
    return places


def _known(class_name: str, config: Mapping[str, Any]) -> Variables:
    return _KNOWN.get(class_name, _none)(config)


def _none(config: Mapping[str, Any]) -> Variables:
    return {}


def _wrapped(config: Mapping[str, Any]) -> Variables:
    """Those of the inner layer, below its own group."""
    known = _known(*(wrapped(config) or ("", {})))
    return {f"layer/{place}": names for place, names in known.items()}


def _both_ways(config: Mapping[str, Any]) -> Variables:
    """Those of the layers of both directions; the backward one may repeat the forward one."""
    forward = wrapped(config) or ("", {})
    ways = {"forward": forward, "backward": wrapped(config, "backward_layer") or forward}
    return {
        f"{way}_layer/{place}": tuple(f"{way}/{name}" for name in names)
        for way, layer in ways.items()
        for place, names in _known(*layer).items()
    }


def _linear(*kernels: str) -> Callable[[Mapping[str, Any]], Variables]:
    return lambda config: {"vars": (*kernels, *_if(config, "use_bias", "bias"))}


def _if(config: Mapping[str, Any], key: str, name: str) -> tuple[str, ...]:
    return (name,) if config.get(key, True) else ()


def _moments(config: Mapping[str, Any]) -> tuple[str, ...]:
    learnt = (*_if(config, "scale", "gamma"), *_if(config, "center", "beta"))
    return (*learnt, "moving_mean", "moving_variance")


def _layer_norm(config: Mapping[str, Any]) -> Variables:
    return {"vars": (*_if(config, "scale", "gamma"), *_if(config, "center", "beta"))}


def _normalisation(config: Mapping[str, Any]) -> Variables:
    return {"vars": _moments(config)}


def _folding(kernel: str) -> Callable[[Mapping[str, Any]], Variables]:
    def variables(config: Mapping[str, Any]) -> Variables:
        own = (kernel, *_if(config, "use_bias", "bias"), "iteration")
        return {"vars": own, "batchnorm/vars": _moments(config)}

    return variables


def _einsum(config: Mapping[str, Any]) -> Variables:
    return {"vars": ("kernel",) if config.get("bias_axes") is None else ("kernel", "bias")}


def _cell(config: Mapping[str, Any]) -> Variables:
    own = ("kernel", "recurrent_kernel", *_if(config, "use_bias", "bias"))
    return {"cell/vars": own}


_KNOWN: Mapping[str, Callable[[Mapping[str, Any]], Variables]] = {
    **dict.fromkeys(
        ("Dense", "QDense", "Conv1D", "QConv1D", "Conv2D", "QConv2D"),
        _linear("kernel"),
    ),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "QConv2DTranspose"), _linear("kernel")),
    **dict.fromkeys(
        ("DepthwiseConv1D", "DepthwiseConv2D", "QDepthwiseConv2D"), _linear("depthwise_kernel")
    ),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D", "QSeparableConv1D", "QSeparableConv2D"),
        _linear("depthwise_kernel", "pointwise_kernel"),
    ),
    **dict.fromkeys(("BatchNormalization", "QBatchNormalization"), _normalisation),
    "QConv2DBatchnorm": _folding("kernel"),
    "QDepthwiseConv2DBatchnorm": _folding("depthwise_kernel"),
    "PReLU": lambda config: {"vars": ("alpha",)},
    "EinsumDense": _einsum,
    "Embedding": lambda config: {"vars": ("embeddings",)},
    "LayerNormalization": _layer_norm,
    **dict.fromkeys(("BinaryDense", "TernaryDense"), _linear("kernel")),
    "QScaleShift": _linear("weight"),
    "QAdaptiveActivation": lambda config: {"vars": ("step", "ema_min", "ema_max")},
    **dict.fromkeys(
        ("FixedPointQuantizer", "HGQ>FixedPointQuantizer"),
        lambda config: {"vars": ("keep_negative", "bits", "integers")},
    ),
    "TimeDistributed": _wrapped,
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "QSimpleRNN", "QLSTM", "QGRU"), _cell),
    **dict.fromkeys(_BOTH_WAYS, _both_ways),
}
"""What real files of tf_keras 2.20, Keras 3.15 and QKeras 0.9 hold."""
