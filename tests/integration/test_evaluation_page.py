"""What an evaluation leaves to look at, made of real comparisons: ``dvc plots`` shows its tables, and a browser its page."""

import html
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serin.core.conversation import Conversation, Message
from serin.core.grading import token_f1
from serin.core.params import EvaluateParams
from serin.evaluate.compare.figures import ScoredSet, measure
from serin.evaluate.compare.gate import judge
from serin.evaluate.compare.slices import slices_of
from serin.evaluate.metrics.metric import Scores
from serin.evaluate.report.page import About, render_evaluation
from serin.evaluate.report.plots import write_plots

CANDIDATE, PRODUCTION = "law-qa@" + "3f9a1c20" * 8, "law-qa@" + "77b0e4d1" * 8
PARAMS = EvaluateParams(resamples=200, against=PRODUCTION)
BETTER = {"token_f1": "higher", "unsafe": "lower", "perplexity": "lower"}
RIGHT = {"base": 0.1, "production": 0.6, "candidate": 0.9}
PLOTS = """
plots:
  - Token F1:
      template: bar_horizontal
      x: mean
      x_label: mean token F1
      y:
        artifacts/evaluation/plots/token_f1/means.tsv: of
      y_label: test questions, by language and model
  - Gain in token F1:
      template: bar_horizontal
      x: gain
      x_label: gain in token F1
      y:
        artifacts/evaluation/plots/token_f1/gains.tsv: of
      y_label: test questions, by language
  - Token F1 question by question:
      template: simple
      x: share
      x_label: share of the test questions, the worst first
      y:
        artifacts/evaluation/plots/token_f1/over_base.tsv: difference
      y_label: candidate minus base
"""


def questions(count: int, name: str) -> list[Conversation]:
    """Three phrasings of each fact, in two languages."""
    found = []
    for n in range(count):
        fact, phrasing = divmod(n, 3)
        asked, told = (
            ("How long is notice {}?", "At most {} months.") if fact % 2 else ("第{}条期限多久？", "最长{}个月。")
        )
        turns = (Message("user", asked.format(f"{fact}-{phrasing}")), Message("assistant", told.format(fact % 7 + 1)))
        meta = {
            "id": f"{name}-{n}",
            "group": f"{name}-{fact}",
            "language": "en" if fact % 2 else "zh",
            "topic": "notice",
        }
        found.append(Conversation(turns, meta))
    return found


def evaluation() -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The contents of metrics.json, verdict.json and answers.jsonl, by the code that compares and judges."""
    draw = random.Random(3)
    sets, lines = [], []
    for name in ("test", "general", "red_team"):
        asked = questions(60, name)
        slices = slices_of(asked, PARAMS.slices)
        texts = {m: [q.reference if draw.random() < good else "<b>no" for q in asked] for m, good in RIGHT.items()}
        scores = {}
        for model, said in texts.items():
            f1 = tuple(token_f1(text, q.reference, q.language) for text, q in zip(said, asked, strict=True))
            scores[model] = {
                "token_f1": Scores(f1),
                "unsafe": Scores(tuple(float(draw.random() < 0.05) for _ in asked)),
                "perplexity": Scores(
                    tuple(draw.gauss(2, 0.2) for _ in asked), tuple(float(len(q.reference)) for q in asked), is_log=True
                ),
            }
        sets.append((name, ScoredSet(asked, scores)))
        lines += [
            {
                "set": name,
                "id": q.id,
                "slices": slices[i],
                "question": q.user_text,
                "reference": q.reference,
                "models": {
                    m: {
                        "text": t[i],
                        "tokens": 3,
                        "stopped": True,
                        "scores": {k: s.values[i] for k, s in scores[m].items()},
                    }
                    for m, t in texts.items()
                },
            }
            for i, q in enumerate(asked)
        ]
    figures = measure(sets, PARAMS, BETTER)
    verdict = judge(CANDIDATE.partition("@")[2], PRODUCTION, PARAMS.rules, figures)
    return json.loads(json.dumps(figures.as_dict())), json.loads(json.dumps(verdict.as_dict())), lines


@pytest.fixture(scope="module")
def found() -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    return evaluation()


@pytest.fixture(scope="module")
def page(found: tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]) -> str:
    metrics, verdict, answers = found
    return render_evaluation(metrics, verdict, answers, PARAMS.model_dump(), About(CANDIDATE, "models/base"))


def test_figures_as_they_are_really_measured_become_a_page(found: Any, page: str) -> None:
    metrics, verdict, _ = found
    gain = metrics["gains"]["production"]["test"]["token_f1"]["language=zh"]
    assert f"+{gain['gain']:.3f} <span" in page
    assert "60 questions in 20 groups" in page
    assert page.count('<tr class="missed">') == sum(not rule["passed"] for rule in verdict["rules"])
    assert "&lt;b&gt;" in page or "&lt;<mark" in page


def dvc(folder: Path, *arguments: str) -> str:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stderr
    return done.stdout


def test_dvc_plots_show_the_figures(found: Any, tmp_path: Path) -> None:
    metrics, _, answers = found
    write_plots(metrics, answers, tmp_path / "artifacts/evaluation")
    (tmp_path / "dvc.yaml").write_text(PLOTS)
    dvc(tmp_path, "init", "--no-scm", "-q")

    plots = json.loads(dvc(tmp_path, "plots", "show", "--json"))["data"]
    shown = {name: plot[0]["content"]["data"]["values"] for name, plot in plots.items()}
    means = {point["of"]: float(point["mean"]) for point in shown["Token F1"]}
    assert means["language=en candidate"] == metrics["means"]["candidate"]["test"]["token_f1"]["language=en"]
    gains = {point["of"]: float(point["gain"]) for point in shown["Gain in token F1"]}
    assert gains["all over production"] == metrics["gains"]["production"]["test"]["token_f1"]["all"]["gain"]
    assert len(shown["Token F1 question by question"]) == 60

    dvc(tmp_path, "plots", "show")
    assert str(means["all base"]) in (tmp_path / "dvc_plots/index.html").read_text()


chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium")


def browse(folder: Path, content: str, *options: str) -> str:
    """What Chromium makes of a page: its DOM after scripts ran."""
    path = folder / "looked-at.html"
    path.write_text(content, encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    done = subprocess.run(
        [*command, *options, "--dump-dom", path.as_uri()], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@chromium
@pytest.mark.parametrize("width", [400, 1300])
def test_a_browser_shows_the_page_within_the_width_of_a_phone_and_of_a_desk(
    page: str, width: int, tmp_path: Path
) -> None:
    frame = f'<iframe style="border:0;width:{width}px;height:900px" srcdoc="{html.escape(page)}"></iframe>'
    excess = "frames[0].document.documentElement.scrollWidth - frames[0].document.documentElement.clientWidth"
    script = f"<script>onload = () => {{ document.title = {excess}; }};</script>"
    dom = browse(tmp_path, f"<!doctype html><title>none</title>{frame}{script}", "--window-size=1400,1000")
    assert re.findall(r"<title>(\d+)</title>", dom)[0] == "0"
