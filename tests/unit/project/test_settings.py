from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from serin.core.errors import UsageError
from serin.core.params import Params, SourceParams
from serin.prepare.raw.sources import RawFile
from serin.project.data import Given
from serin.project.look import Look
from serin.project.settings import name_of, settle


def look(path: str, group: str | None = None, tokens: Sequence[int] = (100,), **source: Any) -> Look:
    stated = SourceParams(path=path, **({"format": "sharegpt"} | source))
    file = RawFile(path, Path(path).name, "jsonl", None, 1, stated)
    return Look(file, 5, 5, 0, {"en": 5}, group, tuple(tokens), tuple(n // 2 for n in tokens))


def given(*looks: Look, place: str | None = None) -> tuple[Given, Sequence[Look]]:
    files = tuple(one.file for one in looks)
    places = tuple(f"data/{file.name}" for file in files)
    return Given("raw", files, places, place, copied=True), looks


def params(*data: tuple[Given, Sequence[Look]], context_tokens: int | None = None) -> Params:
    return settle("bike", "model", None, context_tokens, data)[0]


def sources(*data: tuple[Given, Sequence[Look]]) -> list[Mapping[str, Any]]:
    return [source.model_dump(exclude_unset=True) for source in params(*data).prepare.sources]


def test_files_that_are_alike_are_one_source() -> None:
    assert sources(given(look("a"), look("b"), place="data")) == [
        {"path": "data", "format": "sharegpt", "encoding": "utf-8"}
    ]


def test_files_that_differ_are_a_source_each() -> None:
    found = sources(given(look("a"), look("b", encoding="gb18030"), place="data"))
    assert [(source["path"], source["encoding"]) for source in found] == [("data/a", "utf-8"), ("data/b", "gb18030")]


def test_files_of_a_pattern_are_a_source_each() -> None:
    assert [source["path"] for source in sources(given(look("a"), look("b")))] == ["data/a", "data/b"]


@pytest.mark.parametrize(
    ("tokens", "context_tokens", "expected"),
    [
        ([30], None, (256, 512)),
        ([256], None, (256, 512)),
        ([257], None, (512, 1024)),
        ([100] * 199 + [9000], None, (256, 512)),
        ([900], 1500, (1024, 1500)),
        ([900], 700, (512, 700)),
        ([30], 128, (128, 128)),
    ],
)
def test_lengths_are_a_power_of_two_that_the_model_can_take(
    tokens: list[int], context_tokens: int | None, expected: tuple[int, int]
) -> None:
    found = params(given(look("a", tokens=tokens)), context_tokens=context_tokens)
    assert (found.prepare.max_tokens, found.serve.max_model_len) == expected
    assert found.train.max_tokens == found.prepare.max_tokens
    assert 64 <= found.evaluate.max_new_tokens <= found.prepare.max_tokens


def test_nothing_of_the_labour_law_is_left() -> None:
    found = params(given(look("a")))
    assert found.evaluate.article_pattern is None
    assert (found.base.model, found.merge.name) == ("model", "bike")
    assert "law" not in str(found.model_dump())


def test_the_group_of_most_files_is_the_group_of_the_split() -> None:
    assert params(given(look("a", group="part"), look("b"))).prepare.split.group == "part"
    assert params(given(look("a"))).prepare.split == Params().prepare.split


def test_estimates_and_guesses_are_called_so() -> None:
    columns = {"format": "columns", "columns": {"user": "q", "assistant": "a"}}
    _, notes = settle("bike", "m", None, None, [given(look("a"), look("b", **columns))])
    assert "estimate from the bytes of 10 records" in notes["prepare.max_tokens"]
    assert "all there was to go by" in notes["prepare.sources"]
    assert "prepare.sources" not in settle("bike", "m", None, None, [given(look("a"))])[1]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("bike", "bike"), ("My Bike_Shop 2", "my-bike-shop-2"), ("-x-", "x"), ("a" * 39 + " b", "a" * 39)],
)
def test_a_folder_gives_its_name(folder: str, name: str) -> None:
    assert name_of(None, folder) == name


def test_a_name_that_no_model_can_have_is_refused() -> None:
    with pytest.raises(UsageError, match="give it one with --name"):
        name_of(None, "自行车")
    with pytest.raises(UsageError, match="small letters, digits and hyphens"):
        name_of("Bike", "bike")
    assert name_of("bike-2", "自行车") == "bike-2"
