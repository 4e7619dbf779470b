"""The demo's figures and page, from files as the stages, the users and the rollouts leave them."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from serin.clients.files import write_json, write_jsonl
from serin.core.params import RolloutParams
from serin.demo.figures import ROLLOUTS, summary
from serin.demo.report import table, write_report
from serin.demo.run import Offer, unexpected
from serin.rollout.loop import LocalRollouts
from serin.rollout.policy import begin_counting, decide_by_hand
from serin.rollout.state import new_rollout
from serin.rollout.store import Step

STABLE, TUNED, DAMAGED = ("law@" + letter * 64 for letter in "abc")
OFFERS = [Offer("tuned", TUNED), Offer("damaged", DAMAGED)]
MEANS = {"token_f1": 0.2, "right_article": 0.0, "stopped": 1.0}


def metrics(tuned: float) -> dict[str, Any]:
    """As ``evaluate`` writes them; topics and safety are not the demo's concern."""
    slices = ("all", "language=en", "language=zh", "topic=wages")
    better = {key: value if key == "stopped" else tuned for key, value in MEANS.items()}
    gain = {"gain": 0.6, "ci_low": 0.5, "ci_high": 0.7, "p": 0.001, "p_adjusted": 0.01, "questions": 40}
    means = {
        model: {"test": {metric: dict.fromkeys(slices, mean) for metric, mean in by_metric.items()}}
        for model, by_metric in (("base", MEANS), ("candidate", better))
    }
    gains = {"test": {metric: dict.fromkeys(slices, gain) for metric in MEANS}}
    return {"confidence": 0.95, "means": means, "gains": {"base": gains}}


def leave_rollout(folder: Path, rollout: str, canary: str, decision: Any) -> None:
    store = LocalRollouts(folder / ROLLOUTS).of(rollout)
    state = new_rollout(rollout, STABLE, canary, rollout, RolloutParams(warmup_s=0), 100.0)
    state = begin_counting(state, [], 101.0)
    ended, _ = decide_by_hand(state, decision, "for the test", 120.0)
    store.append(Step(number=0, t=100.0, action="create", state=state))
    store.append(Step(number=1, t=120.0, action="abort" if decision == "aborted" else "promote", state=ended))


def leave_traffic(folder: Path, name: str, canary: str, errors: int = 0) -> None:
    replies = [
        {"sent_s": n / 2, "revision": canary if n % 4 == 3 else STABLE, "score": 1.0, "error": None} for n in range(40)
    ]
    by_revision = {STABLE: {"requests": 30}, canary: {"requests": 10}}
    write_json(
        folder / f"reports/traffic-{name}.json", {"errors": errors, "by_revision": by_revision, "replies": replies}
    )


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """What a whole run leaves; an answer holds markup, as a model might say."""
    write_json(tmp_path / "artifacts/evaluation/metrics.json", metrics(0.8))
    write_json(tmp_path / "artifacts/demo/damaged-evaluation/metrics.json", metrics(0.1))
    answer = {"text": "<script>alert(1)</script>", "scores": {"token_f1": 0.0, "right_article": 1.0}}
    models = {"base": {**answer, "scores": {"right_article": None}}, "candidate": answer}
    rows = [
        {"set": name, "slices": {"language": n}, "question": f"{name} in {n}?", "reference": "r", "models": models}
        for name in ("test", "red_team")
        for n in ("zh", "en")
    ]
    write_jsonl(tmp_path / "artifacts/evaluation/answers.jsonl", rows)
    write_json(
        tmp_path / "artifacts/adapter/log.json",
        {"steps": [{"step": 10, "loss": 2.0}, {"step": 20, "loss": 1.0}], "validations": [{"step": 20, "loss": 1.5}]},
    )
    leave_rollout(tmp_path, "20260101T000000-tuned", TUNED, "promoted")
    leave_rollout(tmp_path, "20260101T000100-damaged", DAMAGED, "aborted")
    leave_traffic(tmp_path, "tuned", TUNED)
    leave_traffic(tmp_path, "damaged", DAMAGED)
    return tmp_path


def test_the_summary_tells_each_canary_with_its_users_and_errors(finished: Path) -> None:
    figures = summary(finished, OFFERS, {"serve": 1.0})

    assert figures["base"]["zh"]["token_f1"] == 0.2
    assert figures["tuned"]["en"]["right_article"] == 0.8
    assert figures["better"] == {
        "metric": "token_f1",
        "slice": "all",
        "base": 0.2,
        "tuned": 0.8,
        "gain": 0.6,
        "ci_low": 0.5,
        "ci_high": 0.7,
        "questions": 40,
    }
    assert [(g["metric"], g["slice"]) for g in figures["gains"]] == [
        (metric, part) for metric in ("token_f1", "right_article") for part in ("all", "en", "zh")
    ]
    assert figures["control"] == []
    shown = [(r["canary"], r["decision"], r["canary_requests"], r["stable_requests"]) for r in figures["rollouts"]]
    assert shown == [("tuned", "promoted", 10, 30), ("damaged", "aborted", 10, 30)]
    assert unexpected(figures) == []


def test_a_wrong_decision_and_a_failed_request_are_each_said(finished: Path) -> None:
    leave_rollout(finished, "20260101T000200-tuned", TUNED, "aborted")
    leave_traffic(finished, "damaged", DAMAGED, errors=3)

    faults = unexpected(summary(finished, OFFERS, {}))

    assert faults[0].startswith("the tuned canary was aborted (by hand: for the test)")
    assert faults[1] == "3 requests of clients failed"


class Links(HTMLParser):
    """Collects whatever a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_needs_no_network_and_runs_no_answer(finished: Path) -> None:
    out = finished / "reports/demo.html"
    write_report(finished, summary(finished, OFFERS, {"serve": 1.5}), out)

    page = out.read_text()
    links = Links()
    links.feed(page)
    assert [link for link in links.found if not link.startswith("#")] == []
    assert "script" not in links.tags
    assert "&lt;script&gt;" in page
    assert links.tags.count("svg") == 6
    assert not re.search(r"url\((?!#)", page)
    for words in ("Rollout of the tuned model", "Rollout of the damaged model", "test in zh?", "test in en?", "+0.500"):
        assert words in page
    assert "red_team in" not in page
    assert page.count('<td class="right">') == 2


def test_the_table_has_a_line_for_each_language_and_rollout(finished: Path) -> None:
    text = table(summary(finished, OFFERS, {}))

    assert re.search(r"^zh right_article +0\.000 +0\.800 +0\.100 +\+0\.600 \[\+0\.500, \+0\.700\]$", text, re.MULTILINE)
    assert re.search(r"^damaged +aborted +10 +30 +0$", text, re.MULTILINE)
