"""Evidence: the small records of everything that a model was made from, kept beside what is published.

They are copies, so that the way back from a served answer to the data does not depend on anybody's workspace or cache. Each set
lies in a folder named by its own digest, ``lineage/<name>/<digest>/<digest of the set>/``: written once, and never changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from serin.clients.files import digest_of_file, read_json, read_manifest
from serin.clients.storage import Storage
from serin.core.digest import digest_of_bytes, digest_of_files
from serin.core.errors import InputError
from serin.core.manifest import MANIFEST, Manifest
from serin.core.revision import Revision

FOLDER = "lineage"
CARD = "README.md"
MODEL, TRAINED, DATASET, EVALUATION = "model.json", "trained.json", "dataset.json", "evaluation.json"
"""Manifests, by what they are of."""
BASE, QUALITY, DATA_CARD, VERDICT, METRICS = "base.json", "quality.json", "dataset.md", "verdict.json", "metrics.json"
"""Copies of files that the stages wrote."""

_TRAINED_KINDS = ("adapter", "weights")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The folders that the stages wrote; ``evaluation`` is None where nothing was evaluated."""

    merged: Path
    evaluation: Path | None
    adapter: Path
    dataset: Path
    base: Path


def gather(model: Manifest, outputs: Outputs) -> dict[str, bytes]:
    """The records of what ``model`` was made from, by file name; only of what its manifest names as inputs.

    Raises:
        InputError: an output is missing, damaged, or not the one that the model was made from.
    """
    records = {MODEL: _as_bytes(model.model_dump())}
    if "base" in model.inputs:
        records[BASE] = _as_bytes(_base(outputs.base, model.inputs["base"]))
    for kind in _TRAINED_KINDS:
        if kind in model.inputs:
            records[TRAINED] = _as_bytes(_manifest(outputs.adapter, kind, model.inputs[kind], "--adapter").model_dump())
    if "dataset" in model.inputs:
        dataset = _manifest(outputs.dataset, "dataset", model.inputs["dataset"], "--dataset")
        records[DATASET] = _as_bytes(dataset.model_dump())
        records |= _copies(outputs.dataset, dataset, {"quality.json": QUALITY, "README.md": DATA_CARD})
    if outputs.evaluation is not None:
        evaluation = read_manifest(outputs.evaluation, "evaluation")
        records[EVALUATION] = _as_bytes(evaluation.model_dump())
        records |= _copies(outputs.evaluation, evaluation, {"verdict.json": VERDICT, "metrics.json": METRICS})
    return records


def store(storage: Storage, revision: Revision, records: Mapping[str, bytes]) -> str:
    """Write the records, and return the folder in storage that holds them."""
    folder = f"{FOLDER}/{revision.name}/{revision.digest}/{_digest_of(records)}"
    for name, data in sorted(records.items()):
        storage.write(f"{folder}/{name}", data)
    return folder


def read_evidence(storage: Storage, folder: str) -> dict[str, Any]:
    """The JSON records of a folder in storage, by file name. Raises StorageError where one cannot be read."""
    names = [key.removeprefix(f"{folder}/") for key in storage.list(f"{folder}/")]
    records = {name: storage.read(f"{folder}/{name}") for name in names if name.endswith(".json")}
    try:
        return {name: json.loads(data) for name, data in records.items()}
    except ValueError as error:
        raise InputError(f"{storage.uri(folder)} holds a file that is not JSON ({error}): publish again") from error


def _base(folder: Path, digest: str) -> dict[str, Any]:
    """What ``base.json`` says, less where the files lay on one machine."""
    told: dict[str, Any] = read_json(folder / BASE)
    _expect(folder, str(told.get("digest")), digest, "base", "--base")
    model = str(told.get("model", ""))
    return {**told, "model": PurePath(model).name if PurePath(model).is_absolute() else model, "folder": None}


def _manifest(folder: Path, kind: str, digest: str, option: str) -> Manifest:
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} holds no {kind}: run 'dvc checkout', or name the one that was merged with {option}")
    manifest = read_manifest(folder, kind)
    _expect(folder, manifest.digest, digest, kind, option)
    return manifest


def _expect(folder: Path, found: str, expected: str, kind: str, option: str) -> None:
    if found != expected:
        raise InputError(
            f"{folder} holds the {kind} {found[:12]}, and the model was made from {expected[:12]}: run 'dvc checkout' or "
            f"'dvc repro', or name the right one with {option}"
        )


def _copies(folder: Path, manifest: Manifest, names: Mapping[str, str]) -> dict[str, bytes]:
    """Those of these files that the manifest has, as they were sealed."""
    copies = {}
    for name, copy in names.items():
        if name in manifest.files:
            if not (folder / name).is_file() or digest_of_file(folder / name) != manifest.files[name]:
                raise InputError(f"{folder / name} is not what its manifest says: run 'dvc checkout', or make it again")
            copies[copy] = (folder / name).read_bytes()
    return copies


def _as_bytes(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _digest_of(records: Mapping[str, bytes]) -> str:
    return digest_of_files({name: digest_of_bytes(data) for name, data in records.items()})
