"""What goes into a run, from the project's folder to storage."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from serin.base.stage import model_folder
from serin.clients.dvc_remote import DvcRemote, listed, md5_of
from serin.core.errors import InputError
from serin.core.task import OUTPUT, STAGES, Word

ARTIFACTS: dict[Word, Path] = {
    "base": Path("artifacts/base"),
    "dataset": Path("artifacts/dataset"),
    **{OUTPUT[stage]: Path("artifacts") / OUTPUT[stage] for stage in STAGES},
}
"""Where ``dvc.yaml`` has them."""
_MAKERS: dict[Word, str] = {"base": "base", "dataset": "prepare", **{OUTPUT[stage]: stage for stage in STAGES}}


def places_of(words: Iterable[Word], places: Mapping[Word, Path]) -> dict[Word, Path]:
    """The folder of each word, and of ``model``, if the base model is a folder of this machine.

    Raises:
        InputError: one of them is not there.
    """
    found: dict[Word, Path] = {}
    for word in words:
        path = places[word]
        if not (path / "manifest.json").is_file():
            raise InputError(
                f"{path} is missing or not whole: run 'serin {_MAKERS[word]}', or 'dvc repro {_MAKERS[word]}'"
            )
        found[word] = path
    model = model_folder(found["base"]) if "base" in found else None
    return found | ({"model": model} if model is not None else {})


def content_of(path: Path) -> str:
    """The hash that DVC gives a file or a folder; nothing is sent anywhere."""
    if path.is_file():
        return md5_of(path)
    files = sorted(found for found in path.rglob("*") if found.is_file())
    contents = {file.relative_to(path).as_posix(): md5_of(file) for file in files}
    return hashlib.md5(listed(contents), usedforsecurity=False).hexdigest() + ".dir"


def hash_inputs(places: Mapping[Word, Path]) -> dict[Word, str]:
    """The hash of each."""
    return {word: content_of(path) for word, path in places.items()}


def store_inputs(places: Mapping[Word, Path], remote: DvcRemote) -> dict[Word, str]:
    """Put each into storage, as far as it is not there already, and return the hashes.

    Raises:
        StorageError: storage does not take it.
    """
    return {word: remote.put(path) for word, path in places.items()}
