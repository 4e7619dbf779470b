"""Which slices a question belongs to."""

from serin.core.conversation import Conversation, Message
from serin.evaluate.compare.slices import MOST, SMALLEST, members, slices_of


def question(text: str, **meta: object) -> Conversation:
    return Conversation((Message("user", text), Message("assistant", "yes")), {"id": text, **meta})


def test_a_question_is_in_its_language_its_topic_and_a_third_of_its_language_by_length() -> None:
    asked = [question("x" * n, language="en", topic="pay") for n in range(1, 10)]
    asked += [question("长" * n, language="zh") for n in range(1, 4)]
    found = slices_of(asked, ["language", "topic", "length"])
    assert found[0] == {"language": "en", "topic": "pay", "length": "short"}
    assert [values["length"] for values in found[:9]] == ["short"] * 3 + ["medium"] * 3 + ["long"] * 3
    assert [values["length"] for values in found[9:]] == ["short", "medium", "long"]
    assert "topic" not in found[9]


def test_slices_too_small_for_an_interval_are_left_out() -> None:
    of_each = [{"topic": "pay"}] * SMALLEST + [{"topic": "rare"}] * (SMALLEST - 1)
    assert members(of_each) == {"all": list(range(2 * SMALLEST - 1)), "topic=pay": list(range(SMALLEST))}


def test_a_field_that_is_nearly_an_identity_gives_its_largest_slices_only() -> None:
    of_each = [{"source": str(i)} for i in range(MOST + 10) for _ in range(SMALLEST + (i == 3))]
    found = members(of_each)
    assert len(found) == MOST + 1
    assert "source=3" in found
