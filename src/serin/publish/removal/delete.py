"""Deleting one published revision: first it stops being visible, then its bytes go; how it was made stays known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.clients.serving_state import ServingState
from serin.clients.storage import Storage
from serin.core.errors import GateError
from serin.core.manifest import MANIFEST
from serin.core.revision import Revision
from serin.publish.record import Record, key_of
from serin.publish.registry import tags
from serin.publish.registry.deleted import Deleted, note_deleted
from serin.publish.registry.find import read_record
from serin.publish.registry.names import change_names
from serin.publish.registry.production import naming
from serin.publish.registry.project import open_project
from serin.publish.removal.served import served_revisions


@dataclass(frozen=True, slots=True)
class Deletion:
    """What deleting a revision would do."""

    record: Record
    files: int
    size_bytes: int
    held_by: tuple[str, ...]
    """Stages and serving states that need it, in words."""

    @property
    def revision(self) -> Revision:
        """What would be deleted."""
        return self.record.revision


def plan(revision: Revision, storage: Storage, project: Path, states: Sequence[ServingState]) -> Deletion:
    """What would go, and what still needs it; nothing is written.

    Args:
        revision: published, with its whole digest.
        storage: where it lies.
        project: whose git's tags are read as well.
        states: serving states, of this machine and of a cluster.

    Raises:
        InputError: stages or serving states cannot be told.
    """
    record = read_record(storage, revision)
    sizes = [size_bytes for _, size_bytes in storage.sizes(f"{record.prefix}/")]
    named = naming(revision.name, project, storage, versions=())
    stages = sorted(s for s in {*named.stored.stages, *named.stages} if named.stage(revision.name, s) == revision)
    served = served_revisions(states).get(str(revision))
    held_by = [*(f"its stage is {stage}" for stage in stages), *([f"it is {served}"] if served else [])]
    return Deletion(record, len(sizes), sum(sizes), tuple(held_by))


def execute(deletion: Deletion, storage: Storage, project: Path, reason: str | None, at: str) -> list[str]:
    """Delete; returns the git tags that say which stages it lost, which are yet to be pushed.

    A kill leaves a revision that is visible and whole, or one that is not visible: what is left of its bytes then, another
    run of this or ``serin gc`` removes.

    Args:
        deletion: as planned.
        storage: where it lies.
        project: whose git loses its stages.
        reason: in spite of what holds it.
        at: ISO 8601, UTC.

    Raises:
        GateError: something needs it, and no reason was given.
    """
    if deletion.held_by and reason is None:
        raise GateError(
            f"{deletion.revision} is still needed ({'; '.join(deletion.held_by)}): move the stage or deploy another one first, "
            "or give a reason with --force REASON"
        )
    revision = deletion.revision
    note_deleted(storage, Deleted(at=at, reason=reason, record=deletion.record))
    made = _take_stages(revision, storage, project, at)
    storage.delete([key_of(revision)])
    storage.remove_folder(deletion.record.prefix, first=MANIFEST)
    return made


def _take_stages(revision: Revision, storage: Storage, project: Path, at: str) -> list[str]:
    made: list[str] = []
    with open_project(project) as repo:
        if repo is not None:
            for stage, tag in tags.read_tags(repo, revision.name).stages.items():
                if tags.revision_of(repo, tag, revision.name) == revision:
                    made.append(tags.untag_stage(repo, tag, revision.name, stage))
    change_names(storage, revision.name, lambda names: names.without_stages(revision.digest, at))
    return made


def as_dict(deletion: Deletion) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "revision": str(deletion.revision),
        "prefix": deletion.record.prefix,
        "files": deletion.files,
        "bytes": deletion.size_bytes,
        "held_by": list(deletion.held_by),
    }
