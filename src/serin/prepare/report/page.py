"""``quality.html``: one self-contained page that shows what ``prepare`` found, kept and rejected, with samples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serin.prepare.report.excerpts import change, excerpt, likeness, printable
from serin.prepare.report.histogram import lay_out
from serin.prepare.report.templates import completed, load_template
from serin.prepare.report.wording import REASONS, STEPS, by_count, words_of

_MOST_FILES = 30
_MOST_TURNS = 8


@dataclass(frozen=True, slots=True)
class Samples:
    """Records to show beside the figures; all of them are shown, so pass few."""

    kept: Sequence[Mapping[str, Any]] = ()
    """Conversations as in a dataset file, and the name of their split under ``split``."""
    rejected: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Records as in ``rejected.jsonl``, by reason."""
    mended: Sequence[tuple[str, str, str]] = ()
    """Kind of mending, the text before it, and after."""
    personal_data: Sequence[tuple[str, str]] = ()
    """Type, and the text around a placeholder: what was found must already be gone."""


def render_report(quality: Mapping[str, Any], samples: Samples, max_tokens: int | None = None) -> str:
    """The page, from the content of ``quality.json``; what that lacks is shown as not there.

    ``max_tokens`` is ``prepare.max_tokens``, pointed at in the plot of lengths. The same arguments give the same page.
    """
    shown = completed(quality)
    in_view = shown["files"]
    if len(in_view) > _MOST_FILES:
        in_view = sorted(in_view, key=lambda file: file["kept"] / file["read"] if file["read"] else 1.0)
    template = load_template("quality.html.jinja", autoescape=True, excerpt=excerpt, likeness=likeness)
    page = template.render(
        **shown,
        max_tokens=max_tokens,
        verdict=_verdict(shown["gate"]),
        broken=[rule for rule in shown["gate"]["rules"] if not rule["passed"]],
        funnel=_funnel(shown["steps"]),
        reasons=_reasons(shown["rejected"], samples.rejected),
        shown_files=in_view[:_MOST_FILES],
        other_files=in_view[_MOST_FILES:],
        histogram=lay_out(shown["token_histogram"], shown["tokens"], max_tokens),
        mendings=[(kind, *change(before, after)) for kind, before, after in samples.mended],
        personal_samples=samples.personal_data,
        conversations=[_conversation(record) for record in samples.kept],
    )
    return printable(page)


def _verdict(gate: Mapping[str, Any]) -> str:
    if not gate["rules"]:
        return "none"
    return "yes" if gate["passed"] else "no"


def _funnel(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each step with the records left after it, what it took or added, and both as shares of the most there were."""
    rows: list[dict[str, Any]] = []
    most = max((int(step["records"]) for step in steps), default=0) or 1
    before = int(steps[0]["records"]) if steps else 0
    for step in steps:
        left = int(step["records"])
        taken = max(0, before - left)
        rows.append(
            {
                "words": words_of(STEPS, step["step"]),
                "left": left,
                "taken": taken,
                "added": max(0, left - before),
                "left_share": left / most,
                "taken_share": taken / most,
            }
        )
        before = left
    return rows


def _reasons(counts: Mapping[str, int], samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Every reason with its count and samples, the commonest first."""
    return [
        {
            "key": name,
            "words": words_of(REASONS, name),
            "count": count,
            "samples": [
                {
                    "where": f"{record.get('source', '?')}:{record.get('line', '?')}",
                    "of": record.get("of"),
                    "text": _as_text(record.get("record")),
                }
                for record in samples.get(name, ())
            ],
        }
        for name, count in by_count({**dict.fromkeys(samples, 0), **counts})
    ]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _conversation(record: Mapping[str, Any]) -> dict[str, Any]:
    """One conversation as bubbles: its first turns, and what is known of it."""
    meta = record.get("meta", {})
    turns = record.get("messages", ())
    known = [str(meta[key]) for key in ("source", "group") if meta.get(key) is not None]
    return {
        "split": record.get("split", meta.get("split")),
        "language": str(meta.get("language", "und")),
        "known": known,
        "augmented": _origin(meta.get("augmented")),
        "tools": [str(tool.get("function", tool).get("name", "?")) for tool in record.get("tools", ())],
        "turns": [_turn(turn) for turn in turns[:_MOST_TURNS]],
        "more": max(0, len(turns) - _MOST_TURNS),
    }


def _origin(augmented: Any) -> str | None:
    if not isinstance(augmented, Mapping):
        return None
    return " ".join(f"{key} {augmented[key]}" for key in ("by", "of") if key in augmented)


def _turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    calls = [call.get("function", call) for call in turn.get("tool_calls", ())]
    return {
        "role": turn["role"],
        "name": turn.get("name"),
        "text": turn.get("content") or "",
        "reasoning": turn.get("reasoning_content"),
        "calls": [(str(call.get("name", "?")), _as_text(call.get("arguments", ""))) for call in calls],
        "context_only": turn.get("train") is False,
    }
