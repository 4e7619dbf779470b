"""What is published, for people: one row a revision, and one revision at length."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from serin.clients.storage import Storage
from serin.core.revision import Revision
from serin.publish.record import Entry, Record
from serin.publish.registry.find import records
from serin.publish.registry.production import Naming, naming


def rows(storage: Storage, project: Path, name: str | None) -> list[dict[str, Any]]:
    """One row a published revision, the newest first within each name, with its versions and stages.

    Where storage and git's tags differ about one of them, the row says whose word it is.
    """
    found = list(records(storage, name))
    namings = {n: naming(n, project, storage) for n in sorted({record.name for record in found})}
    found.sort(key=lambda record: record.published.at, reverse=True)
    found.sort(key=lambda record: record.name)
    return [_row(record, namings[record.name]) for record in found]


def shown(record: Record, storage: Storage, project: Path) -> Iterator[str]:
    """A revision in lines: where it lies, why it is visible, what it is called, and what was said of it before."""
    row = _row(record, naming(record.name, project, storage))
    yield str(record.revision)
    yield f"bytes      {record.model_uri}"
    yield f"published  {record.published.at}" + (
        f" from commit {record.published.commit}" if record.published.commit else ""
    )
    yield f"verdict    {_verdict(record)}"
    yield f"versions   {', '.join(row['versions']) or 'none'}"
    yield f"stages     {', '.join(row['stages']) or 'none'}"
    yield from (f"from       {word} {digest}" for word, digest in sorted(record.lineage.items()))
    yield f"evidence   {storage.uri(record.evidence)}"
    yield from (f"before     {entry.published.at}: {_verdict(entry)}" for entry in record.history)


def _row(record: Record, named: Naming) -> dict[str, Any]:
    revision = record.revision
    return {
        "name": record.name,
        "digest": record.digest,
        "at": record.published.at,
        "override": record.override,
        "versions": _words_of(revision, named.stored.versions, named.versions),
        "stages": _words_of(revision, named.stored.stages, named.stages),
    }


def _words_of(revision: Revision, stored: Mapping[str, str], tagged: Mapping[str, Revision]) -> list[str]:
    words = []
    for word in sorted({*stored, *tagged}):
        by_storage, by_git = stored.get(word), tagged.get(word)
        differ = by_storage is not None and by_git is not None and by_storage != by_git.digest
        if by_storage == revision.digest:
            words.append(f"{word} (git's tags say otherwise)" if differ else word)
        elif by_git == revision:
            words.append(f"{word} (storage says otherwise)" if differ else word)
    return words


def _verdict(entry: Entry) -> str:
    if entry.override:
        return f"overridden: {entry.override}"
    against = (entry.verdict or {}).get("against")
    return f"passed against {against}" if against else "passed"
