from collections.abc import Mapping
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from serin.core.errors import ConfigError, InputError
from serin.core.params import PrepareParams, SourceParams
from serin.prepare.raw.sources import find_files
from serin.prepare.record.language import LanguageDetector
from serin.project.columns import Role
from serin.project.look import SAMPLE_RECORDS, Look, look_at

from .conftest import PARTS, turns, write_csv, write_jsonl

DETECTOR = LanguageDetector(PrepareParams().languages.detect)
MANY = 3 * SAMPLE_RECORDS


def look(path: Path, columns: Mapping[Role, str] | None = None) -> Look:
    (file,) = find_files([SourceParams(path=str(path))])
    return look_at(file, columns, DETECTOR)


def test_a_small_file_is_counted(chats: Path) -> None:
    found = look(chats)
    assert (found.format, found.records, found.read, found.unlike) == ("sharegpt", 40, 40, 0)
    assert found.languages == {"en": 40}
    assert len(found.tokens) == len(found.answer_tokens) == 40
    assert all(0 < answer < whole for answer, whole in zip(found.answer_tokens, found.tokens, strict=True))


def test_a_large_file_is_estimated_from_its_head(tmp_path: Path) -> None:
    records = [turns(n) for n in range(MANY)]
    found = look(write_jsonl(tmp_path / "many.jsonl", records))
    assert found.read == SAMPLE_RECORDS
    assert found.records == pytest.approx(MANY, rel=0.05)
    assert look(write_jsonl(tmp_path / "many.jsonl.gz", records)).records is None
    rows = [[f"Is the {PARTS[n % 6]} of bicycle {n} worn?", f"It was worn {n} days ago."] for n in range(MANY)]
    table = write_csv(tmp_path / "many.csv", ["question", "answer"], rows)
    assert look(table).records == pytest.approx(MANY, rel=0.05)


def test_long_records_are_not_all_held(tmp_path: Path) -> None:
    records = [{"prompt": f"{n}?", "completion": "oil " * 200_000} for n in range(20)]
    found = look(write_jsonl(tmp_path / "long.jsonl", records))
    assert found.read < 15
    assert found.records == 20


def test_a_parquet_file_knows_how_many_it_has(tmp_path: Path) -> None:
    questions = [f"Is part {n} worn?" for n in range(MANY)]
    table = pyarrow.table({"prompt": questions, "completion": ["It is as good as new."] * MANY})
    parquet.write_table(table, tmp_path / "many.parquet")
    found = look(tmp_path / "many.parquet")
    assert (found.format, found.records, found.read) == ("prompt_completion", MANY, SAMPLE_RECORDS)


def test_columns_are_guessed_and_stated(tmp_path: Path) -> None:
    rows = [[str(n), f"Why does the {PARTS[n % 6]} squeak?", f"It needs oil {n} times a year."] for n in range(12)]
    found = look(write_csv(tmp_path / "a.csv", ["Nr", "Customer asks", "Mechanic says"], rows))
    assert found.file.source.columns == {"user": "Customer asks", "assistant": "Mechanic says"}
    assert found.format == "columns"


def test_columns_that_were_given_are_taken(tmp_path: Path) -> None:
    rows = [["some note", f"Why does it squeak {n}?", "It needs oil."] for n in range(12)]
    path = write_csv(tmp_path / "a.csv", ["one", "two", "three"], rows)
    with pytest.raises(ConfigError, match=r"its columns: one, two, three. Name two of them: --columns user="):
        look(path)
    assert look(path, {"user": "two", "assistant": "three"}).file.source.columns == {
        "user": "two",
        "assistant": "three",
    }
    with pytest.raises(ConfigError, match="has none of the --columns given"):
        look(path, {"user": "four", "assistant": "three"})


def test_columns_are_not_asked_of_a_known_format(chats: Path) -> None:
    assert look(chats, {"user": "two", "assistant": "three"}).format == "sharegpt"


def test_the_encoding_of_a_chinese_table_is_stated(tmp_path: Path) -> None:
    rows = [[f"第{n}周怎样保养链条？", f"骑行{n}百公里后清洁并上油。"] for n in range(20)]
    found = look(write_csv(tmp_path / "a.csv", ["question", "answer"], rows, "gb18030"))
    assert found.file.source.encoding == "gb18030"
    assert (found.unlike, found.languages) == (0, {"zh": 20})


def test_declared_languages_and_groups_are_found(tmp_path: Path) -> None:
    records = [turns(n % 5) | {"part": n % 5, "language": "de"} for n in range(20)]
    found = look(write_jsonl(tmp_path / "a.jsonl", records))
    assert (found.group, found.languages) == ("part", {"de": 20})


def test_records_of_another_format_are_counted(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [turns(n) for n in range(9)] + [{"prompt": "a", "completion": "b"}])
    path.write_text(path.read_text() + "{broken\n")
    found = look(path)
    assert (found.format, found.read, found.unlike) == ("sharegpt", 11, 2)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "holds no record: expected at least one"),
        ("a.csv", b"question,answer\n", "holds no record: expected at least one"),
        ("a.jsonl", b"no json\nnone\n", r"its first 2: 2 not_json"),
        ("a.jsonl", b"1\n[2]\n", "a bare int"),
        ("a.jsonl", b'{"messages": [1, 2]}\n', "looks like messages, and none of its first 1"),
        ("a.jsonl", b'{"messages": []}\n', "looks like messages, and none of its first 1"),
        ("a.jsonl.gz", b"not packed", "is cut short, damaged or not gzip"),
        ("a.json", b"[{]", r"a\.json"),
        ("a.parquet", b"PAR1", "is no Parquet file"),
    ],
)
def test_a_bad_file_is_refused_by_name(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as refused:
        look(tmp_path / name)
    assert name in str(refused.value)
