"""The project's git and DVC: what its commits hold. Nothing here writes, but for tags in ``registry.tags``.

A project without git, or whose DVC was told of none (``dvc init --no-scm``), has no commits; everything else works without.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serin.clients.models import POINTER
from serin.core.errors import ConfigError, InputError
from serin.core.revision import Revision
from serin.publish.record import Occasion

if TYPE_CHECKING:
    from dvc.repo import Repo

_PUBLISHES = re.compile(r"\bserin publish\b")
_STORES = re.compile(r"\bserin (merge|quantise)\b")


@dataclass(frozen=True, slots=True)
class Tracked:
    """An out of a stage at a commit, with the hash of its content."""

    path: str
    md5: str


@contextmanager
def open_project(folder: Path) -> Iterator["Repo | None"]:
    """The DVC repository of a folder within git; None where one of the two is missing, as in a Job's copy of a project.

    Raises:
        ConfigError: DVC cannot read it.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import NoSCM, SCMError

    try:
        repo = Repo(str(folder))
    except (NotDvcRepoError, SCMError):
        yield None
        return
    except DvcException as error:
        raise ConfigError(f"DVC cannot read {folder}: {error}") from error
    with repo:
        yield None if isinstance(repo.scm, NoSCM) else repo


def occasion(folder: Path, at: str) -> Occasion:
    """When, and from which commit."""
    with open_project(folder) as repo:
        if repo is None or not _has_commit(repo):
            return Occasion(at=at)
        return Occasion(at=at, commit=repo.scm.get_rev(), modified=bool(repo.scm.is_dirty()))


def resolve(repo: "Repo", commit: str) -> str:
    """The whole hash of a commit, branch or tag. Raises InputError where git does not know it."""
    from scmrepo.exceptions import SCMError

    try:
        return str(repo.scm.resolve_rev(commit))
    except SCMError as error:
        raise InputError(
            f"git knows no commit {commit!r} here: commit first, or fetch it ('git fetch --tags --unshallow' in a shallow clone)"
        ) from error


def commits(repo: "Repo", every: bool) -> Iterator[tuple[str, str]]:
    """(Name, commit) of what is checked out, of all branches and tags, and with ``every`` of all commits."""
    names = [*sorted(repo.scm.list_branches()), *sorted(repo.scm.list_tags())]
    if _has_commit(repo):
        names = ["HEAD", *names]
    if every:
        names += sorted(repo.scm.list_all_commits())
    return ((name, resolve(repo, name)) for name in names)


def published_at(repo: "Repo", commit: str) -> list[Revision]:
    """The revisions that a commit's outs of ``serin publish`` name.

    Raises:
        InputError: an out is neither in DVC's cache nor in its remote.
    """
    found = (_revision_in(repo, commit, out, "published.json") for out in _outs_at(repo, commit, _PUBLISHES))
    return [revision for revision in found if revision is not None]


def stored_at(repo: "Repo", commit: str) -> list[Tracked]:
    """What may hold a pointer to a stored model at a commit: the outs of ``serin merge`` and ``serin quantise``."""
    return _outs_at(repo, commit, _STORES)


def pointed_at(repo: "Repo", commit: str, out: Tracked) -> Revision | None:
    """The model that a tracked pointer names, None where the out holds none. Raises InputError where DVC does not have it."""
    return _revision_in(repo, commit, out, POINTER)


def _outs_at(repo: "Repo", commit: str, command: re.Pattern[str]) -> list[Tracked]:
    """The outs of all stages with such a command, in whichever dvc.yaml they stand, that the commit's locks know."""
    from dvc.exceptions import DvcException

    try:
        with repo.switch(commit):
            return [
                Tracked(repo.fs.relpath(out.fs_path, repo.root_dir), str(out.hash_info.value))
                for out in repo.index.outs
                if out.hash_info and command.search(_words(out.stage.cmd))
            ]
    except (DvcException, OSError) as error:
        raise InputError(f"the pipeline of commit {commit[:12]} cannot be read ({error})") from error


def _revision_in(repo: "Repo", commit: str, out: Tracked, name: str) -> Revision | None:
    """What a JSON file of an out names, as it was at a commit; None where the out has no such file."""
    from dvc.exceptions import DvcException
    from dvc_data.index.index import DataIndexError

    path = f"{out.path}/{name}"
    try:
        with repo.switch(commit):
            if path not in repo.dvcfs.ls(out.path, detail=False):
                return None
            with repo.dvcfs.open(path, "rb") as file:
                told = json.loads(file.read())
        return Revision(str(told["name"]), str(told["digest"]))
    except (DvcException, DataIndexError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"DVC has no {path} of commit {commit[:12]}, neither in its cache nor in its remote ({error}): run 'dvc fetch' "
            "where it can be reached"
        ) from error


def _words(command: object) -> str:
    return " ".join(map(str, command)) if isinstance(command, list) else str(command)


def _has_commit(repo: "Repo") -> bool:
    from scmrepo.exceptions import SCMError

    try:
        repo.scm.resolve_rev("HEAD")
    except SCMError:
        return False
    return True
