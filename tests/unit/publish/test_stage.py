from pathlib import Path

import pytest

from serin.clients.files import output_folder, seal, write_json
from serin.clients.storage import FolderStorage, read_json_from
from serin.core.errors import GateError, InputError
from serin.core.manifest import MANIFEST
from serin.core.params import PublishParams
from serin.publish import stage


@pytest.fixture
def merged(tmp_path: Path) -> tuple[FolderStorage, Path, str]:
    storage = FolderStorage(tmp_path / "storage")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"weights")
    digest = seal(tmp_path / "model", kind="model").digest
    storage.put_folder(tmp_path / "model", f"models/m/{digest}", last=MANIFEST)
    with output_folder(tmp_path / "merged") as folder:
        write_json(
            folder / "pointer.json",
            {"name": "m", "digest": digest, "prefix": f"models/m/{digest}", "inputs": {"base": "b"}},
        )
    return storage, tmp_path / "merged", digest


def verdict(folder: Path, digest: str, passed: bool) -> Path:
    rules = [{"rule": "gain", "found": 0.1 if passed else -0.1, "limit": 0.0, "passed": passed}]
    write_json(folder / "verdict.json", {"digest": digest, "passed": passed, "rules": rules})
    return folder


def test_a_passing_verdict_makes_it_visible(merged: tuple[FolderStorage, Path, str], tmp_path: Path) -> None:
    storage, folder, digest = merged
    revision = stage.run(PublishParams(), folder, verdict(tmp_path / "v", digest, True), storage, tmp_path / "out")
    record = read_json_from(storage, f"published/m/{digest}.json")
    assert str(revision) == f"m@{digest}"
    assert record["override"] is None
    assert record["lineage"] == {"base": "b"}


@pytest.mark.parametrize("case", ["none", "failed", "other digest"])
def test_without_its_own_passing_verdict_nothing_is_visible(
    merged: tuple[FolderStorage, Path, str], tmp_path: Path, case: str
) -> None:
    storage, folder, digest = merged
    given = None
    if case != "none":
        given = verdict(tmp_path / "v", digest if case == "failed" else "0" * 64, case == "other digest")
    with pytest.raises(GateError):
        stage.run(PublishParams(), folder, given, storage, tmp_path / "out")
    assert storage.list("published/") == []
    assert not (tmp_path / "out").exists()


def test_an_override_is_kept_with_its_reason(merged: tuple[FolderStorage, Path, str], tmp_path: Path) -> None:
    storage, folder, digest = merged
    stage.run(PublishParams(override="the first stable model"), folder, None, storage, tmp_path / "out")
    assert read_json_from(storage, f"published/m/{digest}.json")["override"] == "the first stable model"


def test_damaged_bytes_in_storage_are_never_published(merged: tuple[FolderStorage, Path, str], tmp_path: Path) -> None:
    storage, folder, digest = merged
    storage.write(f"models/m/{digest}/weights", b"other")
    with pytest.raises(InputError, match="weights differ"):
        stage.run(PublishParams(override="whatever it takes"), folder, None, storage, tmp_path / "out")
    assert storage.list("published/") == []
