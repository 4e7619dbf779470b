"""One interface, two kinds of storage: a folder, and an S3 server over HTTP; and DVC on both."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serin.clients.dvc import run_dvc, set_remote
from serin.clients.storage import Storage, open_storage, read_json_from
from serin.core.errors import StorageError
from serin.core.params import StorageParams

from .s3_faults import faulty_s3


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
    assert sorted(storage.sizes("models/m/")) == [("models/m/d/sub/file", 1), ("models/m/d/weights", 1000)]
    assert all(abs(found.written - datetime.now(UTC)) < timedelta(minutes=5) for found in storage.files("models/"))


def test_a_folder_is_replaced_as_a_whole(storage: Storage, tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "last").write_text(name)
        (tmp_path / name / f"only {name}").write_text("x")
        storage.put_folder(tmp_path / name, "f", last="last")
    assert storage.list("f/") == ["f/last", "f/only new"]
    assert storage.read("f/last") == b"new"


def test_what_is_not_there_is_named(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"published/x\.json is not in storage: run the stage that writes it"):
        storage.read("published/x.json")
    with pytest.raises(StorageError, match=r"published/x\.json is not in storage"):
        storage.open("published/x.json").__enter__()
    with pytest.raises(StorageError, match=r"models/m/? is not in storage"):
        storage.fetch_folder("models/m", tmp_path / "fetched")
    assert storage.read_versioned("published/x.json") == (None, None)
    storage.delete(["published/x.json"])
    storage.remove_folder("models/m", first="manifest.json")


def test_only_one_can_be_first(storage: Storage) -> None:
    assert storage.write_new("lock", b"mine")
    assert not storage.write_new("lock", b"theirs")
    assert storage.read("lock") == b"mine"
    storage.delete(["lock"])
    assert storage.write_new("lock", b"theirs")


def test_a_record_is_replaced_by_who_knows_it(storage: Storage) -> None:
    assert storage.replace("record", b"1", expected=None)
    data, version = storage.read_versioned("record")
    assert data == b"1"
    assert not storage.replace("record", b"2", expected=None)
    storage.write("record", b"between")
    assert not storage.replace("record", b"2", expected=version)
    assert storage.replace("record", b"2", expected=storage.read_versioned("record")[1])
    assert storage.read("record") == b"2"
    storage.delete(["record"])
    assert not storage.replace("record", b"3", expected=version)


def test_no_increment_is_lost_between_many_writers(params: StorageParams) -> None:
    writers, each = 4, 5

    def count(storage: Storage) -> None:
        done = 0
        while done < each:
            data, version = storage.read_versioned("count")
            done += storage.replace("count", str(int(data or b"0") + 1).encode(), version)

    def race(params: StorageParams) -> bytes:
        threads = [threading.Thread(target=count, args=(open_storage(params),)) for _ in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return open_storage(params).read("count")

    if params.endpoint_url is None:
        assert race(params) == str(writers * each).encode()
        return
    with faulty_s3(params.endpoint_url) as line:  # moto itself lets two conditional writes pass at once
        assert race(params.model_copy(update={"endpoint_url": line.url})) == str(writers * each).encode()


def test_a_stream_gives_all_bytes(storage: Storage) -> None:
    storage.write("raw.jsonl", b"{}\n" * 100_000)
    with storage.open("raw.jsonl") as stream:
        assert stream.readline() == b"{}\n"
        assert len(stream.read()) == 299_997


def test_json_that_is_none_is_named(storage: Storage) -> None:
    storage.write("a.json", b"{")
    with pytest.raises(StorageError, match=r"a\.json is not JSON .*: publish it again"):
        read_json_from(storage, "a.json")


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
