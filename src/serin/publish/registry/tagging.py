"""Giving a version or a stage to a published revision: in storage for every machine, and in git as a tag."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serin.clients.storage import Storage
from serin.core.errors import InputError, UsageError
from serin.core.revision import Revision
from serin.publish.registry import tags
from serin.publish.registry.names import Names, change_names, check_stage, check_version
from serin.publish.registry.project import open_project, published_at, resolve

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True, slots=True)
class Given:
    """What a revision was given; ``tags`` are the new git tags, which are yet to be pushed."""

    revision: Revision
    tags: tuple[str, ...]
    in_git: bool
    """Whether there is git to hold tags."""


def give(
    revision: Revision,
    version: str | None,
    stage: str | None,
    storage: Storage,
    project: Path,
    commit: str,
    at: str,
) -> Given:
    """Give a version, a stage, or both; what the revision has already stays as it is.

    Everything is checked before anything is written. Storage is written first, by a conditional write, so that of two that
    give the same version only one comes to write a tag; a kill between the two is mended by the same command.

    Args:
        revision: published, with its whole digest.
        version: such as ``v1.2.0``; given once.
        stage: such as ``production``; moved from whichever revision has it.
        storage: for every machine.
        project: its git gets the tags, if it is a repository.
        commit: the one whose ``dvc.lock`` published the revision, to be tagged.
        at: ISO 8601, UTC.

    Raises:
        UsageError: neither version nor stage, one that is no name, or a version that another revision has.
        InputError: the commit did not publish the revision, or DVC cannot tell.
        ConfigError: git refuses the tag.
    """
    if version is None and stage is None:
        raise UsageError("nothing to give: name a --version, a --stage, or both")
    version = check_version(version) if version is not None else None
    stage = check_stage(stage) if stage is not None else None

    def change(present: Names) -> Names:
        wanted = present
        if version is not None:
            wanted = wanted.with_version(version, revision.digest, at)
        return wanted.with_stage(stage, revision.digest, at) if stage is not None else wanted

    with open_project(project) as repo:
        writes = _tag_writes(repo, revision, version, stage, commit) if repo is not None else []
        change_names(storage, revision.name, change)
        made = tuple(tag for write in writes if (tag := write()) is not None)
        return Given(revision, made, repo is not None)


def _tag_writes(
    repo: "Repo", revision: Revision, version: str | None, stage: str | None, commit: str
) -> list[Callable[[], str | None]]:
    """What is to be written in git, once it is known that the tags will tell the truth."""
    there = tags.read_tags(repo, revision.name)
    missing_version = version is not None and _lacks(repo, revision, there.versions.get(version), fixed=version)
    missing_stage = stage is not None and _lacks(repo, revision, there.stages.get(stage), fixed=None)
    if not missing_version and not missing_stage:
        return []
    target = resolve(repo, commit)
    found = published_at(repo, target)
    if revision not in found:
        shown = ", ".join(map(str, found)) or "nothing"
        raise InputError(
            f"commit {target[:12]} publishes {shown}, and not {revision}: commit dvc.lock after 'serin publish', or name the "
            "right one with --commit"
        )
    writes: list[Callable[[], str | None]] = []
    if version is not None and missing_version:
        writes.append(lambda: tags.tag_version(repo, revision, version, target))
    if stage is not None and missing_stage:
        writes.append(lambda: tags.tag_stage(repo, revision, stage, target))
    return writes


def _lacks(repo: "Repo", revision: Revision, tag: "tags.GitTag | None", fixed: str | None) -> bool:
    """Whether the tag is yet to be made. Raises UsageError where another revision has a version, which stays with it."""
    if tag is None:
        return True
    holder = tags.revision_of(repo, tag, revision.name)
    if holder != revision and fixed is not None:
        raise UsageError(
            f"the tag {tag.name} is {holder} already, and a version stays with its revision: choose a new one"
        )
    return holder != revision
