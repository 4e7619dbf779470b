"""The report's charts, as SVG text. Latin text only: their fonts need not know Chinese."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from serin.demo.figures import METRICS

STABLE, CANARY, ABORT, PROMOTE = "#4c6a92", "#d9822b", "#b3261e", "#2e7d4f"
LANGUAGES = {"en": "English", "zh": "Chinese"}
_SECONDS_A_BAR = 5.0

mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "serin",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e6e6e6",
        "axes.axisbelow": True,
        "legend.frameon": False,
    }
)


def loss_curve(log: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Loss by step on what is trained on and on the validation split, from the adapter's ``log.json``."""
    figure, axes = _figure(1, 1, (7.2, 2.6))
    for rows, style, label in ((log["steps"], "-", "training"), (log["validations"], "o--", "validation")):
        color = STABLE if label == "training" else PROMOTE
        axes[0].plot([r["step"] for r in rows], [r["loss"] for r in rows], style, color=color, label=label)
    axes[0].set(xlabel="optimizer step", ylabel="loss (nats a token)", ylim=(0, None))
    axes[0].legend()
    return _svg(figure)


def comparison(rows: Sequence[Mapping[str, Any]]) -> str:
    """Base and tuned means by language, each tuned bar with the paired interval of its gain."""
    figure, axes = _figure(1, len(METRICS), (7.2, 2.8))
    for axis, (metric, title) in zip(axes, METRICS.items(), strict=True):
        gains = [row for row in rows if row["metric"] == metric and row["slice"] in LANGUAGES]
        for place, gain in enumerate(gains):
            below, above = gain["gain"] - gain["ci_low"], gain["ci_high"] - gain["gain"]
            axis.bar(place - 0.2, gain["base"], 0.36, color=STABLE, label="base" if place == 0 else None)
            axis.bar(place + 0.2, gain["tuned"], 0.36, color=CANARY, label="tuned" if place == 0 else None)
            axis.errorbar(place + 0.2, gain["tuned"], [[below], [above]], color="#222222", capsize=3, lw=1.2)
        axis.set_xticks(range(len(gains)), [LANGUAGES[g["slice"]] for g in gains])
        axis.set(title=title, ylim=(0, 1.12))
        axis.yaxis.set_major_formatter(PercentFormatter(1.0) if metric == "right_article" else "{x:.1f}")
        axis.grid(False, axis="x")
    axes[0].legend(loc="upper left", ncols=2)
    return _svg(figure)


def traffic_split(replies: Sequence[Mapping[str, Any]], canary: str, history: Sequence[Mapping[str, Any]]) -> str:
    """Answers of each revision in every five seconds, and the canary's weight as a line."""
    figure, (axis,) = _figure(1, 1, (7.2, 2.4))
    offset = _rollout_began(replies, canary)
    times = [row["sent_s"] - offset for row in replies if row["revision"] is not None]
    last = max(times, default=0.0)
    first = int(min(times, default=0.0) // _SECONDS_A_BAR)
    edges = [_SECONDS_A_BAR * n for n in range(first, int(last // _SECONDS_A_BAR) + 2)]
    seen = {
        name: [r["sent_s"] - offset for r in replies if r["revision"] is not None and (r["revision"] == canary) == mine]
        for name, mine in (("stable", False), ("canary", True))
    }
    axis.hist(list(seen.values()), bins=edges, stacked=True, color=[STABLE, CANARY], label=list(seen))
    axis.set(xlabel="seconds since the canary's first answer", ylabel=f"answers in {_SECONDS_A_BAR:.0f} s")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    share = axis.twinx()
    start = history[0]["elapsed_s"] if history else 0.0
    share.step(
        [row["elapsed_s"] - start for row in history], [row["weight"] for row in history], where="post", color="#222222"
    )
    share.set(ylim=(0, 1.05), ylabel="canary weight")
    share.yaxis.set_major_formatter(PercentFormatter(1.0))
    share.grid(False)
    return _svg(figure)


def evidence(history: Sequence[Mapping[str, Any]]) -> str:
    """Every metric's e-values over time on a log scale, with the thresholds that decide."""
    names = list(history[0]["metrics"]) if history else []
    figure, axes = _figure(1, max(1, len(names)), (7.2, 2.6))
    for axis, name in zip(axes, names, strict=False):
        at = [row["elapsed_s"] for row in history]
        rows = [row["metrics"][name] for row in history]
        for key, limit, color, label in (
            ("e_promote", "promote_at", PROMOTE, "not worse by δ"),
            ("e_abort", "abort_at", ABORT, "worse"),
        ):
            axis.plot(at, [row[key] for row in rows], color=color, label=label)
            axis.axhline(rows[0][limit], color=color, ls=":", lw=1)
        axis.set(yscale="log", xlabel="seconds since the start", title=name)
    if names:
        axes[0].set_ylabel("e-value")
        axes[0].legend(loc="upper left")
    return _svg(figure)


def _rollout_began(replies: Sequence[Mapping[str, Any]], canary: str) -> float:
    return min((float(row["sent_s"]) for row in replies if row["revision"] == canary), default=0.0)


def _figure(rows: int, columns: int, size_in: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=size_in, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
