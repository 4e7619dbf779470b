import pytest

from serin.clients.serving_state import Weights
from serin.serve.gateway.choice import (
    ForbiddenChoiceError,
    StartingModelError,
    UnknownModelError,
    choose,
    may_choose,
    shadow_of,
    unit_of,
)

STABLE, CANARY, OTHER, LATE = (f"law-qa@{letter * 8}" for letter in "abcd")
ROLLOUT = Weights(stable=STABLE, canary=CANARY, canary_weight=0.25, rollout="r", salt="s")
RUNNING = (STABLE, CANARY, OTHER)
STARTING = (LATE,)


def test_the_first_name_that_a_request_gives_is_its_unit() -> None:
    body = {"user": "u", "safety_identifier": "i", "prompt_cache_key": "c"}
    assert unit_of({b"x-serin-user": "h", b"x-serin-session": "s"}, body, "key", "n") == "h"
    assert unit_of({b"x-serin-session": "s"}, body, "key", "n") == "s"
    assert unit_of({}, body, "key", "n") == "u"
    assert unit_of({}, {"user": 7, "safety_identifier": "i"}, "key", "n") == "i"
    assert unit_of({}, {"prompt_cache_key": "c"}, None, "n") == "c"
    assert unit_of({}, {}, None, "n") == "n"
    assert unit_of({}, {}, "ann", "n") not in ("n", unit_of({}, {"user": "ann"}, None, "n"))


def test_a_revision_is_for_those_who_may_choose() -> None:
    for model, override in ((CANARY, None), ("serin", CANARY), (None, "law-qa@bbbb")):
        choice = choose(model, "u", ROLLOUT, RUNNING, STARTING, override, may_override=True)
        assert (choice.revision, choice.arm, choice.rollout, choice.fallback) == (CANARY, "canary", None, None)
        with pytest.raises(ForbiddenChoiceError, match="may not choose a revision"):
            choose(model, "u", ROLLOUT, RUNNING, STARTING, override, may_override=False)
    assert may_choose(None)
    assert not may_choose({"inference", "admin"})
    assert may_choose({"override"})
    with pytest.raises(UnknownModelError, match="nobody"):
        choose("serin", "u", ROLLOUT, RUNNING, STARTING, "nobody", may_override=True)


@pytest.mark.parametrize("name", [LATE, "law-qa@ddd"])
def test_a_revision_that_will_answer_is_told_apart_from_none(name: str) -> None:
    for model, override in ((name, None), ("serin", name)):
        with pytest.raises(StartingModelError, match="try again"):
            choose(model, "u", ROLLOUT, RUNNING, STARTING, override, may_override=True)
    with pytest.raises(UnknownModelError):
        choose("law-qa@ddde", "u", ROLLOUT, RUNNING, STARTING, None, may_override=True)


def test_an_experiments_variants_get_their_weights_and_fall_back_to_stable() -> None:
    weights = Weights(stable=STABLE, experiment="e", variants={CANARY: 0.3, OTHER: 0.2}, salt="s")
    choices = [choose("law-qa", f"u{i}", weights, RUNNING, STARTING, None, may_override=False) for i in range(4000)]
    shares = {name: sum(c.revision == name for c in choices) / 4000 for name in RUNNING}
    assert shares == pytest.approx({STABLE: 0.5, CANARY: 0.3, OTHER: 0.2}, abs=0.03)
    assert {c.fallback for c in choices if c.revision != STABLE} == {STABLE}
    assert {c.rollout for c in choices} == {"e"}


def test_a_shadow_gets_its_share_of_requests() -> None:
    weights = Weights(stable=STABLE, shadow=OTHER, shadow_share=0.1)
    assert sum(shadow_of(f"n{i}", weights) == OTHER for i in range(4000)) / 4000 == pytest.approx(0.1, abs=0.02)
    assert shadow_of("n", Weights(stable=STABLE, shadow=OTHER, shadow_share=0.0)) is None
