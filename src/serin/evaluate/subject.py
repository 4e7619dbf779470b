"""Who is evaluated: the candidate, and the models that it is compared with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serin.clients.files import digests_in, read_json, read_manifest
from serin.clients.models import prefix_of, read_pointer
from serin.clients.storage import Storage
from serin.core.digest import digest_of, digest_of_files
from serin.core.errors import ConfigError, InputError, StorageError
from serin.core.manifest import MANIFEST
from serin.core.params import EvaluateParams
from serin.core.revision import Revision
from serin.evaluate.answers.answerer import Answerer
from serin.evaluate.answers.local import LocalModel
from serin.evaluate.answers.served import Address, ServedModel

Name = Literal["candidate", "base", "production"]
MODELS = Path(".serin/models")
"""Where models out of remote storage are kept."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One model of an evaluation."""

    name: Name
    digest: str
    """Of the merged model, of the adapter, or of the base."""
    answerer: Answerer
    called: str
    """``name@digest``, or what else it is called."""
    via: str = "transformers"
    """Where its answers come from."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the command line names: at most one of the three, or none where an endpoint alone is asked."""

    merged: Path | None = None
    """Folder of a pointer that ``merge`` or ``quantise`` wrote."""
    adapter: Path | None = None
    """Folder of an adapter, to be asked on the base."""
    folder: Path | None = None
    """Folder of a model."""
    address: Address | None = None
    """Where it is served; its answers then come from there."""


def candidate_of(params: EvaluateParams, named: Candidate, base: Path, base_digest: str, storage: Storage) -> Subject:
    """What is to be judged.

    Raises:
        ConfigError: an adapter of another base.
        InputError: a damaged folder.
    """
    if named.merged is not None:
        pointer = read_pointer(named.merged)
        called, digest = f"{pointer.name}@{pointer.digest}", pointer.digest
        folder = _verified(storage.fetch_folder(pointer.prefix, MODELS / digest), digest)
        if named.address is not None:
            return _served(params, named.address, digest, called, folder)
        return Subject("candidate", digest, _local(params, folder, digest), called)
    if named.adapter is not None:
        made = read_manifest(named.adapter, "adapter", verify=True)
        if made.inputs["base"] != base_digest:
            raise ConfigError(
                f"{named.adapter} was trained on the base {made.inputs['base'][:12]}, and this base is {base_digest[:12]}: "
                "evaluate it on its own base"
            )
        answerer = LocalModel(base, made.digest, params.max_new_tokens, params.batch_size, named.adapter)
        return Subject("candidate", made.digest, answerer, f"adapter {made.digest[:12]}", "transformers, on the base")
    if named.folder is not None:
        digest = _digest_of_folder(named.folder)
        if named.address is not None:
            return _served(params, named.address, digest, named.folder.name, named.folder)
        return Subject("candidate", digest, _local(params, named.folder, digest), named.folder.name)
    assert named.address is not None
    digest = digest_of({"url": named.address.url, "model": named.address.model})
    return _served(params, named.address, digest, f"{named.address.model} at {named.address.url}", None)


def base_of(params: EvaluateParams, folder: Path, digest: str, called: str) -> Subject:
    """What the candidate was tuned from; ``called`` is its hub id or folder."""
    return Subject("base", digest, _local(params, folder, digest), called)


def production_of(params: EvaluateParams, storage: Storage) -> Subject | None:
    """The pinned production model; None where none is pinned.

    Raises:
        ConfigError: storage does not hold it.
    """
    if params.against is None:
        return None
    revision = Revision.parse(params.against)
    try:
        folder = storage.fetch_folder(prefix_of(revision.name, revision.digest), MODELS / revision.digest)
        _verified(folder, revision.digest)
    except StorageError as error:
        raise ConfigError(
            f"evaluate.against = {params.against!r}: {error}; 'serin models list' shows what there is, and "
            "'serin evaluate --pin production' writes what is in production now"
        ) from error
    return Subject("production", revision.digest, _local(params, folder, revision.digest), params.against)


def _verified(folder: Path, digest: str) -> Path:
    """The folder, whose bytes are those that the digest names: a verdict is about what is served."""
    found = read_manifest(folder, "model", verify=True).digest
    if found != digest:
        raise InputError(f"{folder} holds {found[:12]}, expected {digest[:12]}: run 'serin merge' again")
    return folder


def _local(params: EvaluateParams, folder: Path, digest: str) -> LocalModel:
    return LocalModel(folder, digest, params.max_new_tokens, params.batch_size)


def _served(params: EvaluateParams, address: Address, digest: str, called: str, folder: Path | None) -> Subject:
    answerer = ServedModel(address, digest, params.max_new_tokens, folder)
    return Subject("candidate", digest, answerer, called, f"{address.model} at {address.url}")


def _digest_of_folder(folder: Path) -> str:
    """That of its manifest, verified, or of all its files where it has none."""
    if (folder / MANIFEST).is_file():
        return read_manifest(folder, read_json(folder / MANIFEST).get("kind", "model"), verify=True).digest
    return digest_of_files(digests_in(folder))
