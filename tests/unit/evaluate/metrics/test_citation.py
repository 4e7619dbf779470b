import pytest

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.evaluate.metrics.citation import RightArticle
from serin.evaluate.metrics.metric import Exchange
from serin.lm.generate import Answer

PATTERN = r"Article (\d+)|第([一二三四五六七八九十百零]+)条"


def exchange(answer: str, reference: str) -> Exchange:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": reference}]
    question = Conversation.from_dict({"messages": turns, "meta": {"id": "1"}})
    return Exchange(question, Answer(answer, 5, stopped=True))


def test_the_article_is_right_wrong_or_not_asked_for() -> None:
    found = RightArticle(PATTERN).score(
        [
            exchange("Article 19 says so.", "Six months (Article 19)."),
            exchange("Article 20 says so.", "Six months (Article 19)."),
            exchange("Six months.", "Six months (Article 19)."),
            exchange("依照第十九条。", "Six months (Article 19)."),
            exchange("Article 19 says so.", "Six months."),
        ]
    )
    assert found.values == (1.0, 0.0, 0.0, 1.0, None)


@pytest.mark.parametrize(
    ("pattern", "fault"), [(r"Article \d+", "no group"), (r"Article (\d+", "no regular expression")]
)
def test_a_pattern_that_finds_no_number_is_refused(pattern: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        RightArticle(pattern)
