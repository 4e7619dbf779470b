"""Records in storage, and what two publishers make of one."""

from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import RetryableError, StorageError
from serin.core.revision import Revision
from serin.publish.record import Occasion, Publication, key_of
from serin.publish.registry.find import published, put, read_record

LAW = Revision("law", "a" * 64)
THEN = Occasion(at="2026-11-25T12:00:00+00:00")


def publication(reason: str) -> Publication:
    return Publication(
        name="law",
        digest=LAW.digest,
        prefix="models/law/a",
        model_uri="models/law/a",
        lineage={},
        verdict=None,
        evaluation=None,
        override=reason,
        evidence="lineage/law/a/b",
    )


class Crowded(FolderStorage):
    """Somebody else publishes the same between our look at the record and our write, ``times`` times."""

    times = 1

    def replace(self, key: str, data: bytes, expected: str | None) -> bool:
        if self.times:
            self.times -= 1
            put(FolderStorage(self.root), publication(f"others, {self.times} left"), THEN)
        return super().replace(key, data, expected)


def test_what_another_publisher_wrote_meanwhile_is_not_lost(tmp_path: Path) -> None:
    record = put(Crowded(tmp_path), publication("ours"), THEN)
    assert record == read_record(FolderStorage(tmp_path), LAW)
    assert [record.override, *(entry.override for entry in record.history)] == ["ours", "others, 0 left"]


def test_where_others_are_always_faster_it_says_to_try_again(tmp_path: Path) -> None:
    storage = Crowded(tmp_path)
    storage.times = 99
    with pytest.raises(RetryableError, match="is being changed by others"):
        put(storage, publication("ours"), THEN)


def test_only_records_count_as_published(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    put(storage, publication("ours"), THEN)
    storage.write("published/law/notes.json", b"{}")
    storage.write(f"published/law/{'b' * 64}/x.json", b"{}")
    assert published(storage) == published(storage, "law") == [LAW]
    assert published(storage, "la") == []


def test_a_damaged_record_is_named_with_its_fault(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write(key_of(LAW), b'{"name": "law"}')
    with pytest.raises(StorageError, match=r"is no published record \(digest: Field required\): publish"):
        read_record(storage, LAW)
