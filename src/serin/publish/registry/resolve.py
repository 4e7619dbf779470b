"""From what somebody writes (a digest, a version, a stage, a response's header) to the one revision that is meant."""

import re
from pathlib import Path

from serin.clients.storage import Storage
from serin.core.errors import InputError, UsageError
from serin.core.revision import Revision
from serin.publish.record import Record
from serin.publish.registry.deleted import Deleted, deleted_revisions, read_deleted
from serin.publish.registry.find import FORMS, one_of, published, read_record
from serin.publish.registry.names import is_version
from serin.publish.registry.production import naming

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
_STAGED = re.compile(rf"(?P<name>{_NAME})#(?P<stage>{_NAME})")
_NAMED = re.compile(rf"(?P<name>{_NAME})@(?P<rest>\S+)")
_LABEL = re.compile(rf"(?P<name>{_NAME})-(?P<digest>[0-9a-f]{{8}})")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


def resolve(text: str, storage: Storage, project: Path) -> Revision:
    """The published revision that ``text`` names.

    Args:
        text: ``name@digest``, ``name@v1.2.0``, ``name#stage``, a digest, or a route's ``name-digest``; of a digest, eight
            digits are enough. What responses carry in ``x-serin-revision`` is one of these.
        storage: where the revisions are published.
        project: whose git's tags are read as well, for versions and stages.

    Raises:
        UsageError: it is none of these.
        InputError: there is no such revision, there are several, or it is not published any more.
    """
    wanted = text.strip()
    named = _by_name(wanted, storage, project)
    if named is None:
        name, digest = _digest_in(wanted)
        return one_of(digest, published(storage, name))
    if named not in published(storage, named.name):
        raise InputError(f"{wanted} is {named}, which is not published any more: publish it again, or name another one")
    return named


def find_record(text: str, storage: Storage, project: Path) -> tuple[Record, Deleted | None]:
    """The record of the revision that ``text`` names, also of a deleted one, and then how it was deleted.

    Raises:
        UsageError, InputError: as ``resolve``.
    """
    try:
        return read_record(storage, resolve(text, storage, project)), None
    except InputError:
        wanted = text.strip()
        named = _by_name(wanted, storage, project)
        name, digest = (named.name, named.digest) if named else _digest_in(wanted)
        matches = [r for r in deleted_revisions(storage, name) if r.digest.startswith(digest)]
        if len(matches) != 1 or matches[0] in published(storage, name):
            raise
        deleted = read_deleted(storage, matches[0])
        return deleted.record, deleted


def _by_name(wanted: str, storage: Storage, project: Path) -> Revision | None:
    """The revision that a version or stage names; None where the text holds neither."""
    staged, named = _STAGED.fullmatch(wanted), _NAMED.fullmatch(wanted)
    if staged:
        name, stage = staged["name"], staged["stage"]
        found = naming(name, project, storage, stages=(stage,), versions=()).stage(name, stage)
    elif named and is_version(named["rest"]):
        name, version = named["name"], named["rest"]
        found = naming(name, project, storage, stages=(), versions=(version,)).version(name, version)
    else:
        return None
    if found is None:
        raise InputError(
            f"nothing is {wanted}: give it with 'serin models tag'; 'serin models list' shows what there is"
        )
    return found


def _digest_in(wanted: str) -> tuple[str | None, str]:
    """The name, where one is given, and the digest or its beginning."""
    if found := _NAMED.fullmatch(wanted):
        return found["name"], found["rest"]
    if _DIGEST.fullmatch(wanted):
        return None, wanted
    if found := _LABEL.fullmatch(wanted):
        return found["name"], found["digest"]
    raise UsageError(f"{wanted!r} is no revision: {FORMS}")
