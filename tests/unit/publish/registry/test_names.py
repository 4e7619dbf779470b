"""Versions and stages as storage has them."""

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import RetryableError, StorageError, UsageError
from serin.publish.registry.names import Names, change_names, check_stage, check_version, read_names

A, B = "a" * 64, "b" * 64
AT = "2026-11-25T12:00:00+00:00"


def test_a_version_stays_with_its_revision() -> None:
    names = Names().with_version("v1.0.0", A, AT)
    assert names.with_version("v1.0.0", A, AT) is names
    with pytest.raises(UsageError, match=r"v1\.0\.0 is aaaaaaaaaaaa already"):
        names.with_version("v1.0.0", B, AT)
    assert names.without_stages(A, AT).versions == {"v1.0.0": A}


def test_a_stage_moves_and_its_history_stays() -> None:
    names = Names().with_stage("production", A, AT).with_stage("production", B, AT)
    assert names.stages == {"production": B}
    assert [entry.digest for entry in names.history] == [A, B]
    assert names.with_stage("production", B, AT) is names


def test_a_deleted_revision_loses_its_stages_alone() -> None:
    names = Names().with_stage("production", A, AT).with_stage("staging", B, AT).without_stages(A, AT)
    assert names.stages == {"staging": B}
    assert names.history[-1].taken
    assert names.without_stages(A, AT) is names


@pytest.mark.parametrize("text", ["1.0.0", "v1.0", "v01.0.0", "v1.0.0-rc1", "latest", ""])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected vMAJOR\.MINOR\.PATCH"):
        check_version(text)


@pytest.mark.parametrize("text", ["Production", "a#b", "-a", ""])
def test_what_is_no_stage_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected small letters"):
        check_stage(text)


def test_of_many_that_change_at_once_nobody_is_lost(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)

    def give(number: int) -> None:
        for _ in range(20):
            with suppress(RetryableError):
                change_names(storage, "law", lambda names: names.with_version(f"v1.{number}.0", A, AT))

    threads = [threading.Thread(target=give, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = read_names(storage, "law")
    assert set(names.versions) == {f"v1.{number}.0" for number in range(12)}
    assert len(names.history) == 12


def test_a_damaged_record_is_not_taken_for_none(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("registry/law.json", b"{")
    with pytest.raises(StorageError, match=r"law\.json is damaged"):
        read_names(storage, "law")
