"""The stage ``evaluate``: base, production and candidate answer the same questions; figures, intervals and a verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from serin.clients.endpoint import Endpoint
from serin.clients.files import output_folder, read_manifest, seal, write_json, write_jsonl
from serin.core.conversation import Conversation
from serin.core.params import EvaluateParams
from serin.core.verdict import Verdict
from serin.evaluate.answers.kept import KeptAnswers
from serin.evaluate.compare.figures import ScoredSet, fields_of, measure
from serin.evaluate.compare.gate import judge
from serin.evaluate.forgetting.harness import LoadedTasks, load_tasks, run_tasks
from serin.evaluate.judge.preference import Judged, Pair, judge_pairs
from serin.evaluate.metrics.metric import Better, Metric, Scores
from serin.evaluate.metrics.registry import build_metrics
from serin.evaluate.questions import WITH_REFERENCES, load_questions_of
from serin.evaluate.record import lines_of
from serin.evaluate.report.page import About, render_evaluation
from serin.evaluate.report.plots import write_plots
from serin.evaluate.safety.metric import Unsafe, build_safety, red_team_metrics
from serin.evaluate.scoring import PERPLEXITY, PREFERENCE, Answered, Metrics
from serin.evaluate.subject import Subject

_WITHOUT_REFERENCE = ("refused", "answer_tokens", "answer_characters", "stopped")
"""Metrics that need nothing to compare an answer with."""


class Progress(Protocol):
    """Hears how far the answering is."""

    def __call__(self, model: str, done: int, total: int) -> None:
        """``done`` of ``total`` questions are answered by ``model``."""


def run(
    params: EvaluateParams,
    subjects: Sequence[Subject],
    dataset: Path,
    kept: Path,
    out: Path,
    progress: Progress,
    environment: Mapping[str, str],
) -> Verdict:
    """Compare, judge, and write figures, answers, verdict, plots and a page to ``out``.

    Args:
        params: of the stage.
        subjects: the candidate, which the verdict is about, the base, and production where there is one. They are loaded one at
            a time.
        dataset: what ``prepare`` wrote.
        kept: the folder in which answers are kept as they come.
        out: not there until everything in it is whole.
        progress: hears how far each model is.
        environment: for the keys of endpoints.

    Raises:
        ConfigError: params that cannot be measured with these questions, or a model or an endpoint that does not work.
        InputError: a damaged dataset.
        RetryableError: an endpoint broke off; what it had answered is kept.
    """
    data = read_manifest(dataset, "dataset", verify=True)
    questions = load_questions_of(params, dataset)
    instruments = set_up(params, questions.sets, environment)
    heard = ask(params, subjects, questions.sets, instruments.tasks, kept, progress)
    scores = {name: instruments.metrics.score_all(name, by_model) for name, by_model in heard.answered.items()}
    judged = prefer(params, instruments.endpoint, heard.answered["test"]) if instruments.is_judged else {}
    scored = [
        *((name, ScoredSet(asked, scores[name])) for name, asked in questions.sets.items()),
        ("test", ScoredSet(questions.sets["test"], {}, {m: {PREFERENCE: _of_pairs(j)} for m, j in judged.items()})),
        *_of_tasks(heard.tasks),
    ]
    figures = measure(scored, params, instruments.better)
    by_name = {subject.name: subject for subject in subjects}
    candidate = by_name["candidate"]
    verdict = judge(candidate.digest, params.against, params.rules, figures)
    metrics = figures.as_dict() | {"questions": {name: len(asked) for name, asked in questions.sets.items()}}
    lines = [
        line
        for name, by_model in heard.answered.items()
        for line in lines_of(name, by_model, scores[name], fields_of(name, params))
    ]
    counts = {over: found.as_dict() for over, found in judged.items()}
    about = About(candidate.called, by_name["base"].called, judge=counts)
    lineage = {
        "called": {subject.name: subject.called for subject in subjects},
        "answers": candidate.via,
        "trained_general_questions": list(questions.trained),
        "judge": counts,
        "safety_judge": instruments.safety.summary(),
    }
    with output_folder(out) as folder:
        write_json(folder / "metrics.json", metrics)
        write_json(folder / "verdict.json", verdict.as_dict())
        write_jsonl(folder / "answers.jsonl", lines)
        write_plots(metrics, lines, folder)
        page = render_evaluation(metrics, verdict.as_dict(), lines, params.model_dump(), about)
        (folder / "evaluation.html").write_text(page, encoding="utf-8")
        inputs = {"dataset": data.digest} | {subject.name: subject.digest for subject in subjects}
        seal(folder, kind="evaluation", inputs=inputs, params=params.model_dump(), metrics=metrics, lineage=lineage)
    return verdict


@dataclass(frozen=True, slots=True)
class Heard:
    """What the models said."""

    answered: Mapping[str, Mapping[str, Answered]]
    """By set of questions, then by model."""
    tasks: Mapping[str, Mapping[str, Scores]]
    """Of each model that is in this process, the scores of lm-evaluation-harness by task."""


def ask(
    params: EvaluateParams,
    subjects: Sequence[Subject],
    sets: Mapping[str, Sequence[Conversation]],
    tasks: LoadedTasks,
    kept: Path,
    progress: Progress,
) -> Heard:
    """Ask one model after the other; each is gone before the next one is loaded."""
    answered: dict[str, dict[str, Answered]] = {name: {} for name in sets}
    of_tasks: dict[str, Mapping[str, Scores]] = {}
    for subject in subjects:
        for name, found in answer_sets(subject, sets, kept, partial(progress, subject.name)).items():
            answered[name][subject.name] = found
        if tasks.tasks:
            run_all = partial(run_tasks, params.forgetting, loaded=tasks)
            of_tasks[subject.name] = subject.answerer.score_tasks(run_all)
        subject.answerer.close()
    return Heard(answered, of_tasks)


@dataclass(frozen=True, slots=True)
class Instruments:
    """All that measures, made before the first question is asked: a fault in params is not to be found after an hour."""

    metrics: Metrics
    safety: Unsafe
    tasks: LoadedTasks
    endpoint: Endpoint | None
    """Of the judge."""
    is_judged: bool
    """Whether it compares answers."""
    better: Mapping[str, Better]


def set_up(
    params: EvaluateParams, sets: Mapping[str, Sequence[Conversation]], environment: Mapping[str, str]
) -> Instruments:
    """Raises ConfigError where something cannot be measured, or a rule names what is not measured."""
    is_judged = params.judge.questions > 0
    asks = is_judged or params.safety.judge
    endpoint = Endpoint(params.judge.endpoint, environment, "evaluate.judge.endpoint") if asks else None
    safety = build_safety(params, environment, endpoint)
    metrics = metrics_of(params, sets, safety)
    tasks = load_tasks(params.forgetting)
    others = {name: [PERPLEXITY] for name in sets if name in WITH_REFERENCES}
    others["general"] = [*others.get("general", []), *tasks.by_name]
    if is_judged:
        others["test"].append(PREFERENCE)
    metrics.refuse_unknown(params.rules, others)
    higher: dict[str, Better] = dict.fromkeys(tasks.by_name, "higher")
    return Instruments(metrics, safety, tasks, endpoint, is_judged, metrics.better() | higher)


def metrics_of(params: EvaluateParams, sets: Mapping[str, Sequence[Conversation]], safety: Metric) -> Metrics:
    """The metrics of each set: a question that should be refused has no reference to compare with."""
    named = build_metrics(params)
    by_set = {name: named for name in sets if name in WITH_REFERENCES}
    by_set["test"] = [*named, safety]
    if "red_team" in sets:
        by_set["red_team"] = [*(m for m in named if m.name in _WITHOUT_REFERENCE), safety, *red_team_metrics()]
    return Metrics(by_set)


def answer_sets(
    subject: Subject, sets: Mapping[str, Sequence[Conversation]], kept: Path, progress: Callable[[int, int], None]
) -> dict[str, Answered]:
    """One model's answers to every set, and how likely it finds the references."""
    store = KeptAnswers(kept, subject.answerer)
    total, before = sum(map(len, sets.values())), 0
    found = {}
    for name, questions in sets.items():
        answers = store.answers(questions, partial(_advance, progress, before, total))
        has_references = name in WITH_REFERENCES
        likelihoods = store.likelihoods(questions) if has_references else [None] * len(questions)
        found[name] = Answered(questions, answers, likelihoods)
        before += len(questions)
    return found


def _advance(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def prefer(params: EvaluateParams, endpoint: Endpoint | None, answered: Mapping[str, Answered]) -> dict[str, Judged]:
    """What a judge prefers, by the model that the candidate is compared with."""
    assert endpoint is not None
    candidate = answered["candidate"]
    found = {}
    for over, other in answered.items():
        if over != "candidate":
            pairs = [
                Pair(question, mine.text, theirs.text)
                for question, mine, theirs in zip(candidate.questions, candidate.answers, other.answers, strict=True)
            ]
            found[over] = judge_pairs(params.judge, endpoint, pairs)
    return found


def _of_pairs(judged: Judged) -> tuple[Scores, Scores]:
    """The share of questions that each of the two won: the gain is wins minus losses, and a tie is in neither share."""
    wins, losses = (
        Scores(
            tuple(None if value is None else float(value == won) for value in judged.preferences),
            missing=judged.missing,
        )
        for won in (1.0, 0.0)
    )
    return wins, losses


def _of_tasks(tasks: Mapping[str, Mapping[str, Scores]]) -> list[tuple[str, ScoredSet]]:
    """Tasks of lm-evaluation-harness as further metrics on ``general``, each with documents of its own."""
    found = []
    for task, of_candidate in tasks.get("candidate", {}).items():
        documents = [Conversation((), {"id": f"{task}-{i}"}) for i in range(len(of_candidate.values))]
        found.append(("general", ScoredSet(documents, {model: {task: by[task]} for model, by in tasks.items()})))
    return found
