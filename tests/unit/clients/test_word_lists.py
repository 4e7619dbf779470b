"""Word lists on disk: those that come with Serin, and the user's own."""

from pathlib import Path

import pytest

from serin.clients.word_lists import load_word_lists
from serin.core.errors import ConfigError


@pytest.mark.parametrize("code", ["en", "zh"])
def test_each_shipped_word_is_found_by_itself_and_stands_there_once(code: str) -> None:
    text = Path(f"src/serin/clients/words/{code}.txt").read_text(encoding="utf-8")
    words = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert text.startswith("#"), "it says what it is"
    assert 60 <= len(words) == len(set(words)) <= 120
    lists = load_word_lists([code], [], "x")
    assert all(lists.find(word) == {code} for word in words)


def test_a_file_may_have_comments_empty_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("\ufeffAcme   # the comment\n# a comment\n\nC#\n", encoding="utf-8")
    lists = load_word_lists([], [str(own)], "x")
    assert lists.find("acme") == lists.find("c#") == {"own.txt"}
    assert lists.find("the comment") == set()


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "words.txt").write_text(f"word{folder}\nshared\n")
    lists = load_word_lists([], [str(tmp_path / folder / "words.txt") for folder in "ab"], "x")
    (one,) = lists.find("worda")
    assert one.endswith("a/words.txt")
    assert len(lists.find("shared")) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"own\.txt cannot be read \(No such file or directory\).*edit some\.section\.files"),
        (b"", r"own\.txt holds no word"),
        (b"# only\n  # comments\n", r"own\.txt holds no word"),
        ("劳动".encode("gb18030"), r"own\.txt is not UTF-8"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "own.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_word_lists([], [str(tmp_path / "own.txt")], "some.section")
