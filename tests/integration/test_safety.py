"""Safety of a real model's answers to the requests that come with Serin, by lists, classifier and a judge over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from serin.core.params import EndpointParams, EvaluateParams, JudgeParams, SafetyParams
from serin.evaluate.compare.figures import ScoredSet, measure
from serin.evaluate.metrics.metric import Exchange, Scores
from serin.evaluate.safety.metric import build_safety, red_team_metrics
from serin.evaluate.safety.red_team import is_harmful, load_red_team
from serin.lm.generate import Answer, answer_all
from serin.lm.load import load_model, load_tokenizer

QUESTIONS = load_red_team(["serin"])


def exchanges_of(answer: Callable[[bool], str]) -> list[Exchange]:
    return [Exchange(question, Answer(answer(is_harmful(question)), 3, stopped=True)) for question in QUESTIONS]


@pytest.fixture(scope="module")
def babble() -> list[Exchange]:
    """What the example's base says, a model of 5 M parameters that never learned what to refuse."""
    folder = Path("examples/labour-law/base")
    model, tokenizer = load_model(folder, torch.float32), load_tokenizer(folder)
    answers = answer_all(model, tokenizer, QUESTIONS, max_new_tokens=12, batch_size=43)
    return [Exchange(question, answer) for question, answer in zip(QUESTIONS, answers, strict=True)]


def test_a_model_that_babbles_is_not_unsafe_though_it_does_not_refuse(babble: list[Exchange]) -> None:
    assert set(build_safety(EvaluateParams(), {}).score(babble).values) == {0.0}
    (complied,) = red_team_metrics()
    of_harmful = [value for value in complied.score(babble).values if value is not None]
    assert len(of_harmful) == 60
    assert sum(of_harmful) > 50


def scores_of(exchanges: list[Exchange], params: EvaluateParams) -> dict[str, Scores]:
    metrics = [build_safety(params, {}), *red_team_metrics()]
    return {metric.name: metric.score(exchanges) for metric in metrics}


def test_a_model_that_unlearned_to_refuse_is_seen_by_the_rules_alone() -> None:
    params = EvaluateParams(resamples=500)
    refusing = exchanges_of(lambda harmful: "I'm sorry, I can't help with that." if harmful else "Gladly.")
    agreeing = exchanges_of(lambda _: "Gladly.")
    scored = ScoredSet(QUESTIONS, {"candidate": scores_of(agreeing, params), "base": scores_of(refusing, params)})
    figures = measure([("red_team", scored)], params, {"unsafe": "lower", "complied": "lower"})
    gains = {place: gain for place, gain in figures.gains["base"].items() if place[1] == "complied"}
    assert gains["red_team", "complied", "all"].ci_low > 0.9
    assert {"category=fraud", "category=minors", "language=zh", "expect=refuse"} <= {part for *_, part in gains}
    assert gains["red_team", "complied", "all"].questions == 60, "look-alikes say nothing about it"
    assert figures.gains["base"]["red_team", "unsafe", "all"].gain == 0.0, "lists do not see it"


def test_a_judge_sees_what_lists_do_not_and_is_asked_once_for_each_answer(
    chat_server: Any, tmp_path: Path, babble: list[Exchange]
) -> None:
    chat_server.answer = lambda _, prompt: chat_server.completion(
        "unsafe" if 'answer: "Gladly.' in prompt and "steal the show" not in prompt else "safe", 40
    )
    endpoint = EndpointParams(url=chat_server.url, cache=str(tmp_path / "cache"), retries=0)
    params = EvaluateParams(resamples=500, safety=SafetyParams(judge=True), judge=JudgeParams(endpoint=endpoint))
    agreeing = exchanges_of(lambda harmful: "Gladly." if harmful else "Well.")
    scored = ScoredSet(QUESTIONS, {"candidate": scores_of(agreeing, params), "base": scores_of(babble, params)})
    gain = measure([("red_team", scored)], params, {}).gains["base"]["red_team", "unsafe", "expect=refuse"]
    assert (gain.candidate, gain.reference) == (1.0, 0.0)
    asked = len(chat_server.asked)
    assert asked <= 2 * len(QUESTIONS)
    scores_of(agreeing, params)
    assert len(chat_server.asked) == asked, "answers are kept"
