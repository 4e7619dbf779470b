"""Models that a node fetches: shared, held while they are used, pruned when another one comes."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from serin.clients.storage import Storage, open_storage
from serin.core.errors import SerinError
from serin.core.params import StorageParams
from serin.serve.revisions.node_cache import hold_model, prune


class Counting:
    """A storage whose fetch is slow and counted; whoever fetches copies, as from S3."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.busy = 0
        self.most = 0

    def fetch_folder(self, prefix: str, destination: Path) -> Path:
        self.busy += 1
        self.most = max(self.most, self.busy)
        time.sleep(0.1)
        destination.mkdir(exist_ok=True)
        if not (destination / "config.json").exists():
            self.fetched.append(prefix)
            (destination / "config.json").write_text("{}")
        self.busy -= 1
        return destination


def held(storage: Counting, folder: Path) -> IO[bytes]:
    return hold_model(storage, f"models/{folder.name}", folder)  # type: ignore[arg-type] # the one method that is used


def test_replicas_of_one_node_fetch_a_model_once(tmp_path: Path) -> None:
    storage = Counting()
    locks: list[IO[bytes]] = []
    threads = [
        threading.Thread(target=lambda: locks.append(held(storage, tmp_path / "a-1")), daemon=True) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(locks) == 4, "each waits for a fetch, and for no replica that lives"
    assert storage.fetched == ["models/a-1"]
    assert storage.most == 1
    for lock in locks:
        lock.close()


def test_a_model_in_use_and_the_one_of_before_stay(tmp_path: Path) -> None:
    storage = Counting()
    in_use = held(storage, tmp_path / "stable-1")
    for number, name in enumerate(("old-1", "older-2", "newest-3")):
        held(storage, tmp_path / name).close()
        os.utime(tmp_path / f"{name}.lock", (1000 + number, 1000 + number))
    new = held(storage, tmp_path / "canary-1")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["canary-1", "newest-3", "stable-1"]
    in_use.close()
    new.close()


def test_what_another_process_holds_is_not_removed_until_it_is_killed(tmp_path: Path) -> None:
    storage = Counting()
    held(storage, tmp_path / "a-1").close()
    program = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_SH); print('held', flush=True);"
        "time.sleep(600)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a-1.lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert prune(tmp_path, spared=tmp_path / "b-1", keep=0) == []
    holder.kill()
    holder.communicate()
    assert prune(tmp_path, spared=tmp_path / "b-1", keep=0) == [tmp_path / "a-1"]


def test_a_folder_storage_is_not_copied(tmp_path: Path) -> None:
    model = tmp_path / "storage/models/a/1"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    storage: Storage = open_storage(StorageParams(url=str(tmp_path / "storage")))
    lock = hold_model(storage, "models/a/1", tmp_path / "cache/a-1")
    assert (tmp_path / "cache/a-1/config.json").read_text() == "{}"
    lock.close()
    prune(tmp_path / "cache", spared=tmp_path / "cache/b-1", keep=0)
    assert (model / "config.json").exists()


def test_what_storage_lacks_is_said_and_lets_go_of_the_lock(tmp_path: Path) -> None:
    storage = open_storage(StorageParams(url=str(tmp_path)))
    for _ in range(2):
        with pytest.raises(SerinError, match="models/a/1"):
            hold_model(storage, "models/a/1", tmp_path / "cache/a-1")
