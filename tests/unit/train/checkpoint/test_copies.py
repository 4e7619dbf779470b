import threading
import time
from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import StorageError
from serin.train.checkpoint.copies import Copies, fetch_newer, stored_steps
from serin.train.checkpoint.state import folder_name

KEY = "a" * 64


def checkpoint(folder: Path, step: int) -> Path:
    path = folder / folder_name(step)
    path.mkdir(parents=True)
    (path / "weights.safetensors").write_bytes(b"w" * step)
    (path / "manifest.json").write_text(f"{step}")
    return path


class Flaky(FolderStorage):
    """Storage that does not answer while ``down``."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.down = threading.Event()

    def put_folder(self, source: Path, prefix: str, last: str) -> None:
        if self.down.is_set():
            raise StorageError("no answer")
        super().put_folder(source, prefix, last)


def test_the_last_ones_are_in_storage_and_can_be_fetched(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "s")
    copies = Copies(storage, KEY, keep=2, noted=pytest.fail)
    for step in (2, 4, 6):
        copies.add(step, checkpoint(tmp_path / "local", step))
        assert copies.wait(10)
    copies.close()
    assert stored_steps(storage, f"runs/{KEY}") == [4, 6]
    assert fetch_newer(storage, KEY, None, tmp_path / "new") == 6
    assert (tmp_path / "new" / folder_name(6) / "weights.safetensors").read_bytes() == b"w" * 6
    assert fetch_newer(storage, KEY, 6, tmp_path / "new") is None
    assert fetch_newer(storage, "b" * 64, None, tmp_path / "new") is None


def test_one_without_its_manifest_is_not_seen(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write(f"runs/{KEY}/{folder_name(3)}/weights.safetensors", b"w")
    assert stored_steps(storage, f"runs/{KEY}") == []


def test_storage_that_fails_is_told_of_once_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serin.train.checkpoint.copies._FIRST_PAUSE_S", 0.02)
    storage, told = Flaky(tmp_path / "s"), list[str]()
    storage.down.set()
    copies = Copies(storage, KEY, keep=2, noted=told.append)
    started = time.monotonic()
    copies.add(2, checkpoint(tmp_path / "local", 2))
    copies.add(4, checkpoint(tmp_path / "local", 4))
    assert time.monotonic() - started < 1
    assert not copies.wait(0.3)
    assert copies.is_using(4)
    storage.down.clear()
    assert copies.wait(10)
    copies.close()
    assert stored_steps(storage, f"runs/{KEY}") == [4]
    assert len(told) == 2
    assert "could not be copied (no answer); training goes on" in told[0]
    assert "storage answers again" in told[1]
