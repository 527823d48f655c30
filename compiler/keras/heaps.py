"""Guards the HDF5 library against files on which it would not return, or take all memory.

Names and other texts are kept in global heaps. Version 2.0 of the library loops for ever over a
heap in which it comes to free space of size 0, and allocates whatever length a text declares, up
to 4 GB. Layout: "III.E. Disk Format: Level 1E - Global Heap" of the HDF5 file format specification.
"""

from __future__ import annotations

import importlib
import mmap
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from calocc.compiler.keras.errors import DamagedFile

Content = bytes | mmap.mmap

_HEAP = b"GCOL\1"
_HEADER = 16  # of a heap and of an object in it, with lengths of 8 bytes
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FIRST_USER_BLOCK = 512
_MEMORY = 3 << 28  # bytes: all weights, and half as much again


def expect_readable(path: Path, content: bytes | None = None) -> None:
    """Raise DamagedFile for the file, or the `content` of a member of the archive `path`."""
    if content is not None:
        _expect_readable(path, content)
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        _expect_readable(path, view)


def _expect_readable(path: Path, content: Content) -> None:
    if not _has_superblock(content):
        raise DamagedFile(path)
    steps = len(content) // 8  # twice as many objects as there can be in heaps that are apart
    place = content.find(_HEAP)
    while place >= 0:
        for free in _objects(content, place):
            steps -= 1
            if free == 0 or steps < 0:
                raise DamagedFile(path)
        place = content.find(_HEAP, place + 1)


def _has_superblock(content: Content) -> bool:
    """Whether HDF5 begins somewhere, with addresses and lengths of the 8 bytes of Keras."""
    start = 0
    while content[start : start + len(_SIGNATURE)] != _SIGNATURE:
        start = 2 * start or _FIRST_USER_BLOCK
        if start >= len(content):
            return False
    version = content[start + 8 : start + 9]
    sizes = start + (9 if version > b"\1" else 13)
    return content[sizes : sizes + 2] == b"\x08\x08"


def _objects(content: Content, start: int) -> Iterator[int | None]:
    """The size of each free space in a heap, and None for each object in it."""
    (size,) = struct.unpack_from("<Q", content, start + 8) if start + 16 <= len(content) else (0,)
    end = min(start + size, len(content))
    place = start + _HEADER
    while place + _HEADER <= end:
        index, length = struct.unpack_from("<H6xQ", content, place)
        yield None if index else length
        place += _HEADER + (length + 7) // 8 * 8 if index else length


_LIMITED = RLock()


@contextmanager
def bounded_memory() -> Generator[None, None, None]:
    """Let the process allocate at most 0.75 GB more meanwhile, where Linux offers to watch that.

    The limit is one for all threads, and for processes that they start meanwhile: bound single
    reads. A second reader waits, else each could restore the other's limit.
    """
    with _LIMITED:
        yield from _bounded_memory()


def _bounded_memory() -> Generator[None, None, None]:
    try:
        resource = importlib.import_module("resource")
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = pages * mmap.PAGESIZE + _MEMORY
    bound = min([wanted, *(n for n in (soft, hard) if n != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
