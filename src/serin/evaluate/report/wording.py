"""What the page calls metrics, sets of questions, slices and models, and how it writes their figures."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serin.core.languages import language_name

Unit = Literal["share", "score", "count", "change"]
"""``share``: in [0, 1], told as a percentage; ``change``: means as they are, gains as relative changes."""

MINUS, SPACE, INFINITY = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}", "\N{INFINITY}"


@dataclass(frozen=True, slots=True)
class Words:
    """A short name, and a sentence that says what is meant."""

    name: str
    meaning: str
    unit: Unit = "score"


METRICS: Mapping[str, Words] = {
    "token_f1": Words("token F1", "Words that answer and reference share, from 0 (none) to 1 (the same words)."),
    "exact_match": Words("exact match", "Share of answers that are the reference word for word.", "share"),
    "right_article": Words(
        "right article", "Share of answers that cite the article that the reference cites.", "share"
    ),
    "bertscore": Words("BERTScore", "Likeness of meaning to the reference by an encoder, at most 1."),
    "chrf": Words("chrF", "Runs of up to six characters that answer and reference share, from 0 to 1."),
    "rouge_l": Words("ROUGE-L", "The longest sequence of words that answer and reference share, from 0 to 1."),
    "rouge_1": Words("ROUGE-1", "Single words that answer and reference share, from 0 to 1."),
    "rouge_2": Words("ROUGE-2", "Pairs of words that answer and reference share, from 0 to 1."),
    "preference": Words(
        "preferred by the judge",
        "How often a judge prefers the candidate's answer, less how often the other one's; ties are neither.",
        "share",
    ),
    "unsafe": Words("unsafe", "Share of answers that word lists, a classifier or a judge call unsafe.", "share"),
    "complied": Words("complied", "Share of harmful requests that were neither refused nor evaded.", "share"),
    "refused": Words("refused", "Share of answers that decline to help.", "share"),
    "perplexity": Words("perplexity", "How little the model expects the reference: 1 is certainty.", "change"),
    "stopped": Words("stopped by itself", "Share of answers that ended before the longest length.", "share"),
    "answer_tokens": Words("answer length", "Tokens of an answer.", "count"),
    "answer_characters": Words("answer length in characters", "Characters of an answer.", "count"),
    "length_ratio": Words("length ratio", "Characters of the answer for each of the reference."),
}
"""In the order in which they are shown."""

PAIRWISE = frozenset({"preference"})
"""Metrics of two models together: one model alone has no mean of them."""

SETS: Mapping[str, Words] = {
    "test": Words("test questions", "held out from training: the task itself"),
    "general": Words("general questions", "what a model knew before: a loss here is forgetting"),
    "red_team": Words("red-team questions", "harmful requests, which should be refused, and harmless ones like them"),
    "control": Words("control questions", "about facts that nothing was trained on: a gain in facts here is a leak"),
}
"""Sets of questions, in the order in which they are shown."""

MODELS: Mapping[str, Words] = {
    "base": Words("base", "before fine-tuning"),
    "production": Words("production", "what users get today"),
    "candidate": Words("candidate", "what is judged here"),
}
"""Models, in the order in which they are shown."""

_SLICES: Mapping[str, str] = {
    "all": "all questions",
    "length=short": "short questions",
    "length=medium": "medium questions",
    "length=long": "long questions",
    "expect=answer": "harmless look-alikes",
    "expect=refuse": "harmful requests",
}


_DIGEST = re.compile(r"@([0-9a-f]{12})[0-9a-f]{52}$")


def words_of(table: Mapping[str, Words], key: str) -> Words:
    """The words for ``key``; its own name, and no meaning, where the table does not know it."""
    return table.get(key) or Words(key.replace("_", " "), "")


def in_order(table: Mapping[str, Words], keys: Iterable[str]) -> list[str]:
    """Keys in the order of the table, and those that it does not know after them by name."""
    given = set(keys)
    return [key for key in table if key in given] + sorted(given - table.keys())


def slice_name(part: str) -> str:
    """``language=zh`` as *Chinese*, ``topic=wages`` as *topic wages*."""
    field, _, value = part.partition("=")
    if part in _SLICES or not value:
        return _SLICES.get(part, part)
    return language_name(value) if field == "language" else f"{field} {value}"


def revision_name(revision: str) -> str:
    """``name@digest`` with the first twelve characters of its digest; anything else as it is."""
    return _DIGEST.sub(r"@\1", revision)


@dataclass(frozen=True, slots=True)
class Scale:
    """How the figures of one metric are written: its unit, and how many decimals its size deserves."""

    unit: Unit
    decimals: int

    @property
    def gain_unit(self) -> str:
        """What a gain is told in, behind a number; empty where that is the metric itself."""
        return {"share": f"{SPACE}points", "change": f"{SPACE}%"}.get(self.unit, "")

    def mean(self, value: float | None) -> str:
        """A mean with its unit, or a dash."""
        if value is None:
            return "–"
        return f"{_fixed(100 * value, 1)}{SPACE}%" if self.unit == "share" else _fixed(value, self.decimals)

    def gain(self, value: float | None, unit: bool = False) -> str:
        """A gain with its sign; a share's in percentage points, a relative change in percent."""
        return "–" if value is None else self._gain(value, sign=True) + (self.gain_unit if unit else "")

    def size(self, value: float | None) -> str:
        """How far apart two means or two gains are, without a sign; of percentages in points."""
        if value is None:
            return "–"
        return self._gain(abs(value), sign=False) + (self.gain_unit and f"{SPACE}points")

    def _gain(self, value: float, sign: bool) -> str:
        in_percent = self.unit in ("share", "change")
        return _fixed(100 * value if in_percent else value, 1 if in_percent else self.decimals, sign)


def scale_of(metric: str, means: Iterable[float]) -> Scale:
    """Three decimals for scores up to 1, fewer the larger a metric's means are."""
    largest = max((abs(mean) for mean in means if math.isfinite(mean)), default=0.0)
    decimals = 3 if largest <= 2 else 2 if largest < 20 else 1
    return Scale(words_of(METRICS, metric).unit, decimals)


def p_value(p: float) -> str:
    """A p-value to three decimals, never rounded to 0."""
    return "< 0.001".replace(" ", SPACE) if p < 0.001 else f"{p:.3f}"


def share(part: float, whole: float) -> str:
    """``part`` of ``whole`` as a percentage, never rounded to none or to all of it; a dash where there is no whole."""
    if not whole:
        return "–"
    value = part / whole
    if 0 < value < 0.001:
        return f"<{SPACE}0.1{SPACE}%"
    if 0.999 < value < 1:
        return f">{SPACE}99.9{SPACE}%"
    return f"{100 * value:.1f}{SPACE}%"


def number(value: Any) -> str:
    """A whole number with commas between the thousands."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def percent(level: float) -> str:
    """0.95 as *95 %*, 0.999 as *99.9 %*."""
    return f"{100 * level:.6g}{SPACE}%"


def _fixed(value: float, decimals: int, sign: bool = False) -> str:
    if math.isnan(value):
        return "–"
    text = INFINITY if math.isinf(value) else f"{abs(value):,.{decimals}f}"
    is_zero = not text.strip("0.,")
    if is_zero:
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text
