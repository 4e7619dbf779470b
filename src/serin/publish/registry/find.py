"""Finding published revisions in storage."""

import re
from collections.abc import Iterator

from serin.clients.storage import Storage
from serin.core.errors import InputError, RetryableError, UsageError
from serin.core.revision import Revision
from serin.publish.record import FOLDER, Occasion, Publication, Record, key_of, parse_record

_KEY = re.compile(rf"{FOLDER}/([a-z0-9-]+)/([0-9a-f]{{64}})\.json")
_TRIES = 8


def published(storage: Storage, name: str | None = None) -> list[Revision]:
    """Every published revision, or those of one name, by name and digest."""
    keys = storage.list(f"{FOLDER}/{name}/" if name else f"{FOLDER}/")
    return sorted(Revision(*match.groups()) for key in keys if (match := _KEY.fullmatch(key)))


def read_record(storage: Storage, revision: Revision) -> Record:
    """The record of a published revision with its whole digest. Raises StorageError where there is none."""
    key = key_of(revision)
    return parse_record(storage.read(key), storage.uri(key))


def records(storage: Storage, name: str | None = None) -> Iterator[Record]:
    """The record of every published revision, or of those of one name."""
    return (read_record(storage, revision) for revision in published(storage, name))


def put(storage: Storage, publication: Publication, occasion: Occasion) -> Record:
    """Make a revision visible, or say something new of it; what was said before is kept.

    Whoever else writes at the same time, each entry is in the record once and none is lost.

    Raises:
        RetryableError: others were faster each time.
    """
    key = key_of(publication.revision)
    for _ in range(_TRIES):
        data, version = storage.read_versioned(key)
        present = parse_record(data, storage.uri(key)) if data is not None else None
        wanted = present.followed_by(publication, occasion) if present else Record.first(publication, occasion)
        if wanted is present or storage.replace(key, wanted.as_bytes(), version):
            return wanted
    raise RetryableError(f"{storage.uri(key)} is being changed by others: run the command again")


def one_of(wanted: str, candidates: list[Revision]) -> Revision:
    """The revision that a digest or its beginning names.

    Raises:
        UsageError: too few digits, or not hexadecimal.
        InputError: it names none of them, or several.
    """
    if not re.fullmatch(r"[0-9a-f]{8,64}", wanted):
        raise UsageError(f"{wanted!r} is no revision: {FORMS}")
    matches = [revision for revision in candidates if revision.digest.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(f"{r.name}@{r.digest[:12]}" for r in candidates[:10]) or "none"
    if not matches:
        raise InputError(f"no published revision begins with {wanted[:12]}; published: {known}")
    raise InputError(f"{wanted} is the beginning of {len(matches)} revisions: give more digits; published: {known}")


FORMS = (
    "expected name@digest (8 digits are enough), name@v1.2.0, name#production, or a digest; 'serin models list' shows what there "
    "is"
)
