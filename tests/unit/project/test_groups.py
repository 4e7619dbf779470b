from typing import Any

import pytest

from serin.prepare.raw.formats import Parsed, RawTurn
from serin.project.groups import common_group_field, group_field


def record(answer: str, **meta: Any) -> Parsed:
    return Parsed((RawTurn("user", "?"), RawTurn("assistant", answer)), meta)


def test_a_field_whose_values_share_an_answer_is_a_group() -> None:
    records = [record(f"answer {n % 5}", part=f"p{n % 5}", topic=f"t{n % 2}", row=n) for n in range(20)]
    assert group_field(records) == "part"


def test_a_topic_with_several_answers_is_none() -> None:
    assert group_field([record(f"answer {n}", topic=f"t{n % 2}") for n in range(20)]) is None


def test_a_few_records_that_share_an_answer_make_no_group() -> None:
    records = [record(f"answer {n if n > 3 else n // 2}", day=n // 2) for n in range(20)]
    assert group_field(records) is None


def test_a_label_that_is_the_answer_is_none() -> None:
    records = [record("yes" if n % 2 else "no", worn="y" if n % 2 else "n", old=bool(n % 3)) for n in range(20)]
    assert group_field(records) is None


def test_a_field_beside_labels_is_none() -> None:
    assert group_field([record("yes" if n < 10 else "no", customer=n // 2) for n in range(20)]) is None


@pytest.mark.parametrize("name", ["fact", "group_id"])
def test_a_field_with_the_name_of_a_group_is_one(name: str) -> None:
    assert group_field([record(f"answer {n}", **{name: n}) for n in range(20)]) == name


def test_what_most_files_have_is_common() -> None:
    assert common_group_field(["part", None, "fact", "part"]) == "part"
    assert common_group_field([None]) is None
