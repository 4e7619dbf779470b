import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import StorageError


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "storage")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * 100_000)
    (folder / "sub" / "config").write_text("{}")
    (folder / "manifest.json").write_text("{}")
    return folder


def test_fetching_gives_the_original(storage: FolderStorage, source: Path, tmp_path: Path) -> None:
    storage.put_folder(source, "m/d", last="manifest.json")
    fetched = storage.fetch_folder("m/d", tmp_path / "unused")
    assert fetched == (storage.root / "m/d").absolute()
    assert (fetched / "sub/config").read_text() == "{}"
    assert not (tmp_path / "unused").exists()


def test_what_is_there_is_not_written_again(storage: FolderStorage, source: Path) -> None:
    storage.put_folder(source, "m", last="manifest.json")
    written = (storage.root / "m/weights").stat()
    (source / "sub/config").write_text("[]")
    storage.put_folder(source, "m", last="manifest.json")
    assert (storage.root / "m/weights").stat().st_ino == written.st_ino
    assert storage.read("m/sub/config") == b"[]"


def test_damage_is_mended(storage: FolderStorage, source: Path) -> None:
    storage.put_folder(source, "m", last="manifest.json")
    (storage.root / "m/weights").write_bytes(b"w" * 99_999 + b"x")
    storage.put_folder(source, "m", last="manifest.json")
    assert storage.read("m/weights") == b"w" * 100_000


def test_a_copy_that_breaks_off_is_not_complete_and_goes_on(
    storage: FolderStorage, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put_folder(source, "m", last="manifest.json")
    (source / "weights").write_bytes(b"v" * 100_000)
    (source / "sub/config").write_text("[]")
    with monkeypatch.context() as broken:
        broken.setattr("serin.clients.storage.folder._place", _full_disk)
        with pytest.raises(OSError, match="No space left"):
            storage.put_folder(source, "m", last="manifest.json")
    assert "m/manifest.json" not in storage.list("m/")
    storage.put_folder(source, "m", last="manifest.json")
    assert storage.read("m/weights") == b"v" * 100_000
    assert "m/manifest.json" in storage.list("m/")


def _full_disk(*_: object) -> None:
    raise OSError(28, os.strerror(28))


def test_a_source_that_nobody_needs_is_moved(storage: FolderStorage, source: Path) -> None:
    weights = (source / "weights").stat().st_ino
    storage.move_folder(source, "m", last="manifest.json")
    assert (storage.root / "m/weights").stat().st_ino == weights
    assert storage.list("m/") == ["m/manifest.json", "m/sub/config", "m/weights"]


def test_a_source_that_was_moved_before_a_kill_needs_nothing_more(storage: FolderStorage, source: Path) -> None:
    storage.move_folder(source, "m", last="manifest.json")
    storage.move_folder(source, "m", last="manifest.json")
    assert storage.read("m/weights") == b"w" * 100_000
    with pytest.raises(FileNotFoundError):
        storage.move_folder(source, "other", last="manifest.json")


def test_a_damaged_folder_is_mended_by_what_is_moved_there(storage: FolderStorage, source: Path) -> None:
    storage.put_folder(source, "m", last="manifest.json")
    (storage.root / "m/weights").write_bytes(b"v")
    (storage.root / "m/stray").write_bytes(b"x")
    storage.move_folder(source, "m", last="manifest.json")
    assert storage.read("m/weights") == b"w" * 100_000
    assert storage.list("m/") == ["m/manifest.json", "m/sub/config", "m/weights"]


def test_a_source_stays_its_owners(storage: FolderStorage, source: Path) -> None:
    storage.put_folder(source, "m", last="manifest.json")
    with (source / "weights").open("r+b") as file:
        file.write(b"changed")
    assert storage.read("m/weights") == b"w" * 100_000


def test_memory_does_not_depend_on_the_size_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with (tmp_path / "source/weights").open("wb") as file:
        file.truncate(1 << 29)
    code = (
        "import resource, sys; from pathlib import Path; from serin.clients.storage import FolderStorage\n"
        "root = Path(sys.argv[1]); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "FolderStorage(root / 'storage').put_folder(root / 'source', 'm', last='weights')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True)
    assert int(done.stdout) < 64 << 10, "KiB"


def test_a_listing_holds_nothing_unfinished(storage: FolderStorage) -> None:
    storage.write("m/weights", b"w")
    (storage.root / "m/.weights.abc.serin-unfinished").write_bytes(b"half")
    assert storage.list("") == ["m/weights"]
    assert storage.list("m/we") == ["m/weights"]
    assert storage.list("m/x") == []
    assert storage.list("none/") == []


def test_what_is_removed_leaves_no_empty_folders(storage: FolderStorage, source: Path) -> None:
    storage.put_folder(source, "models/m/d", last="manifest.json")
    storage.write("models/other", b"stays")
    storage.remove_folder("models/m/d", first="manifest.json")
    assert storage.list("") == ["models/other"]
    assert not (storage.root / "models/m").exists()
    storage.delete(["models/other"])
    assert not (storage.root / "models").exists()
    assert storage.root.is_dir()


def test_a_folder_that_is_not_there_is_named(storage: FolderStorage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="m/d is not in storage: run the stage that writes it"):
        storage.fetch_folder("m/d", tmp_path)


def test_no_increment_is_lost_between_processes(storage: FolderStorage) -> None:
    storage.write("count", b"0")
    code = (
        "import sys; from pathlib import Path; from serin.clients.storage import FolderStorage\n"
        "storage, done = FolderStorage(Path(sys.argv[1])), 0\n"
        "while done < 20:\n"
        "    data, version = storage.read_versioned('count')\n"
        "    done += storage.replace('count', str(int(data) + 1).encode(), version)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(storage.root)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert json.loads(storage.read("count")) == 60
