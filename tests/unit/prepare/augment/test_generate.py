"""Records made from train records and documents, and the report on them."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serin.clients.endpoint import Endpoint
from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.core.params import AugmentParams, EndpointParams, SourceParams
from serin.prepare.augment import augment
from serin.prepare.raw.formats import format_of, parse


def conversation(
    record: str, question: str = "How long may a probation period last?", language: str = "en", **meta: Any
) -> Conversation:
    turns = (Message("system", "Be brief."), Message("user", question), Message("assistant", "Six months."))
    return Conversation(turns, {"id": record, "language": language, "source": "a.jsonl:1", **meta})


TRAIN = [
    conversation("a", group="probation"),
    conversation("b", "试用期最长多久？", "zh"),
    conversation("c", "Wie lange darf die Probezeit dauern?", "de"),
]
NOTHING = {"requests": 0, "cached": 0, "failed": 0, "tokens": 0, "unasked": 0, "dry_run": False}


@pytest.fixture
def make_endpoint(chat_server: Any, tmp_path: Path) -> Any:
    def make(**params: Any) -> Endpoint:
        params = {"model": "writer", "retries": 0, **params}
        return Endpoint(EndpointParams(url=chat_server.url, cache=str(tmp_path / "cache"), **params), {})

    return make


def ways(count: int) -> str:
    return json.dumps([f"Way {'abcdefgh'[n]} of asking?" for n in range(count)])


def test_variants_by_rule_change_the_question_alone_and_say_where_they_come_from() -> None:
    made = augment(AugmentParams(rules=2), TRAIN, None)
    records = list(made.records)
    assert [record["meta"]["augmented"]["of"] for record in records] == ["a", "a", "b", "b"], "none in German"
    for record in records:
        parent = next(c for c in TRAIN if c.id == record["meta"]["augmented"]["of"])
        system, user, assistant = record["messages"]
        assert (system["content"], assistant["content"]) == ("Be brief.", "Six months.")
        assert parent.user_text in user["content"]
        assert user["content"] != parent.user_text
        assert record["meta"]["language"] == parent.language
        assert record["meta"].get("group") == parent.meta.get("group")
        assert record["meta"].keys() <= {"group", "language", "augmented"}
        assert record["meta"]["augmented"].keys() == {"by", "of", "rule"}
    assert len({record["meta"]["augmented"]["rule"] for record in records[:2]}) == 2
    assert made.report() == {"generated": {"rules": 4, "paraphrase": 0, "questions": 0}, **NOTHING}
    assert list(augment(AugmentParams(rules=2), TRAIN, None).records) == records


def test_a_variant_is_read_as_any_other_record() -> None:
    record = next(augment(AugmentParams(rules=1), TRAIN, None).records)
    assert format_of(record) == "messages"
    parsed = parse(record, SourceParams(path="x"), "messages")
    assert parsed is not None
    assert parsed.meta == record["meta"]


def test_tools_and_later_turns_stay() -> None:
    turns = (
        Message("user", "What is the weather like in Beijing, and shall I take an umbrella?"),
        Message("assistant", "", tool_calls=({"type": "function", "function": {"name": "weather", "arguments": {}}},)),
        Message("tool", "rain"),
        Message("assistant", "It rains.", train=False),
        Message("user", "And now?"),
        Message("assistant", "Still."),
    )
    parent = Conversation(turns, {"id": "t", "language": "en"}, tools=({"type": "function"},))
    record = next(augment(AugmentParams(rules=1), [parent], None).records)
    assert record["tools"] == parent.as_dict()["tools"]
    assert record["messages"][1:] == parent.as_dict()["messages"][1:]
    assert parent.messages[0].content in record["messages"][0]["content"]


def test_records_are_made_as_they_are_taken() -> None:
    taken = []

    def endless() -> Iterator[Conversation]:
        for n in itertools.count():
            taken.append(n)
            yield conversation(str(n))

    records = augment(AugmentParams(rules=1), endless(), None).records
    assert [next(records)["meta"]["augmented"]["of"] for _ in range(1000)] == [str(n) for n in range(1000)]
    assert len(taken) < 1500


def test_what_was_augmented_before_is_passed_over() -> None:
    before = conversation("d", augmented={"by": "rules", "of": "x", "rule": "thanks"})
    assert list(augment(AugmentParams(rules=2), [before], None).records) == []


def test_paraphrases_follow_their_parents_variants_in_the_order_of_the_records(
    chat_server: Any, make_endpoint: Any
) -> None:
    chat_server.answer = lambda n, _: chat_server.completion(ways(3), 100, delay_s=0.2 if n == 0 else 0)
    made = augment(AugmentParams(rules=1, paraphrases=2), TRAIN, make_endpoint())
    records = [(r["meta"]["augmented"]["by"], r["meta"]["augmented"]["of"]) for r in made.records]
    two = ["paraphrase"] * 2
    assert [by for by, _ in records] == ["rules", *two, "rules", *two, *two]
    assert [of for _, of in records] == [*"aaa", *"bbb", *"cc"]
    assert made.report()["generated"] == {"rules": 2, "paraphrase": 6, "questions": 0}
    assert {k: made.report()[k] for k in ("requests", "tokens")} == {"requests": 3, "tokens": 300}
    again = augment(AugmentParams(paraphrases=2), TRAIN, make_endpoint())
    first = next(again.records)
    assert first["messages"][1]["content"] == "Way a of asking?"
    assert first["meta"] == {
        "group": "probation",
        "language": "en",
        "augmented": {"by": "paraphrase", "model": "writer", "of": "a"},
    }


def test_questions_whose_paraphrase_would_be_of_no_use_are_not_paid_for(chat_server: Any, make_endpoint: Any) -> None:
    turns = [
        Message("user", "And?"),
        Message("assistant", "Yes."),
        Message("user", "long " * 50),
        Message("assistant", "."),
    ]
    train = [Conversation(tuple(turns), {"id": "m", "language": "en"}), conversation("l", "text " * 1000)]
    assert list(augment(AugmentParams(paraphrases=2), train, make_endpoint()).records) == []
    assert chat_server.asked == []


def test_questions_come_from_every_passage_of_every_document(
    chat_server: Any, make_endpoint: Any, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Hours\n\n" + "x" * 190 + "\n\n" + "y" * 190)
    (tmp_path / "docs" / "b.txt").write_text("Shops open at nine.")

    def answer(_: int, prompt: str) -> Any:
        word = next(w for w in ("Hours", "yyy", "Shops") if w in prompt)
        pairs = [{"question": f"{word} {n}?", "answer": f"{word}."} for n in "abc"]
        return chat_server.completion(f"```json\n{json.dumps(pairs)}\n```", 50)

    chat_server.answer = answer
    params = AugmentParams(documents=[str(tmp_path / "docs")], questions_a_passage=2, passage_chars=200)
    made = augment(params, TRAIN, make_endpoint())
    records = list(made.records)
    assert [r["meta"]["augmented"]["of"] for r in records] == [
        "a.md:1",
        "a.md:1",
        "a.md:2",
        "a.md:2",
        "b.txt:1",
        "b.txt:1",
    ]
    assert records[0] == {
        "messages": [{"role": "user", "content": "Hours a?"}, {"role": "assistant", "content": "Hours."}],
        "meta": {"augmented": {"by": "questions", "of": "a.md:1", "model": "writer"}},
    }
    assert made.report() == {
        "generated": {"rules": 0, "paraphrase": 0, "questions": 6},
        **NOTHING,
        "requests": 3,
        "tokens": 150,
    }


def test_failures_and_a_spent_budget_leave_the_rest_whole(chat_server: Any, make_endpoint: Any) -> None:
    chat_server.answer = lambda n, _: chat_server.Reply(500, "{}") if n == 0 else chat_server.completion(ways(2), 100)
    endpoint = make_endpoint(max_requests=2, concurrency=1)
    endpoint.plan([])
    made = augment(AugmentParams(paraphrases=2), TRAIN, endpoint)
    assert [r["meta"]["augmented"]["of"] for r in made.records] == ["b", "b"]
    report = made.report()
    assert (report["requests"], report["failed"], report["unasked"], report["tokens"]) == (2, 1, 1, 100)


def test_the_report_leaves_out_what_others_asked_the_endpoint(chat_server: Any, make_endpoint: Any) -> None:
    chat_server.answer = lambda *_: chat_server.completion(ways(1), 100)
    endpoint = make_endpoint()
    list(augment(AugmentParams(paraphrases=1), TRAIN[:1], endpoint).records)
    made = augment(AugmentParams(paraphrases=1), TRAIN, endpoint)
    list(made.records)
    assert {k: made.report()[k] for k in ("requests", "cached")} == {"requests": 2, "cached": 1}


def test_a_dry_run_sends_nothing_and_says_what_it_would_cost(
    chat_server: Any, make_endpoint: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("Shops open at nine.")
    params = AugmentParams(rules=1, paraphrases=1, documents=[str(tmp_path / "a.md")])
    made = augment(params, TRAIN, make_endpoint(max_requests=3), dry_run=True)
    assert {r["meta"]["augmented"]["by"] for r in made.records} == {"rules"}
    report = made.report()
    assert chat_server.asked == []
    assert report["dry_run"] is True
    assert report["generated"] == {"rules": 2, "paraphrase": 0, "questions": 0}
    assert (report["requests"], report["unasked"], report["cached"]) == (3, 1, 0)
    assert report["tokens"] > 500


def test_the_endpoint_is_asked_for_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match=r"set prepare\.endpoint\.url"):
        augment(AugmentParams(paraphrases=1), TRAIN, None)
