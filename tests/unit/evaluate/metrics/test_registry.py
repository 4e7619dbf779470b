"""Metrics by name, those of packages that are really installed (in a folder on the import path) among them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.core.params import EvaluateParams
from serin.evaluate.metrics.metric import Exchange, Scores
from serin.evaluate.metrics.registry import build_metrics
from serin.lm.generate import Answer

Install = Callable[..., None]

POLITE = """
    from serin.evaluate.metrics.metric import Scores

    class Politeness:
        name, better = "politeness", "higher"

        def __init__(self, params):
            self.most = params.max_new_tokens

        def score(self, exchanges):
            return Scores(tuple("please" in e.answer.text for e in exchanges), weights=tuple(self.most for _ in exchanges))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a distribution as an installer would: a module, and its metadata with the entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(source: str, metric: str = "politeness", package: str = "polite", what: str = "Politeness") -> None:
        (tmp_path / f"{package}.py").write_text(dedent(source), encoding="utf-8")
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[serin.metrics]\n{metric} = {package}:{what}\n", encoding="utf-8")

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def asking(*metrics: str, **fields: object) -> EvaluateParams:
    return EvaluateParams.model_validate({"metrics": list(metrics), **fields})


def exchanges(*answers: str) -> list[Exchange]:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "six months"}]
    question = Conversation.from_dict({"messages": turns, "meta": {"id": "1", "language": "en"}})
    return [Exchange(question, Answer(answer, 5, stopped=True)) for answer in answers]


def returning(values: str, more: str = "") -> str:
    return f"""
    import math
    from serin.evaluate.metrics.metric import Scores

    class Politeness:
        name, better = "politeness", "higher"

        def __init__(self, params):
            pass

        def score(self, exchanges):
            return Scores({values}{more})
    """


def test_the_metrics_of_the_default_params_are_built_in_their_order() -> None:
    params = EvaluateParams()
    metrics = build_metrics(params)
    assert [metric.name for metric in metrics] == params.metrics
    for metric in metrics:
        assert len(metric.score(exchanges("six months", "")).values) == 2


def test_every_metric_is_there_once_under_its_own_name() -> None:
    names = ["rouge_1", "rouge_2", "rouge_l", "length_ratio", "answer_characters", "rouge_1"]
    assert [metric.name for metric in build_metrics(asking(*names))] == names[:-1]


def test_without_a_pattern_articles_are_left_out() -> None:
    assert [m.name for m in build_metrics(asking("right_article", "stopped", article_pattern=None))] == ["stopped"]


def test_unknown_names_are_told_all_at_once_with_those_that_are_alike() -> None:
    with pytest.raises(ConfigError) as raised:
        build_metrics(asking("tokenf1", "stopped", "zzz", "perplexity"))
    faults = str(raised.value).splitlines()
    assert len(faults) == 4
    assert "'tokenf1'; did you mean token_f1" in faults[0]
    assert "'zzz'; known are answer_characters, " in faults[1]
    assert "perplexity is always measured" in faults[2]
    assert raised.value.exit_code == 78


def test_bertscore_needs_an_encoder() -> None:
    with pytest.raises(ConfigError, match=r"relevance\.encoder is null"):
        build_metrics(asking("bertscore"))
    with pytest.raises(ConfigError, match="is no folder"):
        build_metrics(asking("stopped", relevance={"encoder": "/nowhere"}))


def test_a_package_brings_a_metric_that_is_told_the_params(install: Install) -> None:
    install(POLITE)
    (metric,) = build_metrics(asking("politeness", max_new_tokens=7))
    assert (metric.name, metric.better) == ("politeness", "higher")
    assert metric.score(exchanges("please wait", "no")) == Scores((1.0, 0.0), weights=(7.0, 7.0))


def test_an_unasked_package_is_not_imported(install: Install) -> None:
    install("raise SystemExit")
    assert [metric.name for metric in build_metrics(asking("stopped"))] == ["stopped"]


def test_names_that_are_alike_include_those_of_packages(install: Install) -> None:
    install(POLITE)
    with pytest.raises(ConfigError, match="did you mean politeness"):
        build_metrics(asking("polite"))


@pytest.mark.parametrize("name", ["token_f1", "right_article", "bertscore", "unsafe"])
def test_a_package_cannot_take_a_name_of_serins(install: Install, name: str) -> None:
    install(POLITE, metric=name)
    with pytest.raises(ConfigError, match=rf"package polite 1\.2 offers a metric {name}"):
        build_metrics(asking("stopped"))


def test_two_packages_cannot_offer_one_name(install: Install) -> None:
    install(POLITE)
    install(POLITE, package="courteous")
    with pytest.raises(ConfigError, match=r"packages courteous 1\.2 and polite 1\.2 both offer a metric politeness"):
        build_metrics(asking("politeness"))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("", "AttributeError"),
        ("def Politeness(params): raise OSError('no file')", "OSError: no file"),
        ("def Politeness(params): return 3", "made int, which has no method score"),
        (POLITE.replace('"politeness"', '"rudeness"'), "calls itself 'rudeness'"),
        (POLITE.replace('"higher"', '"up"'), "better = 'up'"),
    ],
)
def test_a_metric_that_cannot_be_built_names_its_package(install: Install, source: str, fault: str) -> None:
    install(source)
    with pytest.raises(ConfigError, match=rf"metric politeness of package polite 1\.2.*{fault}"):
        build_metrics(asking("politeness"))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (returning("(1.0,)"), "returned 1 values for 2 answers"),
        (returning("(1.0, math.nan)"), "returned nan for answer 2"),
        (returning("(math.inf, 1.0)"), "returned inf for answer 1"),
        (returning("('good', 1.0)"), "values that are no numbers"),
        (returning("None"), "values that are no numbers"),
        (returning("(1.0, 1.0)", ", weights=(1.0,)"), "returned 1 weights for 2 answers"),
        (returning("(1.0, 1.0)", ", weights=(1.0, -1.0)"), "weights below 0"),
        (returning("(1.0, 1.0)", ", unknown=((0, 1),)"), "1 counts of unknown tokens for 2"),
        (returning("(1 / 0, 1.0)"), "failed on 2 answers: ZeroDivisionError"),
        (returning("(1.0, 1.0)").replace("Scores((", "list(("), "returned list, expected"),
    ],
)
def test_scores_that_cannot_be_compared_name_their_package(install: Install, source: str, fault: str) -> None:
    install(source)
    (metric,) = build_metrics(asking("politeness"))
    with pytest.raises(ConfigError, match=rf"metric politeness of package polite 1\.2 .*{fault}"):
        metric.score(exchanges("please", "no"))


def test_numbers_of_other_kinds_become_plain_ones(install: Install) -> None:
    install(returning("(numpy.float32(0.5), None)").replace("import math", "import numpy"))
    (metric,) = build_metrics(asking("politeness"))
    (first, second) = metric.score(exchanges("please", "no")).values
    assert type(first) is float
    assert second is None
