"""Versions and stages of a model: what storage says of them, for every machine the same, and how that may change.

A version (``v1.2.0``) is given once and stays with its revision. A stage (``production``) is with one revision at a time.
"""

import json
import re
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, ValidationError

from serin.clients.storage import Storage
from serin.core.errors import RetryableError, StorageError, UsageError

FOLDER = "registry"
# As GTO reads them (semver.org, without a pre-release), so that both can hold every version.
_VERSION = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_STAGE = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_TRIES = 8


class Naming(BaseModel):
    """One change: a version or a stage that was given to a revision, or taken from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    at: str
    """ISO 8601, UTC."""
    digest: str
    version: str | None = None
    stage: str | None = None
    taken: bool = False
    """Whether it was taken away, because the revision was deleted."""


class Names(BaseModel):
    """Every version and stage of one model, by its name, to the digest that has it now."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    versions: dict[str, str] = {}
    stages: dict[str, str] = {}
    history: tuple[Naming, ...] = ()

    def with_version(self, version: str, digest: str, at: str) -> "Names":
        """The version given. Raises UsageError where another revision has it."""
        had = self.versions.get(version)
        if had == digest:
            return self
        if had is not None:
            raise UsageError(
                f"{version} is {had[:12]} already, and a version stays with its revision: choose a new one"
            )
        given = Naming(at=at, digest=digest, version=version)
        return Names(versions={**self.versions, version: digest}, stages=self.stages, history=(*self.history, given))

    def with_stage(self, stage: str, digest: str, at: str) -> "Names":
        """The stage moved."""
        if self.stages.get(stage) == digest:
            return self
        given = Naming(at=at, digest=digest, stage=stage)
        return Names(versions=self.versions, stages={**self.stages, stage: digest}, history=(*self.history, given))

    def without_stages(self, digest: str, at: str) -> "Names":
        """The revision has no stage any more. Its versions stay: none of them is ever given again."""
        lost = sorted(stage for stage, held in self.stages.items() if held == digest)
        stages = {stage: held for stage, held in self.stages.items() if held != digest}
        if not lost:
            return self
        taken = tuple(Naming(at=at, digest=digest, stage=stage, taken=True) for stage in lost)
        return Names(versions=self.versions, stages=stages, history=(*self.history, *taken))


def is_version(text: str) -> bool:
    """Whether it reads ``v1.2.0``."""
    return _VERSION.fullmatch(text) is not None


def check_version(text: str) -> str:
    """The version. Raises UsageError where it is none."""
    if not is_version(text):
        raise UsageError(f"version {text!r}: expected vMAJOR.MINOR.PATCH, such as v1.2.0")
    return text


def check_stage(text: str) -> str:
    """The stage's name. Raises UsageError where it is none."""
    if not _STAGE.fullmatch(text):
        raise UsageError(f"stage {text!r}: expected small letters, digits and hyphens, such as production")
    return text


def read_names(storage: Storage, name: str) -> Names:
    """What storage says; no names where it says nothing. Raises StorageError where it is damaged."""
    data, _ = storage.read_versioned(_key(name))
    return _parse(data, storage.uri(_key(name)))


def change_names(storage: Storage, name: str, change: Callable[[Names], Names]) -> Names:
    """Apply a change to what stands in storage at that moment; nothing is lost if others change it meanwhile.

    Raises:
        RetryableError: others were faster each time.
    """
    key = _key(name)
    for _ in range(_TRIES):
        data, version = storage.read_versioned(key)
        present = _parse(data, storage.uri(key))
        wanted = change(present)
        if wanted is present or storage.replace(key, _as_bytes(wanted), version):
            return wanted
    raise RetryableError(f"{storage.uri(key)} is being changed by others: run the command again")


def _key(name: str) -> str:
    return f"{FOLDER}/{name}.json"


def _parse(data: bytes | None, where: str) -> Names:
    if data is None:
        return Names()
    try:
        return Names.model_validate_json(data)
    except ValidationError as error:
        raise StorageError(f"{where} is damaged ({error}): put an earlier version of it back") from error


def _as_bytes(names: Names) -> bytes:
    return json.dumps(names.model_dump(), indent=2, sort_keys=True).encode() + b"\n"
