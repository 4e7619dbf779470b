"""What lies under ``models/`` in storage: each model's folder with its size and age."""

from dataclasses import dataclass
from datetime import datetime

from serin.clients.models import prefix_of
from serin.clients.storage import Storage
from serin.core.manifest import MANIFEST
from serin.core.revision import Revision

FOLDER = "models"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One folder ``models/<name>/<digest>``; without a manifest it is not complete, or not any more."""

    revision: Revision
    files: int
    size_bytes: int
    newest: datetime
    """When its newest file was written, UTC."""
    is_complete: bool

    @property
    def prefix(self) -> str:
        """Where it lies in storage."""
        return prefix_of(self.revision.name, self.revision.digest)


def stored_models(storage: Storage) -> list[StoredModel]:
    """Every model's folder, by name and digest. What has another form than ``models/<name>/<digest>/`` is not looked at."""
    found: dict[Revision, list[tuple[str, int, datetime]]] = {}
    for file in storage.files(f"{FOLDER}/"):
        parts = file.key.split("/", 3)
        if len(parts) == 4 and _is_digest(parts[2]):
            found.setdefault(Revision(parts[1], parts[2]), []).append((parts[3], file.size_bytes, file.written))
    return [
        StoredModel(
            revision,
            files=len(files),
            size_bytes=sum(size_bytes for _, size_bytes, _ in files),
            newest=max(written for _, _, written in files),
            is_complete=any(name == MANIFEST for name, _, _ in files),
        )
        for revision, files in sorted(found.items())
    ]


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
