"""The weight files of a Hugging Face folder: which there are, and what they hold, read by the block.

safetensors maps its files into memory, and every page that was looked at then counts as this process's own until the whole file
is closed. Here bytes are read into buffers that are used again, so that memory does not grow with the files.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from serin.clients.files import read_json
from serin.core.errors import ConfigError, InputError

INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_LENGTH_BYTES = 8
DTYPES = {
    **{"BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32},
    **{"I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64},
}
"""Of the format's names; the few that are not here hold no weights that transformers loads."""


class Weight(Protocol):
    """A tensor that is read by rows, its first dimension."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows from ``start`` up to ``stop``."""

    def read(self) -> torch.Tensor:
        """The whole."""


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor in memory."""

    tensor: torch.Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> torch.dtype:
        return self.tensor.dtype

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return self.tensor[start:stop]

    def read(self) -> torch.Tensor:
        return self.tensor


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a safetensors file; nothing of it stays in memory."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    offset: int
    """Of its first byte in the file."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return prod(self.shape) * self.dtype.itemsize

    def rows(self, start: int, stop: int) -> torch.Tensor:
        row_bytes = prod(self.shape[1:]) * self.dtype.itemsize
        data = self.bytes(start * row_bytes, (stop - start) * row_bytes)
        return torch.frombuffer(data, dtype=self.dtype).reshape(stop - start, *self.shape[1:])

    def read(self) -> torch.Tensor:
        if self.nbytes == 0:
            return torch.empty(self.shape, dtype=self.dtype)
        return torch.frombuffer(self.bytes(0, self.nbytes), dtype=self.dtype).reshape(self.shape)

    def bytes(self, start: int, count: int) -> bytearray:
        """``count`` bytes from ``start`` on. Raises InputError where the file ends before."""
        data = bytearray(count)
        view, done = memoryview(data), 0
        handle = os.open(self.path, os.O_RDONLY)
        try:
            while done < count:
                read = os.preadv(handle, [view[done:]], self.offset + start + done)
                if read == 0:
                    raise InputError(f"{self.path} ended within {self.name}: it was cut while it was read; restore it")
                done += read
        finally:
            os.close(handle)
        return data


def weight_files(folder: Path) -> list[Path]:
    """Those that transformers and vLLM load: what the index names, or the one file; not a second copy in another layout.

    Raises:
        ConfigError: none there.
        InputError: one that the index names is missing, or the index is no index.
    """
    if (folder / INDEX).is_file():
        index = read_json(folder / INDEX)
        places = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise InputError(f"{folder / INDEX} has no weight_map of tensors to files: restore the model")
        if outside := [name for name in places.values() if Path(name).name != name]:
            raise InputError(
                f"{folder / INDEX} names {outside[0]!r}, which is not a file of its folder: restore the model"
            )
        files = [folder / name for name in sorted(set(places.values()))]
    else:
        files = [folder / _SINGLE]
    missing = [path.name for path in files if not path.is_file()]
    if missing and not (folder / INDEX).is_file():
        raise ConfigError(f"{folder} holds neither {_SINGLE} nor {INDEX}: take a model whose weights are safetensors")
    if missing:
        raise InputError(f"{folder} has no {', '.join(missing)}, which {INDEX} names: restore the model")
    return files


def stored_in(path: Path) -> dict[str, Stored]:
    """The tensors of one file, by name. Raises InputError where it is missing, cut, or its header does not fit its bytes."""
    with _readable(path):
        with safe_open(path, framework="pt"):  # has the library check the header against the file's size
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header: dict[str, Any] = json.loads(file.read(length))
    found = {}
    for name, told in header.items():
        if name == "__metadata__":
            continue
        if told["dtype"] not in DTYPES:
            raise InputError(f"{path} keeps {name} as {told['dtype']}: expected one of {', '.join(DTYPES)}")
        begin = _LENGTH_BYTES + length + told["data_offsets"][0]
        found[name] = Stored(path, name, tuple(told["shape"]), DTYPES[told["dtype"]], begin)
    return found


def stored_in_model(folder: Path) -> dict[str, Stored]:
    """The tensors of all weight files of a model, by name. Raises what ``weight_files`` and ``stored_in`` raise."""
    found: dict[str, Stored] = {}
    for path in weight_files(folder):
        for name, tensor in stored_in(path).items():
            if name in found:
                raise InputError(
                    f"{folder} has {name} in {found[name].path.name} and in {path.name}: restore the model"
                )
            found[name] = tensor
    return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: restore it") from error
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}): restore it") from error
