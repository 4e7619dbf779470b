"""Documents are found, and cut without losing any of their text."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serin.core.errors import InputError
from serin.prepare.augment.documents import Document, cut, find_documents, read_passages

PARTS = ["a", "bb", " ", "。", "! ", "3.5", "\n", "\n\n", " \n\t\n", "# ", "四", "\u3000", "word " * 9]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=60).map("".join)


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(text=TEXTS, longest=st.integers(1, 60))
@example(text="x" * 100, longest=7)
@example(text="# Heading\n\n" + "word " * 50, longest=20)
def test_nothing_is_lost_and_no_passage_is_too_long(text: str, longest: int) -> None:
    passages = cut(text, longest)
    assert bare("".join(passages)) == bare(text)
    assert all(0 < len(passage) <= longest for passage in passages)
    assert all(passage == passage.strip() for passage in passages)


def test_short_paragraphs_share_a_passage_up_to_its_length() -> None:
    assert cut("one\n\ntwo\n  \n\nthree", 8) == ["one\n\ntwo", "three"]
    assert cut("one\n\ntwo", 7) == ["one", "two"]
    assert cut("one\r\n\r\ntwo", 20) == ["one\n\ntwo"]


def test_a_heading_goes_with_what_follows_it() -> None:
    assert cut("An introduction.\n\n## Wages\n\nPaid monthly.", 30) == ["An introduction.", "## Wages\n\nPaid monthly."]


def test_long_paragraphs_are_cut_between_sentences() -> None:
    assert cut("It costs 3.5 yuan. Pay at once! Or leave?", 32) == ["It costs 3.5 yuan. Pay at once!", "Or leave?"]
    assert cut("It costs so much: 3.5 yuan", 20) == ["It costs so much:", "3.5 yuan"]
    assert cut("试用期不得超过六个月。同一单位只能约定一次。", 12) == [
        "试用期不得超过六个月。",
        "同一单位只能约定一次。",
    ]
    assert cut("a sentence without any end in sight", 20) == ["a sentence without", "any end in sight"]


def test_folders_files_and_globs_are_found_once_and_named_without_what_is_above_them(tmp_path: Path) -> None:
    for name in ("law/a.md", "law/deep/b.TXT", "law/.hidden/c.md", "law/picture.png", "other/a.md", "d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    named = [str(tmp_path / "d.txt"), str(tmp_path / "law"), str(tmp_path / "*.txt")]
    assert [document.name for document in find_documents(named)] == ["d.txt", "a.md", "deep/b.TXT"]
    both = [document.name for document in find_documents([str(tmp_path / "law"), str(tmp_path / "other")])]
    assert len(set(both)) == 3
    assert not any(name.startswith("/") for name in both)


@pytest.mark.parametrize("name", ["gone.md", "*.md", "empty", "letter.docx"])
def test_what_names_no_document_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "letter.docx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"expected UTF-8 text files .* edit prepare\.augment\.documents"):
        find_documents([str(tmp_path / name)])


def test_passages_are_numbered_and_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes("\ufeffone\n\ntwo".encode())
    assert list(read_passages(Document(tmp_path / "a.md", "a.md"), 4)) == [("a.md:1", "one"), ("a.md:2", "two")]


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("劳动".encode("gb18030"))
    with pytest.raises(InputError, match=r"a\.txt is not UTF-8"):
        list(read_passages(Document(tmp_path / "a.txt", "a.txt"), 100))
