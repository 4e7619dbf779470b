"""The stage ``evaluate``: base and candidate answer the same held-out questions; figures, intervals and a verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import PreTrainedTokenizerBase

from serin.clients.files import output_folder, read_jsonl, read_manifest, seal, write_json, write_jsonl
from serin.core.conversation import Conversation
from serin.core.grading import cited_article, token_f1
from serin.core.params import EvaluateParams
from serin.evaluate.comparison import Gain, paired_gain
from serin.evaluate.gate import Verdict, judge
from serin.lm.chat import render_examples
from serin.lm.generate import Answer, answer_all
from serin.lm.load import load_model, load_stops, load_tokenizer
from serin.lm.score import response_likelihood

SPLITS = ("test", "control")


class Progress(Protocol):
    """Hears how far the answering is."""

    def __call__(self, model: str, done: int, total: int) -> None:
        """``done`` of ``total`` questions are answered by ``model``."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One question, its answer by one model, and the answer's scores in [0, 1]."""

    conversation: Conversation
    answer: Answer
    token_f1: float
    right_article: float


def run(
    params: EvaluateParams,
    base: Path,
    candidate: Path,
    candidate_digest: str,
    dataset: Path,
    out: Path,
    progress: Progress,
) -> Verdict:
    """Compare, and write ``metrics.json``, ``answers.jsonl`` and ``verdict.json`` to ``out``."""
    data = read_manifest(dataset, "dataset", verify=True)
    test, control = ([Conversation.from_dict(r) for r in read_jsonl(dataset / f"{s}.jsonl")] for s in SPLITS)
    scored, perplexity = {}, {}
    for name, folder in (("base", base), ("tuned", candidate)):
        heard = partial(progress, name, total=len(test) + len(control))
        scored[name], perplexity[name] = answer_and_score(params, folder, test, control, heard)
    tests = len(test)
    gains = compare(params, scored["base"][:tests], scored["tuned"][:tests])
    leaks = compare(params, scored["base"][tests:], scored["tuned"][tests:]) if control else []
    wanted = {"token_f1": params.min_token_f1_gain, "right_article": params.min_right_article_gain}
    verdict = judge(candidate_digest, gains, {metric: limit for metric, limit in wanted.items() if limit is not None})
    metrics = {
        "confidence": params.confidence,
        "models": {n: describe(scored[n][:tests]) | {"perplexity": perplexity[n]} for n in scored},
        "gains": [gain.as_dict() for gain in gains],
        "control": [gain.as_dict() for gain in leaks],
    }
    with output_folder(out) as folder:
        write_jsonl(folder / "answers.jsonl", side_by_side(scored["base"], scored["tuned"]))
        write_json(folder / "metrics.json", metrics)
        write_json(folder / "verdict.json", verdict.as_dict())
        inputs = {"dataset": data.digest, "candidate": candidate_digest}
        seal(folder, kind="evaluation", inputs=inputs, params=params.model_dump(), metrics=metrics)
    return verdict


def answer_and_score(
    params: EvaluateParams,
    folder: Path,
    test: Sequence[Conversation],
    control: Sequence[Conversation],
    on_done: Callable[[int], None],
) -> tuple[list[Scored], float]:
    """One model's scored answers to ``test`` and then ``control``, and its perplexity of the test split's references."""
    tokenizer: PreTrainedTokenizerBase = load_tokenizer(folder)
    model = load_model(folder, torch.float32)
    questions = [*test, *control]
    answers = answer_all(model, tokenizer, questions, params.max_new_tokens, params.batch_size, on_done)
    stops = load_stops(folder, tokenizer)
    references = [example for c in test for example in render_examples(tokenizer, c, stops)]
    likelihood = response_likelihood(model, references)
    return [score(params, c, a) for c, a in zip(questions, answers, strict=True)], likelihood.perplexity


def score(params: EvaluateParams, conversation: Conversation, answer: Answer) -> Scored:
    """Token F1 against the reference, and whether the article that the reference cites is the one cited."""
    wanted = cited_article(conversation.reference, params.article_pattern) if params.article_pattern else None
    found = cited_article(answer.text, params.article_pattern) if params.article_pattern else None
    return Scored(
        conversation=conversation,
        answer=answer,
        token_f1=token_f1(answer.text, conversation.reference, conversation.language),
        right_article=float(wanted is not None and found == wanted),
    )


def compare(params: EvaluateParams, base: Sequence[Scored], tuned: Sequence[Scored]) -> list[Gain]:
    """Gains of every metric over all questions and in each language; phrasings of one group are drawn together."""
    languages = sorted({s.conversation.language for s in base})
    gains = []
    for metric in ("token_f1", "right_article"):
        for part in ("all", *languages):
            rows = [i for i, s in enumerate(base) if part in ("all", s.conversation.language)]
            gains.append(
                paired_gain(
                    metric,
                    part,
                    [getattr(base[i], metric) for i in rows],
                    [getattr(tuned[i], metric) for i in rows],
                    params.confidence,
                    params.resamples,
                    params.seed,
                    groups=[str(base[i].conversation.meta.get("group", base[i].conversation.id)) for i in rows],
                )
            )
    return gains


def describe(scored: Sequence[Scored]) -> dict[str, Any]:
    """Means over all questions and by language: token_f1, right_article, stopped."""

    def means(rows: Sequence[Scored]) -> dict[str, float]:
        return {
            "token_f1": sum(s.token_f1 for s in rows) / len(rows),
            "right_article": sum(s.right_article for s in rows) / len(rows),
            "stopped": sum(s.answer.stopped for s in rows) / len(rows),
        }

    languages = sorted({s.conversation.language for s in scored})
    by_language = {lang: means([s for s in scored if s.conversation.language == lang]) for lang in languages}
    return means(scored) | by_language


def side_by_side(base: Sequence[Scored], tuned: Sequence[Scored]) -> list[dict[str, Any]]:
    """One line a question: what was asked, the reference, and both answers with their scores."""
    return [
        {
            "id": b.conversation.id,
            "language": b.conversation.language,
            "question": b.conversation.prompt[-1].content,
            "reference": b.conversation.reference,
            **{
                name: {"text": s.answer.text, "token_f1": s.token_f1, "right_article": s.right_article}
                for name, s in (("base", b), ("tuned", t))
            },
        }
        for b, t in zip(base, tuned, strict=True)
    ]
