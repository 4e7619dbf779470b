"""``reports/demo.html``: one self-contained page that needs no network, and the table at the end of the demo."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from serin.clients.files import read_json, read_jsonl, write_atomically
from serin.demo.figures import METRICS

_ANSWERS_A_LANGUAGE = 4


def write_report(folder: Path, figures: Mapping[str, Any], out: Path) -> None:
    """Draw everything that ``figures`` (see ``serin.demo.figures``) and the stages' outputs tell."""
    from jinja2 import Environment
    from markupsafe import Markup

    from serin.demo import charts

    rollouts = []
    for rollout in figures["rollouts"]:
        replies = read_json(folder / "reports" / f"traffic-{rollout['canary']}.json")["replies"]
        split = charts.traffic_split(replies, rollout["revision"], rollout["history"])
        rollouts.append({**rollout, "split": Markup(split), "evidence": Markup(charts.evidence(rollout["history"]))})
    text = (files("serin.demo") / "report.html.jinja").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True).from_string(text)
    page = template.render(
        figures=figures,
        rollouts=rollouts,
        requests=sum(r["canary_requests"] + r["stable_requests"] + r["client_errors"] for r in figures["rollouts"]),
        errors=sum(r["client_errors"] for r in figures["rollouts"]),
        confidence=f"{read_json(folder / 'artifacts/evaluation/metrics.json')['confidence']:.0%}",
        comparison=Markup(charts.comparison(figures["gains"])),
        loss=Markup(charts.loss_curve(read_json(folder / "artifacts/adapter/log.json"))),
        answers=_some_answers(folder / "artifacts/evaluation/answers.jsonl"),
        metric_names=METRICS,
        slice_names={"all": "both languages", **charts.LANGUAGES},
    )
    write_atomically(out, page.encode())


def table(figures: Mapping[str, Any]) -> str:
    """The demo in a few lines of text."""
    lines = [f"{'':<22}{'base':>8}{'tuned':>8}{'damaged':>9}   gain of tuned over base"]
    for language in figures["base"]:
        for metric in METRICS:
            gain = next(g for g in figures["gains"] if g["metric"] == metric and g["slice"] == language)
            lines.append(
                f"{language} {metric:<19}{gain['base']:>8.3f}{gain['tuned']:>8.3f}"
                f"{figures['damaged'][language][metric]:>9.3f}"
                f"   {gain['gain']:+.3f} [{gain['ci_low']:+.3f}, {gain['ci_high']:+.3f}]"
            )
    lines += ["", f"{'canary':<10}{'decision':<10}{'canary answers':>15}{'stable answers':>16}{'client errors':>15}"]
    lines += [
        f"{r['canary']:<10}{r['decision']:<10}{r['canary_requests']:>15}{r['stable_requests']:>16}{r['client_errors']:>15}"
        for r in figures["rollouts"]
    ]
    return "\n".join(lines)


def _some_answers(path: Path) -> Sequence[Mapping[str, Any]]:
    answers = [answer for answer in read_jsonl(path) if answer["set"] == "test"]
    languages = sorted({answer["slices"]["language"] for answer in answers})
    return [
        answer
        for language in languages
        for answer in islice((a for a in answers if a["slices"]["language"] == language), _ANSWERS_A_LANGUAGE)
    ]
