"""What stays of a deleted revision: its last record, and why it went, beside the evidence of how it was made."""

from pydantic import BaseModel, ConfigDict

from serin.clients.storage import Storage
from serin.core.revision import Revision
from serin.publish.evidence import FOLDER
from serin.publish.record import Record

_NAME = "deleted.json"


class Deleted(BaseModel):
    """A revision that was published once."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    at: str
    """ISO 8601, UTC."""
    reason: str | None
    """Why it was deleted in spite of what held it; None where nothing did."""
    record: Record
    """As it was published last."""


def note_deleted(storage: Storage, deleted: Deleted) -> None:
    """Keep it; what was kept of an earlier deletion of the same revision is replaced."""
    storage.write(_key(deleted.record.revision), (deleted.model_dump_json(indent=2) + "\n").encode())


def deleted_revisions(storage: Storage, name: str | None = None) -> list[Revision]:
    """Every revision that was deleted at some time, or those of one name; some may be published again."""
    keys = storage.list(f"{FOLDER}/{name}/" if name else f"{FOLDER}/")
    parts = [key.split("/") for key in keys if key.endswith(f"/{_NAME}")]
    return sorted(Revision(part[1], part[2]) for part in parts if len(part) == 4)


def read_deleted(storage: Storage, revision: Revision) -> Deleted:
    """What stays of a deleted revision with its whole digest. Raises StorageError where there is nothing."""
    return Deleted.model_validate_json(storage.read(_key(revision)))


def _key(revision: Revision) -> str:
    return f"{FOLDER}/{revision.name}/{revision.digest}/{_NAME}"
