"""What ``prepare`` made of a corpus, read from its output, and how much of it is right, fault by fault."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .planted import COPIED_FROM, MENDED, REJECTED, Corpus, Planted
from .private import PRIVATE
from .records import Record
from .shapes import FILES

SPLITS = ("train", "validation", "test", "control")
_KEY = re.compile(r"\bref[bcdfghjkmnpqrstvwxyz]{9}\b")
_PLACEHOLDER = re.compile(r"\[(" + "|".join(dict.fromkeys(type_ for type_, _ in PRIVATE.values())) + r")\]")
_LAYOUT = re.compile(r"\s+")
_BLANK = re.compile("[ \t\r\n\u00a0\u3000]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Kept records (with their split under ``split``) and rejections by key, the lines they were read from, and the report.

    ``strays`` are lines of the output that name no key, more than one, or one that was seen before.
    """

    kept: Mapping[str, dict[str, Any]]
    rejected: Mapping[str, dict[str, Any]]
    lines: Mapping[str, str]
    report: Mapping[str, Any]
    strays: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> "Outcome":
        """Read a dataset folder."""
        kept: dict[str, dict[str, Any]] = {}
        rejected: dict[str, dict[str, Any]] = {}
        lines: dict[str, str] = {}
        strays = []
        for name in (*SPLITS, "rejected"):
            for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
                keys = set(_KEY.findall(line))
                if len(keys) != 1 or keys & lines.keys():
                    strays.append(f"{name}.jsonl: {line}")
                    continue
                (key,) = keys
                lines[key] = line
                if name == "rejected":
                    rejected[key] = json.loads(line)
                else:
                    kept[key] = json.loads(line) | {"split": name}
        report = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
        return cls(kept, rejected, lines, report, tuple(strays))


@dataclass(frozen=True, slots=True)
class Score:
    """For one fault: how many records have it, how many of them came out right, which were treated for it without having it."""

    fault: str
    planted: int
    missed: tuple[str, ...]
    treated: int
    wrongly: tuple[str, ...]

    @property
    def recall(self) -> float:
        """Of those planted, the share that came out right."""
        return 1 - len(self.missed) / self.planted

    @property
    def precision(self) -> float:
        """Of those treated, the share that was planted."""
        return 1 - len(self.wrongly) / max(1, self.treated)


def messages_of(record: Record) -> list[dict[str, Any]]:
    """The turns as ``prepare`` writes them."""
    messages = []
    for turn in record.turns:
        message: dict[str, Any] = {"role": turn.role, "content": turn.content}
        if turn.reasoning is not None:
            message["reasoning_content"] = turn.reasoning
        if turn.calls:
            message["tool_calls"] = [
                {"id": f"call-{n}", "type": "function", "function": {"name": name, "arguments": dict(given)}}
                for n, (name, given) in enumerate(turn.calls, 1)
            ]
        if turn.answers is not None:
            message["tool_call_id"] = turn.answers
        if not turn.train:
            message["train"] = False
        messages.append(message)
    return messages


def score(corpus: Corpus, outcome: Outcome, places: Mapping[str, str]) -> Iterator[Score]:
    """The score of each fault."""
    planted = {one.key: one for one in corpus}
    for fault in REJECTED:
        yield _of_rejection(fault, planted, outcome, places)
    for fault in MENDED:
        yield _of_mending(fault, planted, outcome)
    for fault in PRIVATE:
        yield _of_redaction(fault, planted, outcome)


def comes_out(one: Planted, outcome: Outcome) -> bool:
    """Whether a record was kept with the turns that it should have; after markup was taken out, lines may break elsewhere."""
    kept = outcome.kept.get(one.key)
    wanted = messages_of(one.clean)
    if kept is None or one.name != "marked_up":
        return kept is not None and kept["messages"] == wanted
    return _without_layout(kept["messages"]) == _without_layout(wanted)


def _without_layout(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**message, "content": _LAYOUT.sub(" ", message["content"])} for message in messages]


def _of_rejection(fault: str, planted: Mapping[str, Planted], outcome: Outcome, places: Mapping[str, str]) -> Score:
    having = [one for one in planted.values() if one.fault == fault]
    right = {key for one in having if (key := _rejected_for(one, outcome, places)) is not None}
    missed = [one.key for one in having if not right & {one.key, one.like}]
    treated = {
        key for key, row in outcome.rejected.items() if row["reason"] in REJECTED[fault] and _concerns(row, fault)
    }
    family = {other for other in REJECTED if REJECTED[other] == REJECTED[fault]}
    excused = {key for one in planted.values() if one.fault in family for key in (one.key, one.like)}
    return Score(fault, len(having), tuple(missed), len(treated), tuple(treated - excused))


def _concerns(row: Mapping[str, Any], fault: str) -> bool:
    """A copy of a test record is a leak, whatever its reason is called."""
    if fault not in ("exact_copy", "near_copy", "leak"):
        return True
    leaks = str(row.get("of", "")).startswith(FILES["test"])
    return leaks == (fault == "leak") and (fault == "leak" or row["reason"].startswith(fault.split("_")[0]))


def _rejected_for(one: Planted, outcome: Outcome, places: Mapping[str, str]) -> str | None:
    """The key that was rejected for a fault: the record's own, or of two that are alike the one that was read later."""
    pairs = (
        [(one.key, one.like)]
        if one.name in COPIED_FROM or one.like is None
        else [(one.key, one.like), (one.like, one.key)]
    )
    for key, other in pairs:
        row = outcome.rejected.get(key)
        if (
            row is not None
            and row["reason"] in REJECTED[str(one.name)]
            and (other is None or row["of"] == places[other])
        ):
            return key
    return None


def _of_mending(fault: str, planted: Mapping[str, Planted], outcome: Outcome) -> Score:
    having = [one for one in planted.values() if one.fault == fault]
    missed = [one.key for one in having if not comes_out(one, outcome)]
    treated = [
        key for key, record in outcome.kept.items() if _change(planted[key], record["messages"]) == MENDED[fault]
    ]
    wrongly = [key for key in treated if planted[key].fault not in (fault, "exact_copy", "near_copy")]
    return Score(fault, len(having), tuple(missed), len(treated), tuple(wrongly))


def _change(one: Planted, messages: list[dict[str, Any]]) -> str | None:
    """What was mended in a record, told from its text before and after; personal data left out of account."""
    for before, after in zip(messages_of(one.written), messages, strict=True):
        for name in ("content", "reasoning_content"):
            old, new = before.get(name) or "", after.get(name) or ""
            if old == new or _PLACEHOLDER.search(new):
                continue
            if _BLANK.sub("", old) == _BLANK.sub("", new):
                return "white_space"
            if unicodedata.normalize("NFC", old) == new:
                return "normalisation"
            if _visible(old) == _visible(new):
                return "invisible"
            return "markup" if re.search(r"<\w|&\w+;", old) else "encoding"
    return None


def _visible(text: str) -> str:
    return "".join(char for char in _BLANK.sub("", text) if unicodedata.category(char)[0] != "C")


def _of_redaction(fault: str, planted: Mapping[str, Planted], outcome: Outcome) -> Score:
    type_ = PRIVATE[fault][0]
    having = [one for one in planted.values() if one.fault == fault]
    missed = [
        one.key for one in having if not comes_out(one, outcome) or one.values[0] in outcome.lines.get(one.key, "")
    ]
    treated = [key for key, record in outcome.kept.items() if f"[{type_}]" in json.dumps(record["messages"])]
    wrongly = [key for key in treated if planted[key].type != type_]
    return Score(fault, len(having), tuple(missed), len(treated), tuple(wrongly))
