import os
from pathlib import Path

import pytest

from serin.core.errors import InputError, UsageError
from serin.project.data import copies_of, find_data

from .conftest import turns, write_jsonl


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bike").mkdir()
    return tmp_path / "bike"


def one(path: Path) -> Path:
    return write_jsonl(path, [turns(1)])


def test_a_file_in_the_project_stays_where_it_is(project: Path) -> None:
    (given,) = find_data([str(one(project / "raw/a.jsonl"))], project)
    assert (given.place, given.places, given.copied) == ("raw/a.jsonl", ("raw/a.jsonl",), False)


def test_a_file_outside_of_it_is_to_be_copied(project: Path, chats: Path) -> None:
    data = find_data([str(chats)], project)
    assert data[0].place == "data/shop.jsonl.gz"
    assert list(copies_of(data)) == [(chats, "data/shop.jsonl.gz")]


def test_a_folder_is_taken_with_what_is_below_it(project: Path, tmp_path: Path) -> None:
    one(tmp_path / "old/a.jsonl")
    one(tmp_path / "old/2024/b.jsonl")
    (tmp_path / "old/notes.txt").write_text("not data")
    (given,) = find_data([str(tmp_path / "old")], project)
    assert given.place == "data/old"
    assert sorted(given.places) == ["data/old/2024/b.jsonl", "data/old/a.jsonl"]


def test_a_folder_in_the_project_is_named_as_it_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one(project / "raw/a.jsonl")
    monkeypatch.chdir(project)
    (given,) = find_data(["raw/../raw/"], Path())
    assert (given.place, given.places, given.copied) == ("raw", ("raw/a.jsonl",), False)


def test_each_file_of_a_pattern_is_named(project: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        one(tmp_path / f"old/{name}.jsonl")
        one(project / f"raw/{name}.jsonl")
    outside, inside = find_data([str(tmp_path / "old/*.jsonl"), str(project / "raw/*.jsonl")], project)
    assert (outside.place, outside.places, outside.copied) == (None, ("data/a.jsonl", "data/b.jsonl"), True)
    assert (inside.place, inside.places, inside.copied) == (None, ("raw/a.jsonl", "raw/b.jsonl"), False)


def test_a_name_with_brackets_is_a_file_and_no_pattern(project: Path, tmp_path: Path) -> None:
    (given,) = find_data([str(one(tmp_path / "shop [1].jsonl"))], project)
    assert given.place == "data/shop [1].jsonl"


def test_data_that_is_linked_into_the_project_is_in_it(project: Path, chats: Path) -> None:
    (project / "shop.jsonl.gz").symlink_to(chats)
    (given,) = find_data([str(project / "shop.jsonl.gz")], project)
    assert (given.place, given.copied) == ("shop.jsonl.gz", False)


def test_paths_may_be_relative(project: Path, chats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (given,) = find_data([os.path.relpath(chats)], Path())
    assert (given.place, given.copied) == ("data/shop.jsonl.gz", True)


def test_two_files_of_one_name_are_refused(project: Path, tmp_path: Path) -> None:
    files = [str(one(tmp_path / folder / "a.jsonl")) for folder in ("old", "new")]
    with pytest.raises(UsageError, match=r"would both become data/a\.jsonl"):
        find_data(files, project)


def test_a_file_that_is_named_twice_is_refused(project: Path, tmp_path: Path) -> None:
    path = one(tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match="is named twice"):
        find_data([str(path), str(tmp_path / "*.jsonl")], project)


def test_nothing_is_overwritten(project: Path, chats: Path) -> None:
    one(project / "data/shop.jsonl.gz")
    with pytest.raises(UsageError, match="exists already"):
        find_data([str(chats)], project)


def test_a_folder_that_holds_the_project_is_refused(project: Path, chats: Path) -> None:
    for folder in (chats.parent, project):
        one(folder / "a.jsonl")
        with pytest.raises(UsageError, match="holds the project bike itself"):
            find_data([str(folder)], project)


def test_a_pattern_across_the_border_is_refused(project: Path, tmp_path: Path) -> None:
    one(project / "a.jsonl")
    one(tmp_path / "old/b.jsonl")
    with pytest.raises(UsageError, match="inside and outside of bike"):
        find_data([str(tmp_path / "*/*.jsonl")], project)


def test_what_is_not_there_or_no_data_says_so(project: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data nowhere\.jsonl holds no data.*name another file"):
        find_data(["nowhere.jsonl"], project)
    (tmp_path / "a.docx").touch()
    with pytest.raises(InputError, match=r"a\.docx is of an unknown kind.*name another file"):
        find_data([str(tmp_path / "a.docx")], project)
