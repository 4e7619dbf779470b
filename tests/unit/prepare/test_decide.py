"""What is kept is decided over all records: first of its kind, evaluation before training, weights by share."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.core.params import NearDuplicateParams, PrepareParams, SourceParams
from serin.prepare.decide import decide
from serin.prepare.duplicates.near import NONE, Duplicates, find_duplicates
from serin.prepare.mix import over_weight
from serin.prepare.raw.read import RawRecord
from serin.prepare.record.examine import Chunk, Examiner
from serin.prepare.record.shingles import normalised, numbers_in, shingles, similarity
from serin.prepare.spool import Spool

SOURCE = SourceParams(path="a.jsonl")
LONG = "May the employer end the contract of a worker who is ill for the whole of the summer"


@contextmanager
def spooled(
    folder: Path, questions: list[str], params: PrepareParams, answers: list[str] | None = None
) -> Iterator[Spool]:
    examiner = Examiner(params, None)
    near = params.near_duplicates
    spool = Spool(folder, examiner.bands, near.permutations)
    pairs = zip(questions, answers or [f"Answer {i}." for i in range(len(questions))], strict=True)
    records = tuple(RawRecord(i, {"question": q, "answer": a}) for i, (q, a) in enumerate(pairs, 1))
    examined = examiner.examine(Chunk(0, "a.jsonl", SOURCE, "question_answer", records))
    assert not examined.rejected
    with closing(spool):
        spool.add(examined)
        yield spool


def found(folder: Path, questions: list[str], threshold: float = 0.8) -> Duplicates:
    params = PrepareParams(near_duplicates=NearDuplicateParams(threshold=threshold))
    with spooled(folder, questions, params) as spool:
        alive = np.ones(len(spool), dtype=bool)
        return find_duplicates(spool, params.near_duplicates, alive, ~alive)


def test_the_first_of_its_kind_stays_and_the_others_say_which_it_is(tmp_path: Path) -> None:
    result = found(
        tmp_path,
        [
            f"{LONG}?",
            f"{LONG.upper()} !!",
            f"{LONG} please?",
            "试用期最长可以约定多久，超过了怎么办，劳动者可以要求什么？",
            "试用期最长可以约定多久，超过了怎么办，劳动者能要求什么？",
            "What is a union?",
        ],
    )
    assert result.of.tolist() == [NONE, 0, 0, NONE, 3, NONE]
    assert result.exact.tolist() == [False, True, False, False, False, False]


def test_questions_that_differ_in_a_number_are_no_duplicates(tmp_path: Path) -> None:
    asked = [f"{LONG} after {years} years of work?" for years in (1, 3)] + [
        "满三年的劳动者有几天假期可以休？",
        "满五年的劳动者有几天假期可以休？",
    ]
    assert (found(tmp_path, asked, 0.5).of == NONE).all()


def test_a_record_like_one_that_was_dropped_itself_is_judged_against_what_is_kept(tmp_path: Path) -> None:
    words = LONG.split()
    drift = [" ".join(["new"] * i + words[i:]) for i in range(len(words))]
    kept: list[str] = []
    for text in drift:
        if all(similarity(shingles(normalised(text)), shingles(normalised(k))) < 0.8 for k in kept):
            kept.append(text)
    result = found(tmp_path, drift)
    assert [drift[i] for i in np.flatnonzero(result.of == NONE)] == kept
    assert 1 < len(kept) < len(drift)


def test_a_bucket_of_thousands_keeps_one(tmp_path: Path) -> None:
    asked = [f"{LONG} {chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}?" for i in range(3000)]
    assert (found(tmp_path, asked).of == NONE).sum() == 1


@given(st.lists(st.text("ab 试用期1", min_size=1, max_size=30), min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
def test_no_two_records_that_are_kept_are_alike(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    asked = [text if text.strip() else "x" for text in texts]
    result = found(tmp_path_factory.mktemp("spool"), asked, 0.9)
    kept = [normalised(asked[i]) for i in np.flatnonzero(result.of == NONE)]
    assert len(set(kept)) == len(kept)
    for i, one in enumerate(kept):
        for other in kept[:i]:
            if numbers_in(one) == numbers_in(other):
                assert similarity(shingles(one), shingles(other)) < 0.9


def test_judged_on_the_conversation_the_same_question_with_another_answer_stays(tmp_path: Path) -> None:
    asked, answers = (
        [LONG] * 2,
        ["No, not while the treatment lasts, which the law protects.", "Ask the union first, it knows."],
    )
    for on, kept in (("user", 1), ("conversation", 2)):
        params = PrepareParams.model_validate({"near_duplicates": {"on": on}})
        folder = tmp_path / on
        folder.mkdir()
        with spooled(folder, asked, params, answers) as spool:
            assert decide(spool, params, [SOURCE], []).kept.sum() == kept


def test_a_source_with_a_weight_makes_up_no_more_than_its_share() -> None:
    sources = [SOURCE, SourceParams(path="general.jsonl", weight=0.2), SourceParams(path="chat.jsonl", weight=0.3)]
    draw = np.random.default_rng(4)
    source_of = draw.permutation(np.repeat([0, 1, 2], [1000, 5000, 100]))
    hashes = draw.integers(0, 2**63, len(source_of), dtype=np.uint64)
    train = np.ones(len(source_of), dtype=bool)
    out = over_weight(train, source_of, hashes, sources)
    assert [(~out & (source_of == i)).sum() for i in range(3)] == [1000, 275, 100]
    more = over_weight(train, source_of, np.where(source_of == 1, hashes, 0), sources)
    assert (out[source_of == 1] == more[source_of == 1]).all()
    short = over_weight(train & ((source_of != 1) | (hashes < 2**58)), source_of, hashes, sources)
    assert not short.any()
    train[source_of == 1] = False
    assert not over_weight(train, source_of, hashes, sources)[source_of == 1].any()
