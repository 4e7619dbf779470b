"""Metrics by name: those that come with Serin, else those of installed packages."""

import difflib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from serin.core.errors import ConfigError
from serin.core.params import EvaluateParams
from serin.evaluate.metrics.citation import RightArticle
from serin.evaluate.metrics.installed import find_installed, load_installed
from serin.evaluate.metrics.length import AnswerCharacters, AnswerTokens, LengthRatio, Stopped
from serin.evaluate.metrics.metric import Metric
from serin.evaluate.metrics.overlap import ChrF, Rouge
from serin.evaluate.metrics.refusal import Refused
from serin.evaluate.metrics.relevance import BertScore
from serin.evaluate.metrics.words import ExactMatch, TokenF1
from serin.lm.encode import TokenEncoder

ARTICLE = "right_article"
BERTSCORE = "bertscore"
BUILT_IN: Mapping[str, Callable[[], Metric]] = MappingProxyType(
    {
        "exact_match": ExactMatch,
        "token_f1": TokenF1,
        "chrf": ChrF,
        "rouge_1": lambda: Rouge("rouge1"),
        "rouge_2": lambda: Rouge("rouge2"),
        "rouge_l": lambda: Rouge("rougeL"),
        "refused": Refused,
        "answer_tokens": AnswerTokens,
        "answer_characters": AnswerCharacters,
        "length_ratio": LengthRatio,
        "stopped": Stopped,
    }
)
"""Those that need no more than their name."""
MEASURED_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "perplexity": "is always measured",
        "unsafe": "is always measured, as evaluate.safety says",
        "preference": "is measured where evaluate.judge.questions is above 0",
    }
)
"""Names that no other metric may have."""


def build_metrics(params: EvaluateParams) -> list[Metric]:
    """The metrics that ``params`` asks for, each once, in that order, and ``bertscore`` where there is an encoder for it.

    ``right_article`` is left out where ``article_pattern`` is null.

    Raises ConfigError for every name that is unknown, naming those that are alike; where two metrics have one name; and
    where a package's metric, the encoder or the pattern cannot be used.
    """
    names = list(dict.fromkeys([*params.metrics, *([BERTSCORE] if params.relevance.encoder is not None else [])]))
    own = {*BUILT_IN, ARTICLE, BERTSCORE}
    installed = find_installed(taken={*own, *MEASURED_ELSEWHERE})
    if faults := [_fault(name, {*own, *installed}) for name in names if name not in own and name not in installed]:
        raise ConfigError("\n".join([*faults, "mend evaluate.metrics"]))
    metrics: list[Metric] = []
    for name in names:
        if name in installed:
            metrics.append(load_installed(installed[name], params))
        elif name == BERTSCORE:
            metrics.append(_bertscore(params))
        elif name != ARTICLE:
            metrics.append(BUILT_IN[name]())
        elif params.article_pattern is not None:
            metrics.append(RightArticle(params.article_pattern))
    return metrics


def _bertscore(params: EvaluateParams) -> Metric:
    relevance = params.relevance
    if relevance.encoder is None:
        raise ConfigError(
            "evaluate.metrics names bertscore, and evaluate.relevance.encoder is null: give it the folder of an encoder"
        )
    return BertScore(TokenEncoder(Path(relevance.encoder), relevance.layer))


def _fault(name: str, known: Collection[str]) -> str:
    if name in MEASURED_ELSEWHERE:
        return f"evaluate.metrics: {name} {MEASURED_ELSEWHERE[name]}, and is not listed here"
    alike = difflib.get_close_matches(name, sorted(known), n=3)
    told = f"did you mean {' or '.join(alike)}?" if alike else f"known are {', '.join(sorted(known))}"
    return f"evaluate.metrics: neither Serin nor an installed package has a metric {name!r}; {told}"
