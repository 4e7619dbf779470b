"""One safetensors file, written block by block: what is where is known beforehand, so no more than a block is in memory."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from serin.core.errors import StorageError
from serin.merge.weights import DTYPES

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_ALIGNED_BYTES = 8
_LENGTH_BYTES = 8
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a tensor in a file is."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is whole and on the disk."""

    digest: str
    """SHA-256 of its bytes."""
    nbytes: int


def in_order(layouts: Mapping[str, Layout]) -> list[str]:
    """The names as the file has the tensors: wider types first, so that each begins at a multiple of its size."""
    return sorted(layouts, key=lambda name: (-layouts[name].dtype.itemsize, name))


def header_of(layouts: Mapping[str, Layout]) -> bytes:
    """The length of the header and the header, padded, as the format has them (huggingface/safetensors, README.md)."""
    described: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name in in_order(layouts):
        layout = layouts[name]
        end = begin + layout.nbytes
        described[name] = {
            "dtype": _NAMES[layout.dtype],
            "shape": list(layout.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNED_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def write_shard(path: Path, layouts: Mapping[str, Layout], blocks: Iterator[memoryview]) -> Written:
    """Write the file: its header, then ``blocks``, the tensors' bytes in the order of ``in_order``.

    Hashing and writing a block take place beside the making of the next one. What stands at ``path`` is whole and on the disk.

    Raises:
        StorageError: no room.
        ValueError: the blocks are not as many bytes as the layouts say.
    """
    partial = path.with_name(f".{path.name}.partial")
    header = header_of(layouts)
    expected = len(header) + sum(layout.nbytes for layout in layouts.values())
    hasher, written = hashlib.sha256(), 0
    with room_on(path.parent), partial.open("wb", buffering=0) as file, ThreadPoolExecutor(1) as beside:

        def put(data: memoryview) -> int:
            hasher.update(data)
            done = 0
            while done < data.nbytes:
                done += file.write(data[done:]) or 0
            return done

        pending: Future[int] = beside.submit(put, memoryview(header))
        for block in blocks:
            written += pending.result()
            pending = beside.submit(put, block)
        written += pending.result()
        if written != expected:
            raise ValueError(f"{path}: {written} bytes were given, and the header is for {expected}")
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)
    return Written(hasher.hexdigest(), written)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder outlive a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse to sync folders
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def room_on(folder: Path) -> Iterator[None]:
    """Around writing to ``folder``. Raises StorageError where there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise StorageError(
            f"{folder}: {os.strerror(error.errno)}; free some space and run the command again, which goes on from here"
        ) from error
