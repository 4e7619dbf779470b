"""Files of questions: what is wrong with one is said with its line."""

import json
from pathlib import Path

import pytest

from serin.core.errors import ConfigError, InputError
from serin.evaluate.question_files import load_questions

SHIPPED = Path("nowhere.jsonl")


def line(question: str, name: str, **meta: str) -> str:
    return json.dumps(
        {"messages": [{"role": "user", "content": question}], "meta": {"id": name, **meta}}, ensure_ascii=False
    )


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_files_are_read_in_their_order_and_serin_names_the_shipped_one(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped.jsonl"
    write(shipped, line("Shipped?", "s1"))
    own = write(tmp_path / "own.jsonl", "", line("你好?\u2028Second line.", "o1"), "  ", line("Two?", "o2"))
    questions = load_questions([own, "serin", own], shipped, "evaluate.x")
    assert [question.id for question in questions] == ["o1", "o2", "s1"], "and a file named twice is read once"
    assert questions[0].user_text == "你好?\u2028Second line."


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("\ufeff" + line("One?", "1"), encoding="utf-8")
    assert len(load_questions([str(tmp_path / "own.jsonl")], SHIPPED, "evaluate.x")) == 1


def test_no_file_is_no_question() -> None:
    assert load_questions([], SHIPPED, "evaluate.x") == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line("One?", "1"), "{"], r"own\.jsonl:2 is not JSON"),
        (["[1, 2]"], r"own\.jsonl:1 is not a conversation .*expected \{\"messages\""),
        (['{"messages": [], "meta": {"id": "1"}}'], r"own\.jsonl:1 asks nothing"),
        (
            ['{"messages": [{"role": "user", "content": "Hi"}]}'],
            r"own\.jsonl:1 is not a conversation \(KeyError\('meta'\)\)",
        ),
        ([line("  ", "1")], r"own\.jsonl:1 asks nothing"),
        (['{"messages": [{"role": "assistant", "content": "Hi"}], "meta": {"id": 1}}'], r"own\.jsonl:1 asks nothing"),
        ([line("One?", "1"), "", line("Two?", "1")], r"own\.jsonl:3 has the id '1', as has .*own\.jsonl:1: give each"),
        ([line("One?", "1"), line("bad", "2")], r"own\.jsonl:2 is bad; mend the line"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, lines: list[str], message: str) -> None:
    own = write(tmp_path / "own.jsonl", *lines)
    with pytest.raises(InputError, match=message):
        load_questions([own], SHIPPED, "evaluate.x", lambda q: "is bad" if q.user_text == "bad" else None)


def test_ids_are_one_namespace_over_all_files(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.jsonl", line("One?", "same")) for name in "ab"]
    with pytest.raises(InputError, match=r"b\.jsonl:1 has the id 'same', as has .*a\.jsonl:1"):
        load_questions(files, SHIPPED, "evaluate.x")


def test_a_file_that_is_missing_or_empty_is_a_fault_of_the_params(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.jsonl cannot be read \(No such file.*edit evaluate\.x"):
        load_questions([str(tmp_path / "no.jsonl")], SHIPPED, "evaluate.x")
    with pytest.raises(ConfigError, match=r"empty\.jsonl holds no question.*edit evaluate\.x"):
        load_questions([write(tmp_path / "empty.jsonl")], SHIPPED, "evaluate.x")


def test_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_bytes("劳动".encode("gb18030"))
    with pytest.raises(InputError, match=r"own\.jsonl is not UTF-8 \(byte 0\)"):
        load_questions([str(tmp_path / "own.jsonl")], SHIPPED, "evaluate.x")
