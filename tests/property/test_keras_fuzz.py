"""Damaged model files end in a CaloccError or are read: quickly, and in little memory."""

from __future__ import annotations

import gzip
import importlib
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from calocc.compiler.keras import hdf5
from calocc.compiler.keras.errors import DamagedFile
from calocc.compiler.keras.heaps import bounded_memory, expect_readable
from calocc.compiler.keras.reader import read_model

h5py: Any = importlib.import_module("h5py")  # it carries no type information

SAMPLES = Path(__file__).parents[1] / "data" / "keras"
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_reader.py"
SUPERBLOCK = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08" + bytes(33)


def test_200_damaged_files_do_no_harm() -> None:
    arguments = ["--files", "200", "--seed", "3", "--seconds", "10"]
    process = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    counts = {name: int(n) for n, name in re.findall(r"(\d+) (\w+)$", process.stdout, re.M)}
    megabytes = int(re.findall(r"(\d+) MB", process.stdout)[0])
    assert sum(counts.values()) == 200
    assert counts.keys() >= {"DamagedFile", "TooLarge", "DanglingReference", "InvalidJson", "read"}
    assert counts["read"] < 100
    assert megabytes < 500


def heap(*objects: tuple[int, int], size: int = 4096) -> bytes:
    """A global heap with these (index, size)."""
    content = b"GCOL\1\0\0\0" + size.to_bytes(8, "little")
    for index, length in objects:
        head = index.to_bytes(2, "little") + bytes(6) + length.to_bytes(8, "little")
        content += head + bytes((length + 7) // 8 * 8 if index else max(0, length - 16))
    return content


GOOD = heap((1, 5), (2, 8), (0, 4032))

HEAPS_IN_HEAPS = 2000 * (heap((1, 16))[16:32] + heap(size=1 << 40))
"""Each heap goes on to the end over objects that are heaps themselves."""


def test_a_sound_heap_is_let_through() -> None:
    assert len(GOOD) == 4096
    expect_readable(Path("m.h5"), SUPERBLOCK + GOOD)


def test_memory_is_bounded_meanwhile() -> None:
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    with bounded_memory(), pytest.raises(MemoryError):
        bytearray(3 << 30)
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits
    with pytest.raises(KeyError), bounded_memory():
        raise KeyError
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits


def test_the_limit_of_one_thread_does_not_outlast_that_of_another() -> None:
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    inside, left = threading.Event(), threading.Event()

    def first() -> None:
        with bounded_memory():
            inside.set()
            left.wait(0.2)  # long enough for the other one to come in, if it could

    def second() -> None:
        inside.wait()
        with bounded_memory():
            left.set()
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_only_reads_of_unknown_size_are_bounded(
    compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts have any length, and compressed weights any number of bytes on the way."""
    path, bounded = tmp_path / "m.h5", list[None]()
    path.write_bytes(gzip.decompress((SAMPLES / "keras-2.13.h5.gz").read_bytes()))
    with h5py.File(path, "a") as file:
        weights = file["model_weights/conv/conv/kernel:0"]
        values, name = weights[...], weights.name
        del file[name]
        file.create_dataset(name, data=values, compression=compression)
        texts = 2 + sum(len(g.attrs["weight_names"]) > 0 for g in file["model_weights"].values())

    @contextmanager
    def counted() -> Generator[None]:
        bounded.append(None)
        with bounded_memory():
            yield

    monkeypatch.setattr(hdf5, "bounded_memory", counted)
    read_model(path)
    assert len(bounded) == texts + (compression is not None)


@pytest.mark.parametrize(
    "content",
    [
        SUPERBLOCK + heap((1, 5), (0, 0)) + bytes(64),
        SUPERBLOCK + GOOD + heap((0, 0)) + bytes(64),
        bytes(512) + SUPERBLOCK + heap((0, 0)) + bytes(64),
        SUPERBLOCK.replace(b"\x08", b"\x04") + GOOD,
        b"no superblock",
        SUPERBLOCK + HEAPS_IN_HEAPS,
    ],
    ids=[
        "empty-space",
        "second-heap",
        "user-block",
        "short-lengths",
        "no-hdf5",
        "many-heaps",
    ],
)
def test_files_on_which_the_library_would_hang(content: bytes) -> None:
    with pytest.raises(DamagedFile):
        expect_readable(Path("m.h5"), content)
