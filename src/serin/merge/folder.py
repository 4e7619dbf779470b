"""What a merged model's folder holds beside weights: files of the base or of what was trained, and a config that fits."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from serin.clients.files import read_json, write_json
from serin.core.manifest import MANIFEST
from serin.merge.placement import Changes
from serin.merge.shard import room_on

_CONFIG = "config.json"
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".gguf", ".onnx", ".index.json")
_NOT_COPIED = (*_WEIGHTS, ".md")
_TOKENIZER = frozenset(
    {
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"),
        *("vocab.json", "merges.txt", "vocab.txt", "spiece.model", "tekken.json"),
        *("chat_template.jinja", "chat_template.json"),
    }
)
_TRAINED = _TOKENIZER | {_CONFIG, "generation_config.json"}
"""Of what training writes: curves and figures are no part of a model."""


def copy_files(base: Path, trained: Path | None, out: Path) -> None:
    """Copy all that is no weights: config, tokenizer with its template, generation config, licence.

    What training wrote of the model comes before the base's; its tokenizer takes the place of the base's with all its files.
    """
    replaced = {path.name for path in trained.iterdir() if path.name in _TRAINED} if trained is not None else set()
    if replaced & _TOKENIZER:
        replaced |= _TOKENIZER
    for path in sorted(base.iterdir()):
        if path.is_file() and _is_copied(path.name) and path.name not in replaced:
            _copy(path, out / path.name)
    for name in sorted(replaced):
        if trained is not None and (trained / name).is_file():
            _copy(trained / name, out / name)


def set_config(folder: Path, changes: Changes, dtype: torch.dtype) -> None:
    """Bring config.json into line with the weights."""
    config = read_json(folder / _CONFIG)
    config.pop("torch_dtype", None)  # the old name of dtype, which would contradict it
    config["dtype"] = str(dtype).removeprefix("torch.")
    if changes.unties:
        _set(config, "tie_word_embeddings", False, everywhere=True)
    if changes.vocabulary is not None:
        _set(config, "vocab_size", changes.vocabulary, everywhere=False)
    write_json(folder / _CONFIG, config)


def _copy(source: Path, target: Path) -> None:
    with room_on(target.parent):
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())


def _set(config: dict[str, Any], field: str, value: object, everywhere: bool) -> None:
    """Where a model has a part for text, its config holds the vocabulary; tying is said on both levels."""
    text: Mapping[str, Any] | None = config.get("text_config")
    if isinstance(text, dict):
        text[field] = value
    if everywhere or text is None:
        config[field] = value


def _is_copied(name: str) -> bool:
    return not name.endswith(_NOT_COPIED) and not name.startswith(".") and name != MANIFEST
