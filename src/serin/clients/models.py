"""Stored models: where one lies in storage, and the pointer to it that DVC tracks."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serin.clients.files import output_folder, read_json, seal, write_json
from serin.clients.storage import Storage
from serin.core.errors import InputError
from serin.core.manifest import MANIFEST, Manifest

POINTER = "pointer.json"


@dataclass(frozen=True, slots=True)
class Pointer:
    """One stored model: what ``merge`` and ``quantise`` write, and ``evaluate`` and ``publish`` take."""

    name: str
    digest: str
    prefix: str
    """Of its keys in storage."""
    inputs: dict[str, str]
    """What went in, by word, to its digest."""


def read_pointer(folder: Path) -> Pointer:
    """The pointer in a stage's output. Raises InputError where there is none, or something else."""
    told = read_json(folder / POINTER)
    try:
        return Pointer(told["name"], told["digest"], told["prefix"], dict(told["inputs"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / POINTER} is no pointer to a stored model ({error!r}): run 'serin merge' again"
        ) from error


def prefix_of(name: str, digest: str) -> str:
    """Where in storage a model is."""
    return f"models/{name}/{digest}"


def store_model(manifest: Manifest, folder: Path, name: str, storage: Storage, out: Path) -> Pointer:
    """Move a sealed model into storage, its manifest last, and write the pointer to ``out``."""
    storage.move_folder(folder, prefix_of(name, manifest.digest), last=MANIFEST)
    return write_pointer(manifest, name, out)


def write_pointer(manifest: Manifest, name: str, out: Path, **more: Any) -> Pointer:
    """Write what DVC tracks of a stored model: its name, digest and place, and what ``more`` there is to tell."""
    pointer = Pointer(name, manifest.digest, prefix_of(name, manifest.digest), manifest.inputs)
    with output_folder(out) as scratch:
        write_json(scratch / POINTER, {**asdict(pointer), **more})
        seal(scratch, kind="pointer", inputs=pointer.inputs, params=manifest.params)
    return pointer
