"""Folders to S3 and back: in parts, checked, going on after a kill, over lines that lose and change bytes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from serin.clients.files import read_manifest, seal
from serin.clients.storage import S3Storage
from serin.core.errors import InputError, StorageError
from serin.core.manifest import MANIFEST

from .s3_faults import Fault, FaultyS3, faulty_s3

PART_BYTES = 1 << 16
WEIGHTS_BYTES = 3 * PART_BYTES + 17
PUT, BEGIN, GET = r"^PUT .*/weights\?", r"^POST .*/weights\?uploads", r"^GET /serin/.*/weights"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 wants parts of 5 MiB, and so does moto."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)


@pytest.fixture
def line(s3_endpoint: str) -> Iterator[FaultyS3]:
    with faulty_s3(s3_endpoint) as line:
        yield line


@pytest.fixture
def storage(line: FaultyS3, tmp_path: Path) -> S3Storage:
    return open_at(line, tmp_path.name)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def open_at(line: FaultyS3, prefix: str, timeout_s: float = 30.0) -> S3Storage:
    return S3Storage(
        f"s3://serin/{prefix}",
        line.url,
        connections=4,
        part_bytes=PART_BYTES,
        timeout_s=timeout_s,
        pause=lambda _: None,
    )


def write_model(folder: Path, seed: int = 0) -> Path:
    """Files of every size that matters, and their manifest."""
    (folder / "sub folder").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes((i * i + seed) % 251 for i in range(WEIGHTS_BYTES)))
    (folder / "one part").write_bytes(b"p" * PART_BYTES)
    (folder / "sub folder" / "ü.json").write_text("{}")
    (folder / "empty").touch()
    seal(folder, kind="model")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_comes_back_byte_by_byte(storage: S3Storage, model: Path, tmp_path: Path) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    fetched = storage.fetch_folder("m", tmp_path / "fetched")
    assert contents(fetched) == contents(model)
    read_manifest(fetched, "model", verify=True)


def test_what_is_there_is_neither_sent_nor_fetched_again(
    storage: S3Storage, model: Path, line: FaultyS3, tmp_path: Path
) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    storage.fetch_folder("m", tmp_path / "fetched")
    line.requests.clear()
    storage.put_folder(model, "m", last=MANIFEST)
    assert line.lines("^(PUT|POST|DELETE)") == []
    storage.fetch_folder("m", tmp_path / "fetched")
    assert line.lines("^GET .*(weights|part|empty)") == []


def test_a_damaged_copy_on_disk_is_fetched_anew(storage: S3Storage, model: Path, tmp_path: Path) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    fetched = storage.fetch_folder("m", tmp_path / "fetched")
    data = bytearray((fetched / "weights").read_bytes())
    data[-1] ^= 1
    (fetched / "weights").write_bytes(data)
    assert contents(storage.fetch_folder("m", tmp_path / "fetched")) == contents(model)
    (fetched / "left over").touch()
    assert contents(storage.fetch_folder("m", tmp_path / "fetched")) == contents(model)


def test_a_folder_that_changes_is_not_complete_meanwhile(
    storage: S3Storage, model: Path, line: FaultyS3, tmp_path: Path
) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    other = write_model(tmp_path / "other", seed=1)
    (other / "one part").unlink()
    seal(other, kind="model")
    line.requests.clear()
    storage.put_folder(other, "m", last=MANIFEST)
    writes = line.lines("^(PUT|POST)")
    assert "?delete" in writes[0]
    assert writes[-1].endswith(f"/{MANIFEST}")
    assert contents(storage.fetch_folder("m", tmp_path / "fetched")) == contents(other)


def test_a_folder_that_is_half_replaced_is_not_complete(
    storage: S3Storage, model: Path, line: FaultyS3, tmp_path: Path
) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    line.faults = [Fault("error", PUT, times=99, status=403, code="AccessDenied")]
    with pytest.raises(StorageError, match="AccessDenied"):
        storage.put_folder(write_model(tmp_path / "other", seed=1), "m", last=MANIFEST)
    assert f"m/{MANIFEST}" not in storage.list("m/")


@pytest.mark.parametrize("name", ["weights", "one part"])
def test_a_source_that_is_not_what_its_manifest_says_is_refused(storage: S3Storage, model: Path, name: str) -> None:
    data = bytearray((model / name).read_bytes())
    data[-1] ^= 1
    (model / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name} is .*, and its manifest says .*: it was damaged or changed"):
        storage.put_folder(model, "m", last=MANIFEST)
    assert not {f"m/{name}", f"m/{MANIFEST}"} & set(storage.list("m/"))


def test_memory_does_not_depend_on_the_size_of_a_file(line: FaultyS3, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(os.urandom(1 << 20) * 64)
    seal(tmp_path / "model", kind="model")
    code = (
        "import resource; taken = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "storage.write('first', b''); before = taken()\n"
        "storage.put_folder(Path(folder), 'm', last='manifest.json')\n"
        "storage.fetch_folder('m', Path(folder).with_name('fetched')); print(taken() - before)"
    )
    process = start(code, url=line.url, prefix=tmp_path.name, part=1 << 22, folder=tmp_path / "model")
    grown_kib = int(process.communicate()[0])
    assert grown_kib < 32 << 10, "of 64 MiB, in parts of 4 MiB"
    assert (tmp_path / "fetched" / "weights").stat().st_size == 64 << 20


# ---- kills ---------------------------------------------------------------------------------------------------------------
def start(code: str, **values: object) -> "subprocess.Popen[bytes]":
    setup = (
        "import sys; from pathlib import Path; from serin.clients.storage import S3Storage\n"
        "url, prefix, part, folder = sys.argv[1:]\n"
        "storage = S3Storage(f's3://serin/{prefix}', url, connections=1, part_bytes=int(part))\n"
    )
    arguments = [str(values[name]) for name in ("url", "prefix", "part", "folder")]
    return subprocess.Popen([sys.executable, "-c", setup + code, *arguments], env=os.environ, stdout=subprocess.PIPE)


def test_a_killed_upload_goes_on_where_it_stopped(
    storage: S3Storage, model: Path, line: FaultyS3, tmp_path: Path
) -> None:
    third = Fault("hold", r"partNumber=3")
    line.faults = [third]
    process = start(
        "storage.put_folder(Path(folder), 'm', last='manifest.json')",
        url=line.url, prefix=tmp_path.name, part=PART_BYTES, folder=model,
    )  # fmt: skip
    assert third.held.wait(60)
    process.kill()
    process.communicate()
    assert f"m/{MANIFEST}" not in storage.list("m/")
    sent = line.lines("^PUT")
    assert any("partNumber=2" in request for request in sent)
    line.requests.clear()
    storage.put_folder(model, "m", last=MANIFEST)
    again = line.lines("^PUT")
    assert {request.split("partNumber=")[1] for request in again if "partNumber" in request} == {"3", "4"}
    assert not set(sent) & set(again)
    assert line.lines(BEGIN) == []
    assert contents(storage.fetch_folder("m", tmp_path / "fetched")) == contents(model)


def test_an_upload_that_was_begun_with_other_bytes_does_no_harm(
    storage: S3Storage, model: Path, line: FaultyS3, tmp_path: Path
) -> None:
    other = write_model(tmp_path / "other", seed=1)
    line.faults = [Fault("error", "partNumber=4", status=403, code="AccessDenied")]
    with pytest.raises(StorageError, match="AccessDenied"):
        storage.put_folder(other, "m", last=MANIFEST)
    storage.client.create_multipart_upload(Bucket="serin", Key=f"{tmp_path.name}/m/of a file that is no more")
    storage.put_folder(model, "m", last=MANIFEST)
    with storage.open("m/weights") as stream:
        assert stream.read() == (model / "weights").read_bytes()
    assert contents(storage.fetch_folder("m", tmp_path / "fetched")) == contents(model)
    assert "Uploads" not in storage.client.list_multipart_uploads(Bucket="serin", Prefix=tmp_path.name)


def test_a_killed_download_goes_on_and_believes_nothing(
    storage: S3Storage, model: Path, line: FaultyS3, tmp_path: Path
) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    held = Fault("stall", GET, after=1)
    line.faults = [held]
    process = start(
        "storage.fetch_folder('m', Path(folder))",
        url=line.url, prefix=tmp_path.name, part=PART_BYTES, folder=tmp_path / "fetched",
    )  # fmt: skip
    assert held.held.wait(60)
    process.kill()
    process.communicate()
    assert not (tmp_path / "fetched").exists()
    (tmp_path / ".fetched.partial" / "sub folder" / "ü.json").write_text("[]")
    line.requests.clear()
    assert contents(storage.fetch_folder("m", tmp_path / "fetched")) == contents(model)
    assert line.lines("^GET .*one%20part") == []
    assert line.lines("^GET .*json") != []


# ---- lines that lose and change bytes --------------------------------------------------------------------------------------
SURVIVED = {
    "500": Fault("error", ".", times=3, after=2),
    "slow down": Fault("error", "PUT|GET", times=3, status=503, code="SlowDown"),
    "500 for a part": Fault("error", PUT, times=2),
    "answer to a part lost": Fault("lost", PUT, times=2),
    "answer to the beginning lost": Fault("lost", BEGIN),
    "answer to the end lost": Fault("lost", r"^POST .*/weights\?uploadId"),
    "answer to the manifest lost": Fault("lost", f"^PUT .*/{MANIFEST}"),
    "cut while sending a part": Fault("reset up", PUT, times=2),
    "part changed while sent": Fault("flip up", PUT, times=2),
    "file changed while sent": Fault("flip up", r"^PUT .*one%20part", times=2),
    "manifest changed while sent": Fault("flip up", f"^PUT .*/{MANIFEST}", times=2),
    "reset while fetching": Fault("reset", GET, times=3),
    "cut while fetching": Fault("cut", GET, times=3),
    "changed while fetched": Fault("flip", GET, times=2),
    "changed every time but the last": Fault("flip", GET, times=12),
    "small file changed while fetched": Fault("flip", "^GET .*one%20part", times=2),
    "manifest changed while fetched": Fault("flip", f"^GET .*/{MANIFEST}", times=2),
    "manifest cut while fetched": Fault("cut", f"^GET .*/{MANIFEST}", times=2),
    "listing cut": Fault("cut", "^GET .*list-type", times=2),
    "listing changed": Fault("flip", "^GET .*list-type", times=1),
    "stall while fetching": Fault("stall", GET),
}


@pytest.mark.parametrize("fault", SURVIVED.values(), ids=SURVIVED)
def test_what_passes_is_survived(line: FaultyS3, model: Path, tmp_path: Path, fault: Fault) -> None:
    storage = open_at(line, tmp_path.name, timeout_s=1)
    fault.seen = 0
    line.faults = [fault]
    storage.put_folder(model, "m", last=MANIFEST)
    line.faults = [fault]
    fetched = storage.fetch_folder("m", tmp_path / "fetched")
    assert fault.seen > fault.after, "the fault happened"
    assert contents(fetched) == contents(model)
    assert sorted(storage.list("m/")) == sorted(f"m/{name}" for name in contents(model))


LASTING = {
    "500": (Fault("error", "^PUT"), "still answers 500 .InternalError. after every retry; try again later"),
    "slow down": (Fault("error", PUT, status=503, code="SlowDown"), "still answers 503 .SlowDown. after every retry"),
    "refused": (Fault("error", PUT, status=403, code="AccessDenied"), "does not allow it .AccessDenied.; check"),
    "changed while sent": (Fault("flip up", PUT), "reached .* damaged again and again"),
    "cut while sent": (Fault("reset up", r"^PUT .*one%20part"), "does not finish its answers|nobody answers"),
}


@pytest.mark.parametrize(("fault", "message"), LASTING.values(), ids=LASTING)
def test_what_lasts_is_told_and_leaves_no_manifest(
    line: FaultyS3, model: Path, tmp_path: Path, fault: Fault, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    storage = open_at(line, tmp_path.name)
    fault.times, fault.seen = 1000, 0
    line.faults = [fault]
    with pytest.raises(StorageError, match=message):
        storage.put_folder(model, "m", last=MANIFEST)
    line.faults = []
    assert f"m/{MANIFEST}" not in storage.list("m/")


FETCHED_NEVER = {
    "changed": (Fault("flip", GET), "arrived 4 times with other bytes than stored"),
    "small file changed": (
        Fault("flip", "^GET .*one%20part"),
        "arrived 4 times with other bytes|cut or damaged again and again",
    ),
    "manifest changed": (Fault("flip", f"^GET .*{MANIFEST}"), "is not what was stored there|cut or damaged"),
    "cut": (Fault("cut", GET), "arrived cut or damaged again and again"),
    "stalled": (Fault("stall", GET), "does not finish its answers"),
}


@pytest.mark.parametrize(("fault", "message"), FETCHED_NEVER.values(), ids=FETCHED_NEVER)
def test_wrong_bytes_never_become_a_folder(
    line: FaultyS3, model: Path, tmp_path: Path, fault: Fault, message: str
) -> None:
    storage = open_at(line, tmp_path.name, timeout_s=0.5)
    storage.put_folder(model, "m", last=MANIFEST)
    fault.times, fault.seen = 1000, 0
    line.faults = [fault]
    began = time.monotonic()
    with pytest.raises(StorageError, match=message):
        storage.fetch_folder("m", tmp_path / "fetched")
    assert time.monotonic() - began < 20
    assert not (tmp_path / "fetched").exists()


def test_an_object_that_is_lost_before_the_end_is_noticed(
    line: FaultyS3, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_at(line, tmp_path.name)
    aborts = type(storage._bucket).abort_all

    def lose(bucket: object, prefix: str) -> None:
        storage.delete(["m/one part"])
        aborts(bucket, prefix)  # type: ignore[arg-type] - the class of a frozen bucket

    monkeypatch.setattr(type(storage._bucket), "abort_all", lose)
    with pytest.raises(StorageError, match="lost one part while it was being written"):
        storage.put_folder(model, "m", last=MANIFEST)
    assert f"m/{MANIFEST}" not in storage.list("m/")


def test_a_folder_that_lacks_a_file_is_not_fetched(storage: S3Storage, model: Path, tmp_path: Path) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    storage.delete(["m/weights"])
    with pytest.raises(StorageError, match="lacks weights, which its manifest names"):
        storage.fetch_folder("m", tmp_path / "fetched")


def test_keys_that_lead_out_of_the_folder_are_refused(storage: S3Storage, tmp_path: Path) -> None:
    storage.write("m/../../outside", b"x")
    with pytest.raises(StorageError, match="would be written outside"):
        storage.fetch_folder("m", tmp_path / "a" / "fetched")


def test_objects_that_others_stored_are_fetched_too(storage: S3Storage, tmp_path: Path) -> None:
    key = f"{tmp_path.name}/theirs"
    (tmp_path / "file").write_bytes(os.urandom(WEIGHTS_BYTES))
    boto3.client("s3", endpoint_url=storage.client.meta.endpoint_url).upload_file(
        str(tmp_path / "file"), "serin", f"{key}/large"
    )
    storage.client.put_object(Bucket="serin", Key=f"{key}/small", Body=b"s")
    storage.client.put_object(Bucket="serin", Key=f"{key}/", Body=b"")
    fetched = storage.fetch_folder("theirs", tmp_path / "fetched")
    assert contents(fetched) == {"large": (tmp_path / "file").read_bytes(), "small": b"s"}


def test_a_small_object_of_others_is_compared_with_the_checksum_that_s3_has(
    storage: S3Storage, line: FaultyS3, tmp_path: Path
) -> None:
    key = f"{tmp_path.name}/theirs/small"
    storage.client.put_object(Bucket="serin", Key=key, Body=b"small", ChecksumAlgorithm="SHA256")
    line.faults = [Fault("flip", "^GET .*theirs/small", times=2)]
    assert contents(storage.fetch_folder("theirs", tmp_path / "fetched")) == {"small": b"small"}
    assert len(line.lines("^GET .*theirs/small")) == 3


def test_two_publishers_of_the_same_folder_both_succeed(line: FaultyS3, model: Path, tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def publish() -> None:
        try:
            open_at(line, tmp_path.name).put_folder(model, "m", last=MANIFEST)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    storage = open_at(line, tmp_path.name)
    assert contents(storage.fetch_folder("m", tmp_path / "fetched")) == contents(model)
    assert "Uploads" not in storage.client.list_multipart_uploads(Bucket="serin", Prefix=tmp_path.name)


def test_two_that_fetch_to_the_same_place_fetch_once(
    line: FaultyS3, storage: S3Storage, model: Path, tmp_path: Path
) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    threads = [threading.Thread(target=storage.fetch_folder, args=("m", tmp_path / "fetched")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(line.lines("^GET .*one%20part")) == 1
    assert contents(tmp_path / "fetched") == contents(model)


def test_a_folder_is_removed_with_what_was_begun_of_it(
    storage: S3Storage, model: Path, line: FaultyS3, tmp_path: Path
) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    storage.client.create_multipart_upload(Bucket="serin", Key=f"{tmp_path.name}/m/new")
    storage.write("m2/other", b"stays")
    line.requests.clear()
    storage.remove_folder("m", first=MANIFEST)
    assert storage.list("") == ["m2/other"]
    assert len(line.lines(r"^POST .*\?delete")) == 2
    assert "Uploads" not in storage.client.list_multipart_uploads(Bucket="serin", Prefix=tmp_path.name)


def test_a_stream_goes_on_after_breaks_and_tells_of_damage(storage: S3Storage, model: Path, line: FaultyS3) -> None:
    storage.put_folder(model, "m", last=MANIFEST)
    line.faults = [Fault("reset", GET, times=3)]
    with storage.open("m/weights") as stream:
        assert stream.read() == (model / "weights").read_bytes()
    assert len(line.lines(GET)) == 4
    line.faults = [Fault("flip", GET)]
    with pytest.raises(StorageError, match="arrived damaged"), storage.open("m/weights") as stream:
        stream.read()
    with pytest.raises(StorageError, match="no-such is not in storage"), storage.open("m/no-such"):
        pass
