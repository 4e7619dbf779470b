"""Scores of one model's answers, by metric: which metrics a set of questions gets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.core.params import RuleParams
from serin.evaluate.metrics.metric import Better, Exchange, Metric, Scores
from serin.evaluate.metrics.registry import BERTSCORE
from serin.lm.generate import Answer
from serin.lm.score import Likelihood

PERPLEXITY = "perplexity"
PREFERENCE = "preference"
_AT_ONCE = frozenset({BERTSCORE})
"""Metrics to which answers of all models are shown together, for they do the same for a question whoever answered."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one model said to one set of questions."""

    questions: Sequence[Conversation]
    answers: Sequence[Answer]
    likelihoods: Sequence[Likelihood | None]
    """Of the references; None where there is none, or where the model could not tell."""

    @property
    def exchanges(self) -> list[Exchange]:
        """Questions with their answers."""
        return [Exchange(q, a) for q, a in zip(self.questions, self.answers, strict=True)]


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of each set of questions."""

    by_set: Mapping[str, Sequence[Metric]]

    def better(self) -> dict[str, Better]:
        """Which way each metric is better."""
        found: dict[str, Better] = {
            metric.name: metric.better for metrics in self.by_set.values() for metric in metrics
        }
        return {**found, PERPLEXITY: "lower", PREFERENCE: "higher"}

    def score_all(self, name: str, by_model: Mapping[str, Answered]) -> dict[str, dict[str, Scores]]:
        """The scores of each model on the set ``name``, by metric."""
        exchanges = {model: answered.exchanges for model, answered in by_model.items()}
        found: dict[str, dict[str, Scores]] = {model: {} for model in by_model}
        for metric in self.by_set[name]:
            for model, scores in _score_each(metric, exchanges).items():
                found[model][metric.name] = scores
        for model, answered in by_model.items():
            if (told := perplexity(answered)) is not None:
                found[model][PERPLEXITY] = told
        return found

    def refuse_unknown(self, rules: Sequence[RuleParams], also: Mapping[str, Sequence[str]]) -> None:
        """Raises ConfigError where a rule names a metric that its set does not have; ``also`` holds more names by set."""
        faults = []
        for number, rule in enumerate(rules):
            known = sorted({*(m.name for m in self.by_set.get(rule.questions, ())), *also.get(rule.questions, ())})
            if rule.metric not in known:
                told = ", ".join(known) if known else "nothing, for it has no questions"
                faults.append(
                    f"evaluate.rules.{number}.metric = {rule.metric!r}: on {rule.questions} is measured {told}"
                )
        if faults:
            raise ConfigError("\n".join([*faults, "mend the names, or add the metric to evaluate.metrics"]))


def _score_each(metric: Metric, exchanges: Mapping[str, Sequence[Exchange]]) -> dict[str, Scores]:
    """The scores of each model by one metric."""
    if metric.name not in _AT_ONCE:
        return {model: metric.score(of_model) for model, of_model in exchanges.items()}
    scores = metric.score([exchange for of_model in exchanges.values() for exchange in of_model])
    found, start = {}, 0
    for model, of_model in exchanges.items():
        found[model] = scores.part(start, start + len(of_model))
        start += len(of_model)
    return found


def perplexity(answered: Answered) -> Scores | None:
    """Nats a reference token, which weighs as many tokens as it has: the mean's exponential is the perplexity."""
    likelihoods = answered.likelihoods
    if not any(likelihoods):
        return None
    values = tuple(found.nll / found.tokens if found is not None and found.tokens else None for found in likelihoods)
    weights = tuple(float(found.tokens) if found is not None else math.nan for found in likelihoods)
    missing = frozenset(i for i, q in enumerate(answered.questions) if q.reference.strip() and likelihoods[i] is None)
    return Scores(values, weights, is_log=True, missing=missing)
