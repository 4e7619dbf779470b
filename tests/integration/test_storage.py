"""One interface, two kinds of storage: a folder, and an S3 server over HTTP; and DVC on both."""

import subprocess
import sys
from pathlib import Path

import pytest

from serin.clients.dvc import run_dvc, set_remote
from serin.clients.storage import Storage, open_storage
from serin.core.errors import StorageError
from serin.core.params import StorageParams


@pytest.fixture(params=["folder", "s3"])
def params(request: pytest.FixtureRequest, tmp_path: Path) -> StorageParams:
    if request.param == "folder":
        return StorageParams(url=str(tmp_path / "storage"))
    endpoint = request.getfixturevalue("s3_endpoint")
    return StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=endpoint)


@pytest.fixture
def storage(params: StorageParams) -> Storage:
    return open_storage(params)


def test_a_folder_comes_back_as_it_went_in(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "sub").mkdir(parents=True)
    (source / "weights").write_bytes(b"\x00" * 1000)
    (source / "sub" / "file").write_text("x")
    storage.put_folder(source, "models/m/d", last="weights")
    fetched = storage.fetch_folder("models/m/d", tmp_path / "fetched")
    assert (fetched / "weights").read_bytes() == b"\x00" * 1000
    assert (fetched / "sub" / "file").read_text() == "x"
    assert storage.list("models/m/") == ["models/m/d/sub/file", "models/m/d/weights"]


def test_what_is_not_there_is_named(storage: Storage) -> None:
    with pytest.raises(StorageError, match=r"published/x\.json"):
        storage.read("published/x.json")


def test_a_bucket_that_does_not_exist_is_a_clear_error(s3_endpoint: str) -> None:
    storage = open_storage(StorageParams(url="s3://no-such-bucket", endpoint_url=s3_endpoint))
    with pytest.raises(StorageError, match=r"check storage\.url, the bucket and the credentials"):
        storage.write("a", b"b")


def test_dvc_pushes_to_the_same_storage_and_pulls_from_it(params: StorageParams, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    run_dvc(repository, "init", "--no-scm", "-q")
    set_remote(repository, params)
    (repository / "data.txt").write_text("what was trained on")
    run_dvc(repository, "add", "data.txt", "-q")
    run_dvc(repository, "push", "-q")
    subprocess.run(["rm", "-rf", "data.txt", ".dvc/cache"], cwd=repository, check=True)
    done = subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], cwd=repository, check=False)
    assert done.returncode == 0
    assert (repository / "data.txt").read_text() == "what was trained on"
    assert any(key.startswith("dvc/files/md5/") for key in open_storage(params).list("dvc/"))
