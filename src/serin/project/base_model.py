"""The base model that a project is to start from: a folder that later stages can use, or a hub id pinned to a commit."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.base.stage import check_model_files
from serin.clients.files import read_json
from serin.core.errors import ConfigError, InputError, UsageError
from serin.prepare.record.tokens import TokenCounter

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """``folder`` or a hub id with its ``revision``; ``context_tokens`` is the longest input, None where nobody knows."""

    name: str
    folder: Path | None
    revision: str | None
    context_tokens: int | None


TO_BE_NAMED = "owner/name"
"""Stands for a base model that nobody has named yet; ``serin base`` refuses it for want of a revision."""


def find_base(name: str | None, revision: str | None) -> BaseModel:
    """Check what can be checked without loading the model; a hub id is fetched by ``serin base``, not here.

    Raises:
        UsageError: neither a folder nor a hub id, a hub id without its commit, or a folder with one.
        ConfigError: a folder that no later stage could use.
    """
    if name is None:
        if revision is not None:
            raise UsageError(f"--revision {revision}: of which model? name it with --base")
        return BaseModel(TO_BE_NAMED, None, None, None)
    folder = Path(name)
    if folder.is_dir():
        if revision is not None:
            raise UsageError(f"--revision {revision}: only a hub id has one, and {name} is a folder; leave it out")
        return BaseModel(name, folder, None, _check_folder(folder))
    if not _HUB_ID.fullmatch(name):
        raise UsageError(f"--base {name}: no such folder, and no hub id (owner/name); name one of the two")
    if revision is None or not _COMMIT.fullmatch(revision):
        found = "no --revision" if revision is None else f"--revision {revision}"
        raise UsageError(
            f"--base {name} has {found}: a hub id needs its commit of 40 hex digits, so that the project always means the "
            "same model; if it is meant to be a folder, there is none of that name"
        )
    return BaseModel(name, None, revision, None)


def _check_folder(folder: Path) -> int | None:
    check_model_files(folder, ("config.json", "tokenizer.json", "tokenizer_config.json"))
    TokenCounter(folder)
    try:
        config: Any = read_json(folder / "config.json")
    except InputError as error:
        raise ConfigError(f"base model {folder}: {error}") from error
    config = config.get("text_config", config) if isinstance(config, dict) else {}
    limit = config.get("max_position_embeddings") if isinstance(config, dict) else None
    return limit if isinstance(limit, int) and limit > 0 else None
