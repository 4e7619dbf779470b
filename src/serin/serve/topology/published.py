"""A published revision: its record in storage, and whether vLLM could load its model."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from serin.clients.storage import Storage, read_json_from
from serin.core.errors import ConfigError, InputError, StorageError
from serin.core.params import ServeParams
from serin.core.revision import Revision


@dataclass(frozen=True, slots=True)
class Published:
    """A revision with its whole digest, and where its model lies in storage."""

    revision: Revision
    prefix: str
    lineage: Mapping[str, Any]


def find_published(storage: Storage, wanted: Revision) -> Published:
    """The one published record that ``wanted`` names, by its digest or a prefix of it. Raises InputError."""
    folder = f"published/{wanted.name}/"
    keys = [key for key in storage.list(folder) if key.endswith(".json")]
    matches = [key for key in keys if key.removeprefix(folder).startswith(wanted.digest)]
    if len(matches) != 1:
        known = ", ".join(f"{wanted.name}@{key.removeprefix(folder)[:12]}" for key in keys) or "none"
        found = "not published" if not matches else f"the beginning of {len(matches)} revisions"
        raise InputError(f"{wanted} is {found}; published: {known}; run 'serin publish', or give more digits")
    record = read_json_from(storage, matches[0])
    revision = Revision(str(record["name"]), str(record["digest"]))
    prefix = str(record.get("prefix") or f"models/{revision.name}/{revision.digest}")
    return Published(revision, prefix, record.get("lineage") or {})


def check_published(storage: Storage, published: Published, params: ServeParams) -> None:
    """Refuse what vLLM could not load, before a minute is spent on trying. Raises ConfigError (78)."""
    where = storage.uri(published.prefix)
    try:
        config = read_json_from(storage, f"{published.prefix}/config.json")
    except StorageError as error:
        raise ConfigError(f"{error}; expected a merged model in Hugging Face format") from error
    check_model(config, storage.list(f"{published.prefix}/"), where, params)


def check_model(config: Any, files: Collection[str], where: str, params: ServeParams) -> None:
    """Refuse a model by its ``config.json`` and the names of its files. Raises ConfigError (78)."""
    if not isinstance(config, dict) or not config.get("architectures"):
        raise ConfigError(f"{where}/config.json names no architecture; expected a merged model in Hugging Face format")
    if not any(name.endswith(".safetensors") for name in files):
        raise ConfigError(f"{where} holds no *.safetensors; expected a merged model in Hugging Face format")
    longest = config.get("max_position_embeddings")
    if isinstance(longest, int) and longest < params.max_model_len:
        raise ConfigError(
            f"serve.max_model_len = {params.max_model_len}: must not be above {longest}, the longest text of {where}; "
            "edit params.yaml, then 'serin stop' and 'serin serve' again"
        )
