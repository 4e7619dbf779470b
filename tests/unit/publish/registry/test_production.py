"""What storage and git's tags say of a stage together."""

from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import InputError
from serin.core.revision import Revision
from serin.publish.registry.names import Names, change_names
from serin.publish.registry.production import Naming, production

A, B = Revision("law", "a" * 64), Revision("law", "b" * 64)


@pytest.mark.parametrize(("stored", "tagged", "expected"), [(A, None, A), (None, A, A), (A, A, A), (None, None, None)])
def test_whoever_speaks_is_believed(
    stored: Revision | None, tagged: Revision | None, expected: Revision | None
) -> None:
    names = Names(stages={"production": stored.digest}) if stored else Names()
    naming = Naming(names, {}, {"production": tagged} if tagged else {})
    assert naming.stage("law", "production") == expected


def test_where_both_speak_and_differ_nothing_is_decided() -> None:
    naming = Naming(
        Names(versions={"v1.0.0": A.digest}, stages={"production": A.digest}), {"v1.0.0": B}, {"production": B}
    )
    with pytest.raises(
        InputError, match=rf"law#production is {A} in storage, and {B} by git's tags here: fetch the tags"
    ):
        naming.stage("law", "production")
    with pytest.raises(InputError, match=r"law@v1\.0\.0 is"):
        naming.version("law", "v1.0.0")


def test_outside_of_git_storage_tells(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "storage")
    assert production("law", tmp_path, storage) is None
    change_names(storage, "law", lambda names: names.with_stage("production", A.digest, "2026-11-25T12:00:00+00:00"))
    assert production("law", tmp_path, storage) == A
    assert production("tax", tmp_path, storage) is None
