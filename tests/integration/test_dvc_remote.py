"""What is put by hash is what DVC pushes and pulls, on a folder and on S3; damage and kills are found out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml

from serin.clients.dvc_remote import DvcRemote, fetch, has, key_of, put
from serin.clients.storage import open_storage
from serin.core.errors import ConfigError, StorageError
from serin.core.params import StorageParams

from .s3_faults import Fault, FaultyS3, faulty_s3


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> StorageParams:
    if request.param == "folder":
        return StorageParams(url=str(tmp_path / "storage"))
    return StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=request.getfixturevalue("s3_endpoint"))


@pytest.fixture
def line(s3_endpoint: str) -> Iterator[FaultyS3]:
    with faulty_s3(s3_endpoint) as line:
        yield line


def write_folder(folder: Path) -> Path:
    """Names and bytes of every kind that the layout has to get right."""
    (folder / "深 folder").mkdir(parents=True)
    (folder / "equal.txt").write_bytes(b"the same\n")
    (folder / "also equal.txt").write_bytes(b"the same\n")
    (folder / "windows.txt").write_bytes(b"two\r\nlines\r\n")
    (folder / "empty").write_bytes(b"")
    (folder / ".hidden").write_bytes(b"hidden")
    (folder / "深 folder" / "weights.bin").write_bytes(bytes(range(256)) * 1000)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dvc(repository: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def repository(storage: StorageParams, tmp_path: Path) -> Path:
    """A DVC project whose remote is the storage, with a folder and a file that DVC has added."""
    from serin.clients.dvc import set_remote

    project = tmp_path / "project"
    write_folder(project / "data")
    (project / "one.bin").write_bytes(os.urandom(70_000))
    dvc(project, "init", "--no-scm", "-q")
    set_remote(project, storage)
    dvc(project, "add", "-q", "data", "one.bin")
    return project


def hash_of(project: Path, name: str) -> str:
    return str(yaml.safe_load((project / f"{name}.dvc").read_text())["outs"][0]["md5"])


def test_dvc_pulls_what_was_put_under_its_own_hashes(repository: Path, storage: StorageParams) -> None:
    before = contents(repository / "data"), (repository / "one.bin").read_bytes()
    assert put(repository / "data", storage) == hash_of(repository, "data")
    assert put(repository / "one.bin", storage) == hash_of(repository, "one.bin")
    (repository / "one.bin").unlink()
    shutil.rmtree(repository / "data")
    shutil.rmtree(repository / ".dvc/cache")
    dvc(repository, "pull", "-q")
    assert (contents(repository / "data"), (repository / "one.bin").read_bytes()) == before


def test_what_dvc_pushed_is_fetched(repository: Path, storage: StorageParams, tmp_path: Path) -> None:
    assert not has(hash_of(repository, "data"), storage)
    dvc(repository, "push", "-q")
    assert has(hash_of(repository, "data"), storage)
    fetch(hash_of(repository, "data"), storage, tmp_path / "out" / "data")
    fetch(hash_of(repository, "one.bin"), storage, tmp_path / "out" / "one.bin")
    assert contents(tmp_path / "out" / "data") == contents(repository / "data")
    assert (tmp_path / "out" / "one.bin").read_bytes() == (repository / "one.bin").read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data", "one.bin"]


def test_what_is_there_is_not_sent_again(line: FaultyS3, tmp_path: Path) -> None:
    storage = StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=line.url)
    folder = write_folder(tmp_path / "data")
    first = put(folder, storage)
    line.requests.clear()
    assert put(folder, storage) == first
    assert [request.line for request in line.requests if request.line.startswith("PUT")] == []
    (folder / "new").write_bytes(b"new")
    put(folder, storage)
    assert len([request for request in line.requests if request.line.startswith("PUT")]) == 2  # it, and the list


@pytest.mark.parametrize("after", range(6))
def test_a_put_that_is_cut_off_leaves_no_folder_whose_files_are_missing(
    line: FaultyS3, s3_endpoint: str, tmp_path: Path, after: int
) -> None:
    broken = StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=line.url)
    storage = StorageParams(url=broken.url, endpoint_url=s3_endpoint)
    line.faults.append(Fault("error", r"^PUT ", times=1000, after=after, status=403, code="AccessDenied"))
    folder = write_folder(tmp_path / "data")
    with pytest.raises(StorageError, match="does not allow it"):
        put(folder, broken)
    assert [key for key in open_storage(storage).list("dvc/") if key.endswith(".dir")] == []
    content = put(folder, storage)
    assert has(content, storage)
    fetch(content, storage, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)


def test_a_missing_file_is_found_before_anything_is_fetched(storage: StorageParams, tmp_path: Path) -> None:
    content = put(write_folder(tmp_path / "data"), storage)
    stored = open_storage(storage)
    remote = DvcRemote(stored)
    assert remote.missing(content) == []
    lost = put(tmp_path / "data" / "windows.txt", storage)
    stored.delete([key_of(lost)])
    assert remote.missing(content) == [lost]
    with pytest.raises(ConfigError, match=f"{lost[2:]} is not in storage.*dvc push"):
        fetch(content, storage, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    with pytest.raises(ConfigError, match="is not in storage"):
        fetch("0" * 32 + ".dir", storage, tmp_path / "back")


def test_damaged_bytes_are_refused_and_nothing_appears(storage: StorageParams, tmp_path: Path) -> None:
    content = put(write_folder(tmp_path / "data"), storage)
    damaged = put(tmp_path / "data" / "深 folder" / "weights.bin", storage)
    open_storage(storage).write(key_of(damaged), b"x" * 256_000)
    with pytest.raises(StorageError, match=f"{damaged[2:]} holds other bytes than its name says"):
        fetch(content, storage, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    open_storage(storage).write(key_of(content), b"[]")
    with pytest.raises(StorageError, match=f"{content[2:]} holds other bytes"):
        has(content, storage)


def test_a_large_file_goes_in_parts_and_comes_back_in_parts(s3_endpoint: str, tmp_path: Path) -> None:
    storage = StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=s3_endpoint)
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(1 << 20) * 17 + b"end")
    content = put(large, storage)
    stored = boto3.client("s3", endpoint_url=s3_endpoint).head_object(
        Bucket="serin", Key=f"{tmp_path.name}/{key_of(content)}"
    )
    assert stored["ETag"].strip('"').endswith("-3")
    fetch(content, storage, tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()


def test_checking_for_content_needs_neither_dvc_nor_much_memory(s3_endpoint: str, tmp_path: Path) -> None:
    """The controller does it, in a process of 150 MiB."""
    storage = StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=s3_endpoint)
    content = put(write_folder(tmp_path / "data"), storage)
    program = (
        "import re, sys\n"
        "from serin.clients.dvc_remote import has\n"
        "from serin.core.params import StorageParams\n"
        f"assert has({content!r}, StorageParams(url={storage.url!r}, endpoint_url={s3_endpoint!r}))\n"
        "assert not {'dvc', 'dvc_data', 'dvc_objects', 'fsspec', 'torch'} & sys.modules.keys()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read()).group(1))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 120 * 1024
