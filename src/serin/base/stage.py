"""The stage ``base``: say which model is fine-tuned, pinned by content, and refuse one that cannot be.

What ``base.json`` says of a model depends on the model and on params alone: of a hub id it names the commit, and each machine
finds the files in its own cache, or downloads them; a model that was rebuilt lies beside it; of a folder it names the path that
params have, and where the files lie elsewhere (in the pod of a Job), SERIN_BASE_MODEL says where. The digests decide in any case.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.clients.files import digests_in, output_folder, read_json, seal, write_json
from serin.core.digest import digest_of_files
from serin.core.errors import ConfigError
from serin.core.params import BaseParams
from serin.core.task import MODEL_VARIABLE

BASE_FILE = "base.json"
MODEL_FOLDER = "model"


@dataclass(frozen=True, slots=True)
class Base:
    """A verified base model: where its files are, and their digest."""

    folder: Path
    digest: str
    model: str
    """What params call it: a hub id or a folder."""


def run(params: BaseParams, out: Path, progress: Callable[[int, int, float], None]) -> Base:
    """Verify (or rebuild) the base model and write ``base.json`` to ``out``.

    Raises:
        ConfigError: a folder that is no model, lacks a tokenizer or chat template, or a hub id without a revision.
    """
    with output_folder(out) as scratch:
        folder = _rebuilt(params, scratch, progress) if params.rebuild else _given(params)
        check_model_folder(folder)
        files = digests_in(folder)
        is_folder = not params.rebuild and params.revision is None
        write_json(
            scratch / BASE_FILE,
            {
                "model": str(params.rebuild_params.corpus if params.rebuild else params.model),
                "revision": params.revision,
                "folder": folder.as_posix() if is_folder else None,
                "digest": digest_of_files(files),
                "files": files,
            },
        )
        seal(scratch, kind="base", params=params.model_dump())
    return load(out)


def load(out: Path, environment: Mapping[str, str] = os.environ) -> Base:
    """Read ``base.json`` and compare the model's files with it. Raises ConfigError where the content differs."""
    record = read_json(out / BASE_FILE)
    folder = _folder_of(record, out, environment)
    if folder is None:
        cached = _cached(record["model"], record["revision"])
        is_whole = cached is not None and all((cached / name).is_file() for name in record["files"])
        folder = cached if cached is not None and is_whole else _of_hub(record["model"], record["revision"])
    if not folder.is_dir():
        raise ConfigError(f"the base model {folder} is gone: run 'serin base' (or 'dvc repro base')")
    found = digests_in(folder)
    if found != record["files"]:
        changed = sorted(n for n in found.keys() | record["files"].keys() if found.get(n) != record["files"].get(n))
        raise ConfigError(
            f"the base model {folder} is not the one that {out / BASE_FILE} pins ({', '.join(changed[:3])} differ): "
            "restore it, or run 'dvc repro base' to take the new content"
        )
    return Base(folder, str(record["digest"]), str(record["model"]))


def model_folder(out: Path) -> Path | None:
    """The folder that ``base.json`` names and that a pod needs beside it; None where the record is enough.

    It is enough for a model of the hub, and for one that was rebuilt, which lies in ``out`` itself.
    """
    folder = read_json(out / BASE_FILE)["folder"]
    return None if folder is None else Path(folder)


def find_config(params: BaseParams, out: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the base model, or the part of it that is at hand: ``config.json`` at least. Nothing is downloaded.

    Raises:
        ConfigError: none on this disk.
    """
    model, revision = params.model, params.revision
    if (out / BASE_FILE).is_file():
        record = read_json(out / BASE_FILE)
        folder = _folder_of(record, out, environment)
        if folder is not None:
            return folder
        model, revision = record["model"], record["revision"]
    elif params.rebuild:
        raise ConfigError(f"{out / BASE_FILE} is not there, and base.rebuild makes the model: run 'serin base' first")
    elif (Path(model) / "config.json").is_file():
        return Path(model)
    is_hub_id = _is_hub_id(model)
    found = _cached(model, revision) if is_hub_id else None
    if found is None:
        pinned = f" --revision {revision}" if revision else ""
        fetch = f"hf download {model}{pinned} config.json tokenizer.json tokenizer_config.json"
        raise ConfigError(
            f"base.model = {model!r}: no config.json on this disk; "
            + (f"fetch it alone with '{fetch}'" if is_hub_id else "name a folder in Hugging Face format, or a hub id")
        )
    return found


def check_model_folder(folder: Path) -> None:
    """Refuse what no later stage could use: no config, no weights, no tokenizer, no chat template."""
    check_model_files(folder, ("config.json", "tokenizer.json"))
    from serin.lm.load import load_tokenizer

    load_tokenizer(folder)


def check_model_files(folder: Path, names: Sequence[str]) -> None:
    """Refuse a folder that lacks one of these files, or weights; looks at names alone."""
    for name in names:
        if not (folder / name).is_file():
            raise ConfigError(f"base model {folder} has no {name}: expected a folder in Hugging Face format")
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"base model {folder} has no *.safetensors: convert its weights first")


def _given(params: BaseParams) -> Path:
    folder = Path(params.model)
    if folder.is_dir():
        if params.revision is not None:
            raise ConfigError(
                f"base.revision = {params.revision!r}: only a hub id has a revision; {folder} is a folder"
            )
        return folder
    if not _is_hub_id(params.model):
        raise ConfigError(f"base.model = {params.model!r}: no such folder, and not a hub id (owner/name)")
    if params.revision is None:
        raise ConfigError(
            f"base.revision is not set: the hub id {params.model!r} needs a 40-hex commit, so that the same params always "
            "mean the same model"
        )
    return _of_hub(params.model, params.revision)


def _folder_of(record: Mapping[str, Any], out: Path, environment: Mapping[str, str]) -> Path | None:
    """Where a record's model lies on this machine; None: in the cache of the hub, if it is there."""
    if record["folder"] is not None:
        return Path(environment.get(MODEL_VARIABLE) or record["folder"])
    return None if record["revision"] else out / MODEL_FOLDER


def _cached(model: str, revision: str | None) -> Path | None:
    """Where the hub's cache on this machine has a commit's ``config.json``; nobody is asked."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def _of_hub(model: str, revision: str) -> Path:
    """The files of a commit, downloaded where this machine's cache does not have them."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, ignore_patterns=["*.bin", "*.pt", "*.gguf"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            f"base.model = {model!r}: the hub did not give it ({error}); check the id, HF_TOKEN and the network, or "
            "name a local folder"
        ) from error


def _is_hub_id(model: str) -> bool:
    """Whether it is written ``owner/name``, and not as a path."""
    return not model.startswith((".", "/")) and model.count("/") == 1


def _rebuilt(params: BaseParams, scratch: Path, progress: Callable[[int, int, float], None]) -> Path:
    from serin.base.pretrain import pretrain

    folder = scratch / MODEL_FOLDER
    pretrain(params.rebuild_params, Path(params.rebuild_params.corpus), folder, progress)
    return folder
