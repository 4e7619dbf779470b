import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from serin.core.errors import StorageError
from serin.merge.shard import Layout, in_order, room_on, write_shard

TENSORS = {
    "b.weight": torch.arange(12.0).reshape(3, 4).bfloat16(),
    "a": torch.arange(3.0),
    "größe": torch.tensor(2.5),
    "mask": torch.tensor([True, False, True]),
    "none": torch.empty(0, 4),
}
LAYOUTS = {name: Layout(tuple(tensor.shape), tensor.dtype) for name, tensor in TENSORS.items()}


def blocks(cut: int = 0) -> Iterator[memoryview]:
    """The bytes of the tensors, in pieces."""
    for name in in_order(LAYOUTS):
        data = TENSORS[name].reshape(-1).view(torch.uint8).numpy().data
        for start in range(0, len(data) - cut, 5):
            yield data[start : min(start + 5, len(data) - cut)]


def test_the_file_is_byte_by_byte_what_safetensors_writes(tmp_path: Path) -> None:
    written = write_shard(tmp_path / "ours.safetensors", LAYOUTS, blocks())
    save_file(TENSORS, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    data = (tmp_path / "ours.safetensors").read_bytes()
    assert data == (tmp_path / "theirs.safetensors").read_bytes()
    assert written.digest == hashlib.sha256(data).hexdigest()
    assert written.nbytes == len(data)
    assert load_file(tmp_path / "ours.safetensors").keys() == TENSORS.keys()


def test_what_ends_too_early_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bytes were given"):
        write_shard(tmp_path / "ours.safetensors", LAYOUTS, blocks(cut=2))
    assert not (tmp_path / "ours.safetensors").exists()


def test_an_error_while_a_block_is_made_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    def broken() -> Iterator[memoryview]:
        yield next(blocks())
        raise KeyError("no such tensor")

    with pytest.raises(KeyError):
        write_shard(tmp_path / "ours.safetensors", LAYOUTS, broken())
    assert not (tmp_path / "ours.safetensors").exists()


def test_a_full_disk_is_told_of_as_such(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No space left on device; free some space"), room_on(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(PermissionError), room_on(tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
