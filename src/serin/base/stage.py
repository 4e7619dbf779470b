"""The stage ``base``: say which model is fine-tuned, pinned by content, and refuse one that cannot be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serin.clients.files import digests_in, output_folder, read_json, seal, write_json
from serin.core.digest import digest_of_files
from serin.core.errors import ConfigError
from serin.core.params import BaseParams

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
        shown = out / MODEL_FOLDER if params.rebuild else folder
        write_json(
            scratch / BASE_FILE,
            {
                "model": str(params.rebuild_params.corpus if params.rebuild else params.model),
                "revision": params.revision,
                "folder": shown.as_posix(),
                "digest": digest_of_files(files),
                "files": files,
            },
        )
        seal(scratch, kind="base", params=params.model_dump())
    return load(out)


def load(out: Path) -> Base:
    """Read ``base.json`` and compare the model's files with it. Raises ConfigError where the content differs."""
    record = read_json(out / BASE_FILE)
    folder = Path(record["folder"])
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


def find_config(params: BaseParams, out: Path) -> Path:
    """The folder of the base model, or the part of it that is at hand: ``config.json`` at least. Nothing is downloaded.

    Raises:
        ConfigError: none on this disk.
    """
    if (out / BASE_FILE).is_file():
        return Path(read_json(out / BASE_FILE)["folder"])
    folder = Path(params.model)
    if params.rebuild:
        raise ConfigError(f"{out / BASE_FILE} is not there, and base.rebuild makes the model: run 'serin base' first")
    if (folder / "config.json").is_file():
        return folder
    from huggingface_hub import try_to_load_from_cache

    is_hub_id = _is_hub_id(params.model)
    found = try_to_load_from_cache(params.model, "config.json", revision=params.revision) if is_hub_id else None
    if not isinstance(found, str):
        pinned = f" --revision {params.revision}" if params.revision else ""
        fetch = f"hf download {params.model}{pinned} config.json tokenizer.json tokenizer_config.json"
        raise ConfigError(
            f"base.model = {params.model!r}: no config.json on this disk; "
            + (f"fetch it alone with '{fetch}'" if is_hub_id else "name a folder in Hugging Face format, or a hub id")
        )
    return Path(found).parent


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
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(params.model, revision=params.revision, ignore_patterns=["*.bin", "*.pt", "*.gguf"])
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            f"base.model = {params.model!r}: the hub did not give it ({error}); check the id, HF_TOKEN and the network, or "
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
