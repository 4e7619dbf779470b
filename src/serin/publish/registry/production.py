"""Which revision is in production, or has any other stage or version.

Storage holds the one record that every machine reads, in a cluster without git as well (``registry.names``). Within git the
tags say the same, where they were fetched. Where both speak and differ, one of them is stale, and nothing is decided on either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serin.clients.storage import Storage
from serin.core.errors import InputError
from serin.core.revision import Revision
from serin.publish.registry import tags
from serin.publish.registry.names import Names, read_names
from serin.publish.registry.project import open_project

if TYPE_CHECKING:
    from dvc.repo import Repo

PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Naming:
    """What storage and git's tags say of one model's versions and stages."""

    stored: Names
    versions: Mapping[str, Revision]
    """By git's tags."""
    stages: Mapping[str, Revision]
    """By git's tags."""

    def version(self, name: str, version: str) -> Revision | None:
        """The revision that has a version, if one has. Raises InputError where storage and git differ."""
        return _agreed(name, f"@{version}", f"--version {version}", self.stored.versions, self.versions, version)

    def stage(self, name: str, stage: str) -> Revision | None:
        """The revision that has a stage, if one has. Raises InputError where storage and git differ."""
        return _agreed(name, f"#{stage}", f"--stage {stage}", self.stored.stages, self.stages, stage)


def production(name: str, folder: Path, storage: Storage) -> Revision | None:
    """The revision in production, None where there is none yet.

    Args:
        name: of the model.
        folder: of the project; git's tags are read if it is a repository.
        storage: where stages stand for everybody.

    Raises:
        InputError: storage and git's tags name different ones, or a tag tells no revision.
    """
    return naming(name, folder, storage, stages=(PRODUCTION,), versions=()).stage(name, PRODUCTION)


def naming(
    name: str,
    folder: Path,
    storage: Storage,
    stages: tuple[str, ...] | None = None,
    versions: tuple[str, ...] | None = None,
) -> Naming:
    """What is said of the given stages and versions, or of all (None)."""
    with open_project(folder) as repo:
        found = tags.Tags() if repo is None else tags.read_tags(repo, name)
        return Naming(
            read_names(storage, name),
            _revisions(repo, name, found.versions, versions),
            _revisions(repo, name, found.stages, stages),
        )


def _revisions(
    repo: "Repo | None", name: str, found: Mapping[str, tags.GitTag], wanted: tuple[str, ...] | None
) -> dict[str, Revision]:
    if repo is None:
        return {}
    return {word: tags.revision_of(repo, tag, name) for word, tag in found.items() if wanted is None or word in wanted}


def _agreed(
    name: str, shown: str, option: str, stored: Mapping[str, str], tagged: Mapping[str, Revision], word: str
) -> Revision | None:
    by_storage = Revision(name, stored[word]) if word in stored else None
    by_git = tagged.get(word)
    if by_storage is not None and by_git is not None and by_storage != by_git:
        raise InputError(
            f"{name}{shown} is {by_storage} in storage, and {by_git} by git's tags here: fetch the tags ('git fetch --tags'), or "
            f"say which it is with 'serin models tag REVISION {option}'"
        )
    return by_storage or by_git
