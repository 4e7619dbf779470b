"""Garbage collection: models in storage that nothing refers to. What may be needed stays; in doubt, everything does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from serin.clients.models import POINTER, read_pointer
from serin.clients.serving_state import ServingState
from serin.clients.storage import Storage
from serin.core.errors import InputError
from serin.core.manifest import MANIFEST
from serin.core.revision import Revision
from serin.publish.registry.find import published
from serin.publish.registry.project import commits, open_project, pointed_at, stored_at
from serin.publish.removal.served import served_revisions
from serin.publish.removal.stored import StoredModel, stored_models

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True, slots=True)
class References:
    """What refers to stored models."""

    held_by: Mapping[Revision, str]
    """Revision to the first thing that refers to it, in words."""
    doubts: tuple[str, ...]
    """What might refer to a model and could not be read."""
    sees_history: bool = True
    """Whether there is git, whose commits were looked at."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every stored model, and whether it would be removed."""

    removed: tuple[StoredModel, ...]
    kept: Mapping[StoredModel, str]
    """Model to why it stays, in words."""
    doubts: tuple[str, ...]
    sees_history: bool = True

    @property
    def size_bytes(self) -> int:
        """What removing would free."""
        return sum(model.size_bytes for model in self.removed)


def decide(models: Sequence[StoredModel], references: References, now: datetime, grace: timedelta) -> Plan:
    """Pure: what nothing refers to is removed, unless a file of it is younger than ``grace``.

    A merge writes its bytes before the pointer to them, so that young bytes without a reference may be one under way.
    """
    removed: list[StoredModel] = []
    kept: dict[StoredModel, str] = {}
    for model in models:
        if (holder := references.held_by.get(model.revision)) is not None:
            kept[model] = holder
        elif now - model.newest < grace:
            kept[model] = f"written {_age(now - model.newest)} ago, and the grace period is {_age(grace)}"
        else:
            removed.append(model)
    return Plan(tuple(removed), kept, references.doubts, references.sees_history)


def plan(
    storage: Storage, project: Path, states: Sequence[ServingState], all_commits: bool, now: datetime, grace: timedelta
) -> Plan:
    """What would be removed; nothing is written.

    The bytes are listed before anything that refers to them is: what is merged and published meanwhile is not among them.

    Args:
        storage: whose models are looked at.
        project: its outputs, and its DVC's history where it is within git.
        states: serving states, of this machine and of a cluster.
        all_commits: look at every commit, and not only at those that branches and tags point to.
        now: UTC.
        grace: how old bytes without a reference have to be.

    Raises:
        InputError: what is published or served cannot be told.
    """
    models = stored_models(storage)
    return decide(models, find_references(storage, project, states, all_commits), now, grace)


def find_references(storage: Storage, project: Path, states: Sequence[ServingState], all_commits: bool) -> References:
    """Everything that refers to a model: published records, serving states, this folder's outputs, and DVC's history."""
    held: dict[Revision, str] = {}
    doubts: list[str] = []
    for revision in published(storage):
        held.setdefault(revision, "published")
    for name, words in served_revisions(states).items():
        held.setdefault(Revision.parse(name), words)
    for path in sorted({*project.glob(f"artifacts/*/{POINTER}"), *project.glob(f"artifacts/*/*/{POINTER}")}):
        _take_pointer(path, project, held, doubts)
    with open_project(project) as repo:
        if repo is not None:
            _take_history(repo, all_commits, held, doubts)
        return References(held, tuple(doubts), sees_history=repo is not None)


def remove(plan: Plan, storage: Storage, despite_doubts: bool) -> None:
    """Remove what the plan says, each model's manifest first.

    Raises:
        InputError: there are doubts.
    """
    if plan.doubts and not despite_doubts:
        raise InputError(
            f"nothing was removed, since {len(plan.doubts)} things that may refer to a model could not be read (the first: "
            f"{plan.doubts[0]}); mend that, or add --despite-doubts"
        )
    still_published = set(published(storage))
    for model in plan.removed:
        if model.revision not in still_published:
            storage.remove_folder(model.prefix, first=MANIFEST)


def _take_pointer(path: Path, project: Path, held: dict[Revision, str], doubts: list[str]) -> None:
    shown = path.relative_to(project).as_posix()
    try:
        pointer = read_pointer(path.parent)
        held.setdefault(Revision(pointer.name, pointer.digest), f"the output {shown}")
    except InputError as error:
        doubts.append(f"{shown} ({error})")


def _take_history(repo: "Repo", all_commits: bool, held: dict[Revision, str], doubts: list[str]) -> None:
    seen: set[tuple[str, str]] = set()
    for name, commit in commits(repo, all_commits):
        try:
            for out in stored_at(repo, commit):
                # A pointer that many commits share is read once.
                if (out.path, out.md5) not in seen:
                    seen.add((out.path, out.md5))
                    if (revision := pointed_at(repo, commit, out)) is not None:
                        held.setdefault(revision, f"{out.path} of {name}")
        except InputError as error:
            doubts.append(str(error))


def _age(time: timedelta) -> str:
    hours = time.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h"
