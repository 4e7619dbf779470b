"""Versions and stages as git tags, by GTO's convention (``law-qa@v1.2.0``, ``law-qa#production#3``), which DVC reads as well.

The message of a tag that Serin makes names the revision, so that it can be read without DVC's cache; of a tag made by
``gto`` itself, the commit that it points to tells it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

from serin.core.errors import ConfigError, InputError
from serin.core.revision import Revision
from serin.publish.registry import project

if TYPE_CHECKING:
    from dvc.repo import Repo

_TRAILER = "Serin-Revision"
_NAMED = re.compile(rf"^{_TRAILER}: ([a-z0-9-]+)@([0-9a-f]{{64}})$", re.MULTILINE)


class GitTag(Protocol):
    """An annotated tag, as scmrepo gives it."""

    @property
    def name(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def tag_time(self) -> int: ...

    @property
    def message(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Tags:
    """The tag that gives each version and each stage now."""

    versions: Mapping[str, GitTag] = field(default_factory=dict)
    stages: Mapping[str, GitTag] = field(default_factory=dict)


def fold(tags: Iterable[GitTag]) -> Tags:
    """What the tags of one artifact come to: the newest assignment that was not taken back has the stage.

    GTO orders tags by their time, in seconds; its counter orders those of one second. Lightweight tags do not count.
    """
    from gto.constants import Action
    from gto.tag import parse_name

    told = [(tag, parse_name(tag.name)) for tag in tags]
    told.sort(key=lambda pair: (pair[0].tag_time, pair[1].get("counter", 0)))
    versions: dict[str, GitTag] = {}
    stages: dict[str, list[GitTag]] = {}
    for tag, name in told:
        action = name["action"]
        if action == Action.REGISTER:
            versions[name["version"]] = tag
        elif action == Action.DEREGISTER:
            versions.pop(name["version"], None)
            stages = {stage: _but(held, tag.target) for stage, held in stages.items()}
        elif action == Action.ASSIGN:
            stages[name["stage"]] = [*_but(stages.get(name["stage"], []), tag.target), tag]
        elif action == Action.UNASSIGN:
            stages[name["stage"]] = _but(stages.get(name["stage"], []), tag.target)
        elif action == Action.DEPRECATE:
            versions, stages = {}, {}
    return Tags(versions, {stage: held[-1] for stage, held in stages.items() if held})


def read_tags(repo: "Repo", name: str) -> Tags:
    """What git's tags say of a model; none is said in a clone that fetched none."""
    from gto.tag import find

    return fold(find(name=_artifact(repo, name), scm=repo.scm))


def revision_of(repo: "Repo", tag: GitTag, name: str) -> Revision:
    """The revision that a tag names: by its message, or by what its commit published.

    Raises:
        InputError: neither tells one.
    """
    if named := _NAMED.search(tag.message):
        return Revision(*named.groups())
    revisions = [r for r in project.published_at(repo, tag.target) if r.name == name]
    if len(revisions) != 1:
        found = ", ".join(map(str, revisions)) or "none"
        raise InputError(
            f"the tag {tag.name} points to commit {tag.target[:12]}, whose dvc.lock publishes {found} of {name}: tag the commit "
            "that holds the dvc.lock of 'serin publish', or use 'serin models tag'"
        )
    return revisions[0]


def tag_version(repo: "Repo", revision: Revision, version: str, commit: str) -> str:
    """Give a version to the revision that a commit published; returns the new tag's name.

    Raises:
        ConfigError: GTO or git refuse, in their words.
    """
    from gto import api

    with _refusals():
        event = api.register(
            repo.scm.root_dir,
            _artifact(repo, revision.name),
            commit,
            version=version,
            message=_message(f"Register {revision.name} {version}", revision),
        )
    return str(event.tag)


def tag_stage(repo: "Repo", revision: Revision, stage: str, commit: str) -> str:
    """Move a stage to the revision that a commit published; returns the new tag's name."""
    from gto import api

    with _refusals():
        event = api.assign(
            repo.scm.root_dir,
            _artifact(repo, revision.name),
            stage,
            ref=commit,
            message=_message(f"Assign {stage} to {revision.name}", revision),
            # Without it GTO would refuse to go back to a revision that had the stage before.
            force=True,
            skip_registration=True,
        )
    return str(event.tag)


def untag_stage(repo: "Repo", tag: GitTag, name: str, stage: str) -> str:
    """Take a stage from the revision that a tag gave it to; returns the name of the tag that says so."""
    from gto import api

    with _refusals():
        event = api.unassign(repo.scm.root_dir, _artifact(repo, name), ref=tag.target, stage=stage, force=True)
    return str(event.tag)


def _artifact(repo: "Repo", name: str) -> str:
    """GTO's name of an artifact: with the project's folder where that lies deeper than the repository's."""
    inside = PurePosixPath(repo.root_dir).relative_to(PurePosixPath(repo.scm.root_dir))
    return name if inside == PurePosixPath(".") else f"{inside}:{name}"


def _message(subject: str, revision: Revision) -> str:
    return f"{subject}\n\n{_TRAILER}: {revision}"


def _but(tags: list[GitTag], commit: str) -> list[GitTag]:
    return [tag for tag in tags if tag.target != commit]


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns the refusals of GTO and git into Serin's."""
    from gto.exceptions import GTOException
    from scmrepo.exceptions import SCMError

    try:
        yield
    except (GTOException, SCMError) as error:
        words = (str(error) or type(error).__name__).strip()
        raise ConfigError(f"git took no tag: {words}; mend that, then run the command again") from error
