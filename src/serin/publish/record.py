"""The published record: what serving reads of a revision, and what was said of it before."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from serin.core.errors import StorageError
from serin.core.revision import Revision

FOLDER = "published"


class Publication(BaseModel):
    """Why a revision is visible, and from what it was made. The same content on any day and machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    digest: str
    prefix: str
    """Where the model's files lie in storage."""
    model_uri: str
    """The same, for people and other programs."""
    lineage: dict[str, str]
    """What the model was made from, by word (``base``, ``dataset``, ``adapter``), to its digest."""
    verdict: dict[str, Any] | None
    """The content of ``verdict.json``; None where nothing was evaluated."""
    evaluation: str | None
    """Digest of the evaluation that the verdict comes from."""
    override: str | None
    """Why it was published without a passing verdict of its own; None where it has one."""
    evidence: str
    """Where its card and the manifests of all that it was made from lie in storage."""

    @property
    def revision(self) -> Revision:
        """The revision that this is about."""
        return Revision(self.name, self.digest)


class Occasion(BaseModel):
    """When something was done and from which commit: no part of what is compared."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    at: str
    """ISO 8601, UTC."""
    commit: str | None = None
    """The git commit that was checked out; None outside a repository."""
    modified: bool | None = None
    """Whether tracked files differed from it."""


class Entry(Publication):
    """A publication and its occasion."""

    published: Occasion

    @property
    def publication(self) -> Publication:
        """Without its occasion."""
        return Publication.model_validate(self.model_dump(exclude={"published", "history"}))


class Record(Entry):
    """What stands in storage under ``published/<name>/<digest>.json``: the last entry on top, and those before it."""

    history: tuple[Entry, ...] = ()
    """Earlier entries, the oldest first."""

    @classmethod
    def first(cls, publication: Publication, occasion: Occasion) -> Self:
        """The record of a revision that was not published before."""
        return cls(**publication.model_dump(), published=occasion)

    def followed_by(self, publication: Publication, occasion: Occasion) -> "Record":
        """The record with a further entry; itself where that says nothing new."""
        if publication == self.publication:
            return self
        before = Entry.model_validate(self.model_dump(exclude={"history"}))
        return Record(**publication.model_dump(), published=occasion, history=(*self.history, before))

    def as_bytes(self) -> bytes:
        """As it is stored."""
        return json.dumps(self.model_dump(), indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def key_of(revision: Revision) -> str:
    """Where the record of a revision lies in storage; ``revision`` has its whole digest."""
    return f"{FOLDER}/{revision.name}/{revision.digest}.json"


def parse_record(data: bytes, where: str) -> Record:
    """The record in ``data``. Raises StorageError where it is none."""
    try:
        return Record.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"])) or "the whole of it"
        raise StorageError(
            f"{where} is no published record ({field}: {fault['msg']}): publish the revision again"
        ) from error
