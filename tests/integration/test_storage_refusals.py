"""What S3 and the way to it refuse: said in words, soon, without secrets, and never taken for something else."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serin.clients.storage import S3Storage, open_s3
from serin.core.errors import ConfigError, StorageError

from .s3_faults import Fault, FaultyS3, faulty_s3


@pytest.fixture
def line(s3_endpoint: str) -> Iterator[FaultyS3]:
    with faulty_s3(s3_endpoint) as line:
        yield line


@pytest.fixture
def storage(line: FaultyS3, tmp_path: Path) -> S3Storage:
    return S3Storage(f"s3://serin/{tmp_path.name}", line.url, pause=lambda _: None)


def test_a_bucket_that_does_not_exist(s3_endpoint: str, tmp_path: Path) -> None:
    storage = S3Storage("s3://no-such-bucket", s3_endpoint)
    (tmp_path / "file").touch()
    words = r"the bucket does not exist at http://127\.0\.0\.1:\d+; create it, or edit storage\.url"
    with pytest.raises(StorageError, match=words):
        storage.write("a", b"b")
    with pytest.raises(StorageError, match=words):
        storage.put_folder(tmp_path, "m", last="file")
    with pytest.raises(StorageError, match=words):
        storage.fetch_folder("m", tmp_path / "fetched")
    with pytest.raises(StorageError, match=words):
        storage.list("")


def test_no_credentials(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match="no credentials were found; set AWS_ACCESS_KEY_ID and"):
        S3Storage("s3://serin", s3_endpoint).write("a", b"b")


def test_a_profile_that_there_is_none_of(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(StorageError, match=r"no-such-profile.*; check AWS_PROFILE"):
        S3Storage("s3://serin", s3_endpoint)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        url = f"http://user:geheim@127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"nobody answers at http://127\.0\.0\.1:\d+; check storage\.") as raised:
            S3Storage("s3://serin", url).write("a", b"b")
    assert time.monotonic() - began < 15
    assert "geheim" not in str(raised.value)


def test_a_server_that_takes_and_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        storage = S3Storage("s3://serin", f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.3)
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"does not finish its answers .*; try again later, or raise storage\."):
            storage.read("a")
    assert time.monotonic() - began < 10


def test_an_address_without_a_bucket() -> None:
    with pytest.raises(ConfigError, match="expected s3://bucket/prefix"):
        S3Storage("s3:///models", None)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "AccessDenied", "does not allow it .AccessDenied.; check the credentials and the bucket's policy"),
        (403, "InvalidAccessKeyId", "does not accept the credentials .InvalidAccessKeyId."),
        (403, "SignatureDoesNotMatch", "does not accept the credentials"),
        (400, "ExpiredToken", "does not accept the credentials .ExpiredToken."),
        (301, "PermanentRedirect", "lies in another region .PermanentRedirect.; set AWS_DEFAULT_REGION"),
        (400, "EntityTooLarge", "refused it .EntityTooLarge.; check storage.url"),
    ],
)
def test_refusals_say_what_to_do(storage: S3Storage, line: FaultyS3, status: int, code: str, message: str) -> None:
    line.faults = [Fault("error", "^PUT", times=9, status=status, code=code)]
    with pytest.raises(StorageError, match=message) as raised:
        storage.write("record", b"secret bytes")
    for secret in ("testing", "Signature=", "AWS4-HMAC", "secret bytes"):
        assert secret not in str(raised.value)


def test_who_may_not_look_for_unfinished_uploads_can_still_publish(
    storage: S3Storage, line: FaultyS3, tmp_path: Path
) -> None:
    line.faults = [Fault("error", r"\?uploads&prefix", times=9, status=403, code="AccessDenied")]
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "last").write_text("x")
    storage.put_folder(tmp_path / "m", "m", last="last")
    assert storage.list("m/") == ["m/last"]


# ---- conditional writes --------------------------------------------------------------------------------------------------
def test_who_was_first_knows_it_though_the_answer_was_lost(storage: S3Storage, line: FaultyS3) -> None:
    line.faults = [Fault("lost", "^PUT", times=2)]
    assert storage.write_new("record", b"mine")
    line.faults = [Fault("lost", "^PUT")]
    assert storage.replace("record", b"mine too", storage.read_versioned("record")[1])
    assert not storage.write_new("record", b"mine")


def test_a_write_at_the_same_moment_is_no_error_of_storage(storage: S3Storage, line: FaultyS3) -> None:
    busy = {"status": 409, "code": "ConditionalRequestConflict"}
    line.faults = [Fault("error", "^PUT", times=2, **busy)]  # type: ignore[arg-type] - of two types
    assert storage.write_new("record", b"mine")
    line.faults = [Fault("error", "^PUT", times=99, **busy)]  # type: ignore[arg-type] - of two types
    assert not storage.write_new("other", b"mine")


def test_a_server_without_conditional_writes_is_named(storage: S3Storage, line: FaultyS3) -> None:
    line.faults = [Fault("error", "^PUT", times=9, status=501, code="NotImplemented")]
    with pytest.raises(StorageError, match=r"does not know conditional writes .*: use a server that does"):
        storage.write_new("record", b"mine")


def test_raw_data_is_read_over_a_bad_line(storage: S3Storage, line: FaultyS3) -> None:
    rows = b'{"a": 1}\n' * 50_000
    storage.write("raw.jsonl", rows)
    line.faults = [Fault("cut", "^GET", times=3)]
    with open_s3(storage.uri("raw.jsonl"), line.url) as stream:
        assert stream.read() == rows


def test_raw_data_that_arrives_damaged_is_noticed_at_its_end(
    storage: S3Storage, line: FaultyS3, tmp_path: Path
) -> None:
    key = f"{tmp_path.name}/theirs.jsonl"
    storage.client.put_object(Bucket="serin", Key=key, Body=b"{}\n" * 1000, ChecksumAlgorithm="SHA256")
    line.faults = [Fault("flip", "^GET")]
    with pytest.raises(StorageError, match="arrived cut or damaged"), storage.open("theirs.jsonl") as stream:
        stream.read()


def test_records_are_compared_where_the_server_knows_no_checksums(storage: S3Storage, line: FaultyS3) -> None:
    line.hides_checksums = True
    storage.write("record", b"what was decided")
    line.faults = [Fault("flip", "^GET", times=2)]
    assert storage.read("record") == b"what was decided"
    line.faults = [Fault("flip", "^GET", times=99)]
    with pytest.raises(StorageError, match="is not what was stored there"):
        storage.read("record")
