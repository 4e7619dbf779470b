"""The model card: what a person, and the hub, read in it."""

import re
from itertools import pairwise
from typing import Any

import pytest
import yaml

from serin.publish.evidence import CARD

from .outputs import Project


def card(project: Project, **params: object) -> str:
    record = project.publish(**params)
    return project.storage.read(f"{record.evidence}/{CARD}").decode()


def front_matter(text: str) -> dict[str, Any]:
    told = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(told, dict)
    return told


def test_the_front_matter_is_what_the_hub_reads(project: Project) -> None:
    told = front_matter(card(project, license="Apache 2.0"))
    assert told["license"] == "apache-2.0"
    assert told["language"] == ["en", "zh"]
    assert told["metrics"] == ["token_f1"]
    assert told["pipeline_tag"] == "text-generation"
    (model,) = told["model-index"]
    assert model["results"][0]["metrics"] == [{"type": "token_f1", "name": "token_f1", "value": 0.9}]
    assert model["results"][0]["dataset"]["revision"] == project.inputs["dataset"]


def test_the_hub_accepts_it(project: Project) -> None:
    from huggingface_hub import ModelCard

    told = ModelCard(card(project, license="Apache 2.0")).data
    assert told.model_name == "law"
    assert told.eval_results is not None
    assert told.eval_results[0].metric_value == 0.9


def test_an_unknown_licence_is_other_and_none_is_said(project: Project) -> None:
    told = front_matter(card(project, license="Ours Alone 1.0"))
    assert (told["license"], told["license_name"]) == ("other", "Ours Alone 1.0")
    text = card(project)
    assert "license" not in front_matter(text)
    assert "**Nobody stated a licence of this model.**" in text


def test_it_holds_intervals_by_slice_rules_and_what_was_not_measured(project: Project) -> None:
    text = card(project)
    assert (
        "| test | token\\_f1 | language=zh | 0.800 | 0.100 | +0.700 | +0.500 to +0.900 | 0.020 | 0.050 | 40 |" in text
    )
    assert "| token\\_f1 gain, lower bound, over base in all | 0.600 | above 0.000 | yes |" in text
    assert "bertscore on test in language=zh was not measured: the encoder does not know 71 % of the tokens" in text
    assert "Not applied: token\\_f1 over production on test" in text


def test_it_holds_the_whole_config_and_the_data_card(project: Project) -> None:
    text = card(project)
    config = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    assert config["train"] == {"epochs": 5.0, "learning_rate": 0.003}
    assert config["prepare"]["max_tokens"] == 256
    assert config["evaluate"]["resamples"] == 4000
    assert "### Dataset card\n\nOne file.\n\n```\n# no heading\n```" in text
    assert "license: cc-by-4.0" not in text
    assert "| chats.jsonl | not stated | 4 | 3 |" in text


def test_an_override_stands_at_the_top(project: Project) -> None:
    project.evaluate(passed=False)
    text = card(project, override="a *bold* | <b>reason</b> & more")
    top = text.split("## Licence")[0]
    assert "**Published without a passing verdict.**" in top
    assert r"a \*bold\* \| &lt;b&gt;reason&lt;/b&gt; &amp; more" in top
    assert "| **no** |" in text


@pytest.mark.parametrize("evaluation", [True, False])
def test_tables_and_headings_stand_free(project: Project, evaluation: bool) -> None:
    """Markdown needs an empty line before a table and before a heading."""
    lines = card(project, evaluation=evaluation, override="whatever it takes").splitlines()
    body = lines[lines.index("---", 1) + 1 :]
    for before, line in pairwise(body):
        if line.startswith("|") and not before.startswith("|"):
            assert before == "", line
        if line.startswith("#"):
            assert before in ("", "```"), line
