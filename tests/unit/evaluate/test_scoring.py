"""Which metrics a set of questions gets, and perplexity of what models tell of references."""

import pytest

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.core.params import RuleParams
from serin.evaluate.scoring import Answered, Metrics, perplexity
from serin.lm.score import Likelihood


def question(reference: str) -> Conversation:
    return Conversation((Message("user", "q"), Message("assistant", reference)), {"id": reference or "none"})


def test_a_reference_whose_likelihood_is_not_told_is_missing_and_no_reference_is_not() -> None:
    asked = [question("a"), question("b"), question("")]
    scores = perplexity(Answered(asked, [], [Likelihood(3.0, 2), None, None]))
    assert scores is not None
    assert scores.values == (1.5, None, None)
    assert scores.missing == {1}


def test_a_model_that_tells_no_likelihood_at_all_has_no_perplexity() -> None:
    assert perplexity(Answered([question("a")], [], [None])) is None


def test_a_rule_on_what_is_not_measured_is_refused_with_what_is() -> None:
    metrics = Metrics({"test": []})
    with pytest.raises(ConfigError, match=r"evaluate\.rules\.0\.metric = 'f1': on test is measured perplexity"):
        metrics.refuse_unknown([RuleParams(metric="f1", above=0.0)], {"test": ["perplexity"]})
