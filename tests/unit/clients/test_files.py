from pathlib import Path

import pytest

from serin.clients.files import output_folder, read_json, read_manifest, seal, write_atomically, write_json
from serin.core.errors import InputError


def make(folder: Path, text: str) -> None:
    with output_folder(folder) as scratch:
        (scratch / "data.txt").write_text(text)
        seal(scratch, kind="thing")


def test_an_interrupted_output_leaves_the_old_one_whole_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, "old")
    before = read_manifest(out, "thing", verify=True)

    def interrupted() -> None:
        with output_folder(out) as scratch:
            (scratch / "data.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_manifest(out, "thing", verify=True) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_digest_depends_on_content_alone(tmp_path: Path) -> None:
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        make(tmp_path / name, text)
    a, b, c = (read_manifest(tmp_path / name, "thing").digest for name in "abc")
    assert a == b != c


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    make(tmp_path / "out", "whole")
    (tmp_path / "out" / "data.txt").write_text("damaged")
    with pytest.raises(InputError, match=r"data\.txt differ"):
        read_manifest(tmp_path / "out", "thing", verify=True)


def test_a_folder_without_manifest_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="missing"):
        read_manifest(tmp_path / "out", "thing")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "out", "x")
    with pytest.raises(InputError, match="holds a thing, expected a dataset"):
        read_manifest(tmp_path / "out", "dataset")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"n": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"{}")
    assert read_json(path) == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
