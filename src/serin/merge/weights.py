"""The weight files of a Hugging Face folder: which there are, and what they hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from serin.clients.files import read_json
from serin.core.errors import ConfigError, InputError

INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"


def weight_files(folder: Path) -> list[Path]:
    """Those that transformers and vLLM load: what the index names, or the one file; not a second copy in another layout.

    Raises:
        ConfigError: none there.
        InputError: one that the index names is missing.
    """
    if (folder / INDEX).is_file():
        files = [folder / name for name in sorted(set(read_json(folder / INDEX)["weight_map"].values()))]
    else:
        files = [folder / _SINGLE]
    missing = [path.name for path in files if not path.is_file()]
    if missing and not (folder / INDEX).is_file():
        raise ConfigError(f"{folder} holds neither {_SINGLE} nor {INDEX}: take a model whose weights are safetensors")
    if missing:
        raise InputError(f"{folder} has no {', '.join(missing)}, which {INDEX} names: restore the model")
    return files


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file whose tensors are read one at a time. Raises InputError where it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}): restore the model") from error


def names_in(folder: Path) -> frozenset[str]:
    """The names of all tensors of a model."""
    names: set[str] = set()
    for path in weight_files(folder):
        with opened(path) as file:
            names.update(file.keys())
    return frozenset(names)
