"""What serving keeps in an S3 server: evidence, the steps of rollouts, what is captured, and models that nodes fetch."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from serin.clients.evidence.removal import outdated, remove
from serin.clients.evidence.shipped import DEAD_S, StorageReader, StorageWriter
from serin.clients.files import seal
from serin.clients.storage import S3Storage
from serin.core.errors import StorageError
from serin.core.manifest import MANIFEST
from serin.core.params import CaptureParams, SourceParams
from serin.prepare.raw.captured import read_scores
from serin.prepare.raw.read import decoded, read_records
from serin.prepare.raw.sources import find_files
from serin.rollout.state import new_rollout
from serin.rollout.store import RolloutStore, Step
from serin.serve.gateway.capture.capture import Capture, Counts
from serin.serve.revisions.node_cache import ENDPOINT_VARIABLE, STORAGE_VARIABLE, hold_model, storage_of

from ..serving.gateways import STABLE, stand
from ..unit.rollout.traffic import CANARY, PARAMS, Production
from .s3_faults import Fault, FaultyS3, Kind, faulty_s3

ROWS, STEPS = r"^PUT .*/evidence/", r"^PUT .*/steps/"


@pytest.fixture
def line(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """What fails is told to Serin at once, instead of after the retries of botocore."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with faulty_s3(s3_endpoint) as line:
        yield line


@pytest.fixture
def environment(line: FaultyS3, tmp_path: Path) -> dict[str, str]:
    """As a pod has it."""
    return {STORAGE_VARIABLE: f"s3://serin/{tmp_path.name}", ENDPOINT_VARIABLE: line.url}


@pytest.fixture
def storage(line: FaultyS3, environment: Mapping[str, str]) -> S3Storage:
    return S3Storage(environment[STORAGE_VARIABLE], line.url, pause=lambda _: None)


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read(reader: StorageReader, positions: dict[str, int]) -> list[int]:
    """The numbers of all new rows; positions move on."""
    found = []
    for chunk in reader.read(positions, 0.0):
        found += [row["n"] for row in chunk.rows]
        positions[chunk.source] = chunk.end
    return found


def start(code: str, environment: Mapping[str, str], *arguments: object) -> "subprocess.Popen[bytes]":
    setup = "import os, sys; from serin.serve.revisions.node_cache import hold_model, storage_of\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{setup}storage = storage_of(os.environ)\n{code}", *map(str, arguments)],
        env={**os.environ, **environment},
    )


# ---- evidence ------------------------------------------------------------------------------------------------------------
def test_evidence_is_there_once_whatever_the_line_does_and_goes_when_it_is_old(
    line: FaultyS3, storage: S3Storage
) -> None:
    writer, positions = StorageWriter(storage, "gateway", ship_s=1e6), dict[str, int]()
    for n, kind in enumerate(("error", "lost", "reset up", "flip up")):
        writer.append({"n": n})
        line.faults = [
            Fault(kind, ROWS, after=int(n == 0))
        ]  # the first object of a stream comes after its sign of life
        with suppress(StorageError):
            writer.ship()
        assert line.faults[0].seen, kind
        line.faults = []
        assert not writer.ship()
    assert read(StorageReader(storage), positions) == [0, 1, 2, 3]
    assert read(StorageReader(storage), positions) == []
    writer.close()
    remove(outdated(storage, time.time()), storage)
    assert len(storage.list("rollouts/evidence/")) == 5, "the stream lives"
    remove(outdated(storage, time.time() + 2 * DEAD_S), storage)
    assert storage.list("rollouts/evidence/") == []


def test_evidence_waits_while_s3_is_away(line: FaultyS3, storage: S3Storage) -> None:
    line.faults = [Fault("error", ".", times=1_000_000, status=503, code="SlowDown")]
    writer = StorageWriter(storage, "gateway", ship_s=0.05)
    for n in range(20):
        writer.append({"n": n})
    until(lambda: line.faults[0].seen >= 2)
    line.faults = []
    writer.append({"n": 20})
    found, positions = list[int](), dict[str, int]()
    until(lambda: bool(found.extend(read(StorageReader(storage), positions)) or len(found) >= 21))
    writer.close()
    assert found == list(range(21))
    assert writer.dropped == 0


def test_of_a_gateway_that_is_killed_while_it_ships_everything_before_is_there(
    line: FaultyS3, storage: S3Storage, environment: Mapping[str, str]
) -> None:
    third = Fault("hold", r"^PUT .*/rows/", after=2)
    line.faults = [third]
    process = start(
        "from serin.clients.evidence.shipped import StorageWriter\n"
        "writer = StorageWriter(storage, 'gateway', ship_s=1e6)\n"
        "for n in range(4): writer.append({'n': n}); writer.ship()",
        environment,
    )
    assert third.held.wait(120)
    process.kill()
    process.wait()
    line.faults = []
    again, positions = StorageWriter(storage, "gateway", ship_s=1e6), dict[str, int]()
    again.append({"n": 10})
    again.ship()
    assert sorted(read(StorageReader(storage), positions)) == [0, 1, 10]
    again.append({"n": 11})
    again.close()
    assert read(StorageReader(storage), positions) == [11]


# ---- steps ---------------------------------------------------------------------------------------------------------------
def test_of_many_that_store_a_step_at_once_one_does(storage: S3Storage) -> None:
    state = new_rollout("r", STABLE, CANARY, "salt", PARAMS, 0.0)
    stores = {person: RolloutStore(storage, "r") for person in ("a", "b", "c", "d")}
    with ThreadPoolExecutor(len(stores)) as processes:
        for number in range(3):
            steps = [Step(number=number, t=0.0, action="count", person=person, state=state) for person in stores]
            done = list(processes.map(RolloutStore.append, stores.values(), steps))
            (first,) = (person for person, stored in zip(stores, done, strict=True) if stored)
            assert [step.person for step, _ in stores["a"].steps(number)] == [first]
    assert [step.number for step, _ in RolloutStore(storage, "r").steps()] == [0, 1, 2]


@dataclass
class OverALine(Production):
    """Evidence and steps in S3. A gateway tries again, and after an error of storage a process that starts anew takes over."""

    s3: S3Storage | None = None
    errors: int = 0

    def new_storage(self) -> Any:
        return self.s3

    def turn(self) -> Step:
        while True:
            try:
                return super().turn()
            except StorageError:
                self.errors += 1
                self.engine = self.new_engine()

    def ship(self, writer: StorageWriter) -> None:
        while True:
            try:
                return super().ship(writer)
            except StorageError:
                self.errors += 1


def test_a_rollout_over_a_bad_line_concludes_what_one_over_a_good_one_does(
    line: FaultyS3, storage: S3Storage, tmp_path: Path
) -> None:
    (tmp_path / "good").mkdir()
    good = Production(tmp_path / "good", "storage", 0.7)
    assert good.run().decision == "aborted"
    bad = OverALine(tmp_path, "storage", 0.7, s3=storage)
    line.faults = [
        *(Fault("lost", STEPS, after=after) for after in (1, 3)),
        *(Fault("error", STEPS, after=after) for after in (2, 5)),
        *(Fault("lost", ROWS, after=after) for after in (0, 7, 12)),
        Fault("error", r"^GET .*/(rows|steps)/", after=9, status=503, code="SlowDown"),
        Fault("cut", r"^GET .*/rows/", after=15),
    ]
    assert bad.run().decision == "aborted"
    assert bad.errors >= 6
    units = [[closed for _, closed in made.new_store().steps()] for made in (good, bad)]
    assert units[0] == units[1]
    assert good.store.last().state == bad.new_store().last().state
    assert bad.serving.weights().stable == good.serving.weights().stable
    good.close()
    bad.close()


# ---- capture -------------------------------------------------------------------------------------------------------------
async def test_what_is_captured_waits_for_s3_and_is_read_back_by_prepare(
    line: FaultyS3, storage: S3Storage, environment: Mapping[str, str], tmp_path: Path
) -> None:
    def capture() -> Capture:
        params, counts = CaptureParams(sample=1.0), Counts(lambda _: None, lambda *_: None)
        return Capture(params, tmp_path / "spool", lambda: storage, time.time, counts)

    away = Fault("error", "^PUT .*/captured/", times=1_000_000, status=503, code="SlowDown")
    line.faults = [away]
    async with stand(tmp_path / "state", capture=capture()) as here:
        messages = [{"role": "user", "content": "I am anna.schmidt@example.org. How long?"}]
        request_id = (await here.chat(messages=messages)).headers["x-request-id"]
        async with here.http.post("/v1/feedback", json={"request_id": request_id, "score": 0.75}) as answer:
            assert answer.status == 200
    assert away.seen
    assert storage.list("captured/") == []
    line.faults = [Fault("lost", "^PUT .*/captured/")]  # it arrives, and is sent again under the same name
    for _ in range(2):
        after = capture()
        after.start()
        after.close()
    assert list((tmp_path / "spool").iterdir()) == []
    assert len(storage.list("captured/")) == 1
    source = SourceParams(path=f"{environment[STORAGE_VARIABLE]}/captured/", format="capture")
    files = find_files([source], line.url)
    scores = read_scores(files, line.url)
    (record,) = [decoded(record) for file in files for record in read_records(file, 1 << 20, line.url, scores)]
    assert record.fault is None
    assert record.value["messages"][0]["content"] == "I am [EMAIL]. How long?"
    assert record.value["messages"][1]["role"] == "assistant"
    assert (record.value["revision"], record.value["score"]) == (STABLE, 0.75)


# ---- models --------------------------------------------------------------------------------------------------------------
_BAD: tuple[Kind, ...] = ("cut", "flip", "error", "reset")
WEIGHTS = r"^GET .*/model\.safetensors"


@pytest.fixture
def published(storage: S3Storage, tmp_path: Path) -> str:
    """A model's prefix in storage."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(os.urandom(1 << 20))
    (folder / "config.json").write_text("{}")
    seal(folder, kind="merge")
    storage.put_folder(folder, "models/law/d", last=MANIFEST)
    return "models/law/d"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_replicas_of_a_node_fetch_a_model_once_and_whole_over_a_bad_line(
    line: FaultyS3, environment: Mapping[str, str], published: str, tmp_path: Path
) -> None:
    line.faults = [Fault(kind, WEIGHTS) for kind in _BAD]  # one request after the other meets one
    folder = tmp_path / "node" / "law-d"
    locks: list[IO[bytes]] = []

    def replica() -> None:
        while True:  # as Ray starts one again whose model could not be fetched
            with suppress(StorageError):
                locks.append(hold_model(storage_of(environment), published, folder))
                return

    threads = [threading.Thread(target=replica, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(locks) == 2
    assert contents(folder) == contents(tmp_path / "published")
    assert line.faults[-1].seen
    assert line.faults[0].seen <= len(_BAD) + 1, "the second one found it there"
    for lock in locks:
        lock.close()


def test_what_a_killed_replica_fetched_is_no_model_until_another_has_the_rest(
    line: FaultyS3, environment: Mapping[str, str], published: str, tmp_path: Path
) -> None:
    folder = tmp_path / "node" / "law-d"
    torn = Fault("stall", WEIGHTS)
    line.faults = [torn]
    process = start(
        "from pathlib import Path; hold_model(storage, *sys.argv[1:2], Path(sys.argv[2]))",
        environment,
        published,
        folder,
    )
    assert torn.held.wait(120)
    process.kill()
    process.wait()
    assert contents(tmp_path / "published") != (contents(folder) if folder.exists() else {})
    hold_model(storage_of(environment), published, folder).close()
    assert contents(folder) == contents(tmp_path / "published")


def test_an_object_that_is_another_than_was_published_is_not_served(
    storage: S3Storage, environment: Mapping[str, str], published: str, tmp_path: Path
) -> None:
    storage.client.put_object(
        Bucket="serin",
        Key=f"{storage.prefix}/{published}/model.safetensors",
        Body=os.urandom(1 << 20),
        Metadata={"sha256": "0" * 64},
    )
    folder = tmp_path / "node" / "law-d"
    with pytest.raises(StorageError, match=r"model\.safetensors"):
        hold_model(storage_of(environment), published, folder)
    assert not folder.exists() or "model.safetensors" not in contents(folder)
