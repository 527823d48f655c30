"""Damages files of Keras models in many ways: each must be refused with an error, or be read.

`python benchmarks/fuzz_reader.py --files 2000 --seed 7` mutates the samples of `tests/data/keras`
and imports the results. It stops at the first file that ends otherwise than in a CaloccError,
leaves that file behind, and is killed after `--seconds` on one file; `--memory` bounds the whole.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import resource
import signal
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any, cast

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.keras.importer import import_model

SAMPLES = Path(__file__).parents[1] / "tests" / "data" / "keras"
VERSIONS = ("keras-2.13", "keras-3.15")
MEMBERS = ("config.json", "model.weights.h5")
HUGE = (1 << 31, 1 << 40, 1 << 62, 10**30, -1)

h5py: Any = importlib.import_module("h5py")


# ---- bytes ---------------------------------------------------------------------------------------


def flip_bits(random: Random, content: bytes) -> bytes:
    """Up to 30 flipped bits, often among the first bytes, where the structure is described."""
    result = bytearray(content)
    end = len(content) if random.random() < 0.5 else min(2000, len(content))
    for _ in range(random.randint(1, 30)):
        result[random.randrange(end)] ^= 1 << random.randrange(8)
    return bytes(result)


def shorten(random: Random, content: bytes) -> bytes:
    """The beginning."""
    return content[: random.randrange(len(content))]


def overwrite(random: Random, content: bytes) -> bytes:
    """A part replaced by one byte or by another part."""
    start, length = random.randrange(len(content)), random.randint(1, 500)
    source = random.randrange(len(content))
    part = random.choice((b"\0" * length, b"\xff" * length, content[source : source + length]))
    return content[:start] + part + content[start + len(part) :]


def huge_number(random: Random, content: bytes) -> bytes:
    """8 bytes that declare some large size."""
    start = random.randrange(0, max(1, len(content) - 8), 8)
    number = struct.pack("<Q", random.choice(HUGE[:3]))
    return content[:start] + number + content[start + 8 :]


BYTES = (flip_bits, shorten, overwrite, huge_number)


# ---- JSON ----------------------------------------------------------------------------------------


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of the tree."""
    keys: list[Any] = list(cast(Any, tree)) if isinstance(tree, dict) else list(range(len(tree)))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def _graphs(tree: Any) -> list[Any]:
    """The lists of layers, but those that are no longer lists or hold something else."""
    found: list[Any] = [node[key] for node, key in _places(tree) if key == "layers"]
    return [graph for graph in found if _is_list(graph) and isinstance(graph[0], dict)]


def _is_list(node: object, least: int = 1) -> bool:
    return isinstance(node, list) and len(cast(list[object], node)) >= least


def other_value(random: Random, tree: Any) -> None:
    """One value replaced by another of the tree, or by one of another kind."""
    places = list(_places(tree))
    node, key = random.choice(places)
    source, source_key = random.choice(places)
    values: list[Any] = [None, True, [], {}, "x", 0.5, -3, *HUGE, source[source_key]]
    node[key] = json.loads(json.dumps(random.choice(values)))


def remove(random: Random, tree: Any) -> None:
    """One entry removed."""
    node, key = random.choice(list(_places(tree)))
    del node[key]


def repeat_layer(random: Random, tree: Any) -> None:
    """A layer twice."""
    for layers in random.sample(graphs := _graphs(tree), min(1, len(graphs))):
        layers.append(json.loads(json.dumps(random.choice(layers))))


def rewire(random: Random, tree: Any) -> None:
    """A reference to some other call: cycles, missing calls, self-calls."""
    references = [node for node, key in _places(tree) if key == 2 and _is_ref(node)]
    if not references:
        return
    chosen, other = random.choice(references), random.choice(references)
    chosen[0], chosen[1] = other[0], random.choice((0, 1, 2, 7, -1, 1 << 40))


def _is_ref(node: Any) -> bool:
    return _is_list(node, 3) and isinstance(node[0], str) and isinstance(node[1], int)


def nest(random: Random, tree: Any) -> None:
    """A layer replaced by its whole model, several times over."""
    for _ in range(random.randint(1, 5)):
        text, graphs = json.dumps(tree), _graphs(tree)
        if len(text) < 1 << 18 and graphs:
            copy, layer = json.loads(text), random.choice(graphs)[0]
            layer |= {key: copy.get(key) for key in ("class_name", "config")}


def deepen(random: Random, tree: Any) -> None:
    """A value in many lists."""
    node, key = random.choice(list(_places(tree)))
    for _ in range(random.choice((3, 60, 200))):
        node[key] = [node[key]]


TREES = (other_value, remove, repeat_layer, rewire, nest, deepen)


def mutate_tree(random: Random, content: bytes) -> bytes:
    """One or two changes of the architecture; none that Python cannot write as JSON again."""
    tree = json.loads(content)
    try:
        for _ in range(random.randint(1, 2)):
            random.choice(TREES)(random, tree)
        text = json.dumps(tree)
    except RecursionError:
        return content
    if random.random() < 0.1:
        text = text.replace('"name"', '"name": "twice", "name"', 1)
    return text.encode()


# ---- HDF5 ----------------------------------------------------------------------------------------


def _nodes(file: Any) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def huge_dataset(random: Random, file: Any) -> None:
    """A dataset that declares more than it holds."""
    name = random.choice([n for n in _nodes(file) if isinstance(file[n], h5py.Dataset)])
    del file[name]
    chunks = (1 << 20,) if random.random() < 0.5 else None
    compression = "gzip" if chunks else None
    file.create_dataset(
        name, (random.choice(HUGE[:2]),), "f4", chunks=chunks, compression=compression
    )


def remove_node(random: Random, file: Any) -> None:
    """A group or dataset removed."""
    del file[random.choice(_nodes(file))]


def link_node(random: Random, file: Any) -> None:
    """A node replaced by a link: to itself, to a group above, elsewhere."""
    name = random.choice(_nodes(file))
    del file[name]
    targets: tuple[Any, ...] = (
        file["/"],
        h5py.SoftLink("/"),
        h5py.ExternalLink("/etc/passwd", "x"),
    )
    file[name] = random.choice(targets)


def change_names(random: Random, file: Any) -> None:
    """A list of names with repetitions, strange types or nothing."""
    owners = [n for n in ("/", *_nodes(file)) if len(file[n].attrs)]
    if owners:
        attributes = file[random.choice(owners)].attrs
        name = random.choice(list(attributes))
        attributes[name] = random.choice((["a", "a"], [b"\xff"], 3, "../x", ["/"], [""]))


def poison(random: Random, file: Any) -> None:
    """A weight that is no finite number, or one that no format holds."""
    weights = file[random.choice(_weights(file))]
    values = weights[...]
    values.flat[random.randrange(values.size)] = random.choice((nan, inf, -inf, 3e38))
    weights[...] = values


def other_shape(random: Random, file: Any) -> None:
    """The weights of a variable in another shape, or more or fewer of them."""
    name = random.choice(_weights(file))
    values = file[name][...]
    shapes = [(values.size,), values.shape[::-1], (1, *values.shape), (*values.shape, 1)]
    choices = [values.reshape(shape) for shape in shapes] + [values[:-1], values[:0], values[0]]
    del file[name]
    file[name] = random.choice(choices)


def _weights(file: Any) -> list[str]:
    """The datasets of floating-point arrays."""
    datasets = [n for n in _nodes(file) if isinstance(file[n], h5py.Dataset)]
    return [n for n in datasets if file[n].dtype.kind == "f" and file[n].shape]


FILES = (huge_dataset, remove_node, link_node, change_names, poison, other_shape)


def mutate_hdf5(random: Random, content: bytes) -> bytes:
    """Changes of bytes, of nodes, or of the architecture inside."""
    if random.random() < 0.5:
        return random.choice(BYTES)(random, content)
    buffer = BytesIO(content)
    with h5py.File(buffer, "a") as file:
        if "model_config" in file.attrs and random.random() < 0.4:
            text = mutate_tree(random, file.attrs["model_config"].encode())
            if len(text) < 60_000:  # the most that HDF5 attributes hold
                file.attrs["model_config"] = text.decode()
        else:
            random.choice(FILES)(random, file)
    return buffer.getvalue()


# ---- files ---------------------------------------------------------------------------------------


def members(version: str) -> dict[str, bytes]:
    """The architecture and the weights of a sample."""
    with zipfile.ZipFile(SAMPLES / f"{version}.keras") as archive:
        return {name: archive.read(name) for name in MEMBERS}


def damage_member(random: Random, parts: dict[str, bytes]) -> None:
    """Change the architecture or the weights."""
    if random.random() < 0.6:
        parts[MEMBERS[0]] = mutate_tree(random, parts[MEMBERS[0]])
    else:
        parts[MEMBERS[1]] = mutate_hdf5(random, parts[MEMBERS[1]])


def damaged_archive(random: Random, folder: Path) -> tuple[Path, Path | None]:
    """A `.keras` file."""
    parts = members(random.choice(VERSIONS))
    if around := random.random() < 0.7:
        damage_member(random, parts)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    content = buffer.getvalue()
    path = folder / "model.keras"
    path.write_bytes(content if around else random.choice(BYTES)(random, content))
    return path, None


def damaged_hdf5(random: Random, folder: Path) -> tuple[Path, Path | None]:
    """A `.h5` file."""
    content = gzip.decompress((SAMPLES / f"{random.choice(VERSIONS)}.h5.gz").read_bytes())
    path = folder / "model.h5"
    path.write_bytes(mutate_hdf5(random, content))
    return path, None


def damaged_architecture(random: Random, folder: Path) -> tuple[Path, Path | None]:
    """A `.json` file and its weights."""
    parts = members(random.choice(VERSIONS))
    damage_member(random, parts)
    if random.random() < 0.2:
        parts[MEMBERS[0]] = random.choice(BYTES)(random, parts[MEMBERS[0]])
    paths = [folder / "model.json", folder / "weights.h5"]
    for path, name in zip(paths, MEMBERS, strict=True):
        path.write_bytes(parts[name])
    return paths[0], paths[1]


KINDS: tuple[Callable[[Random, Path], tuple[Path, Path | None]], ...] = (
    damaged_archive,
    damaged_hdf5,
    damaged_architecture,
)


def outcome(path: Path, weights: Path | None) -> str:
    """The class of the error, or `read`; any other exception gets through."""
    try:
        import_model(path, weights=weights)
    except CaloccError as error:
        str(error)
        return type(error).__name__
    return "read"


def run(files: int, seed: int, seconds: int) -> Counter[str]:
    """How often the damaged files ended in which error."""
    results: Counter[str] = Counter()
    for index in range(files):
        random = Random(f"{seed}/{index}")
        folder = Path(tempfile.mkdtemp(prefix=f"calocc-fuzz-{seed}-{index}-"))
        path, weights = KINDS[index % len(KINDS)](random, folder)
        signal.alarm(seconds)
        results[outcome(path, weights)] += 1
        signal.alarm(0)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    return results


def peak_kilobytes() -> int:
    """The largest memory of this program; `getrusage` would count that of the one that started
    it, which stays over an exec."""
    status = Path("/proc/self/status").read_text()
    (line,) = (entry for entry in status.splitlines() if entry.startswith("VmHWM:"))
    return int(line.split()[1])


def main() -> None:
    """Print the errors and the largest memory in megabytes: less is allocated than `--memory`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--memory", type=int, default=1 << 30, help="bytes")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (arguments.memory, arguments.memory))
    results = run(arguments.files, arguments.seed, arguments.seconds)
    for name, count in results.most_common():
        print(f"{count:6d} {name}")
    print(f"{peak_kilobytes() // 1024:6d} MB at most")


if __name__ == "__main__":
    main()
