"""The last pass: each record goes to its split or to ``rejected.jsonl``, in reading order; a few are kept for the report."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from serin.core.personal_data import TYPES
from serin.prepare.collect import Tally
from serin.prepare.decide import REASONS, Decisions
from serin.prepare.duplicates.near import NONE
from serin.prepare.quality import place_of
from serin.prepare.report.page import Samples
from serin.prepare.split import SPLITS
from serin.prepare.spool import Spool

_KEPT_SAMPLES = 8
_SAMPLES_A_REASON = 3
_SAMPLES_A_TYPE = 2
_PLACEHOLDER = re.compile(rf"\[({'|'.join(TYPES)})\]")
_AROUND_CHARS = 60
_Place = tuple[int, int]


def write_records(folder: Path, spool: Spool, tally: Tally, decisions: Decisions, rejections: Path) -> Samples:
    """Write every split and ``rejected.jsonl`` to ``folder``; returns what the report shows of them."""
    chooser = _Chooser(spool, tally, decisions)
    with ExitStack() as files:
        kept = [files.enter_context((folder / f"{split}.jsonl").open("wb")) for split in SPLITS]
        rejected = files.enter_context((folder / "rejected.jsonl").open("wb"))
        _sort(spool, tally, decisions, rejections, chooser, kept, rejected)
    return chooser.samples(tally)


def choose_samples(spool: Spool, tally: Tally, decisions: Decisions, rejections: Path) -> Samples:
    """What the report shows, where nothing is written."""
    chooser = _Chooser(spool, tally, decisions)
    _sort(spool, tally, decisions, rejections, chooser, None, None)
    return chooser.samples(tally)


def _sort(
    spool: Spool,
    tally: Tally,
    decisions: Decisions,
    rejections: Path,
    chooser: "_Chooser",
    kept: Sequence[IO[bytes]] | None,
    rejected: IO[bytes] | None,
) -> None:
    def reject(line: bytes) -> None:
        chooser.see_rejected(line)
        if rejected is not None:
            rejected.write(line)

    earlier = _Rejections(rejections)
    columns = zip(
        spool.all_lines(),
        decisions.reason.tolist(),
        decisions.root.tolist(),
        decisions.is_benchmark.tolist(),
        spool.column("split").tolist(),
        spool.column("file").tolist(),
        spool.column("place").tolist(),
        strict=True,
    )
    for number, (line, reason, root, is_benchmark, split, file, place) in enumerate(columns):
        for before in earlier.up_to((file, place)):
            reject(before)
        if is_benchmark:
            continue
        if reason == 0:
            chooser.see_kept(number, line, split)
            if kept is not None:
                kept[split].write(line)
        else:
            reject(_rejection(tally.files[file].name, place, reason, root, line, tally, spool))
    for before in earlier.up_to(None):
        reject(before)


def _rejection(name: str, place: int, reason: int, root: int, line: bytes, tally: Tally, spool: Spool) -> bytes:
    of = {"of": place_of(tally, spool, root)} if root != NONE else {}
    record = {"source": name, "line": place, "reason": REASONS[reason], **of, "record": orjson.loads(line)}
    return orjson.dumps(record) + b"\n"


class _Rejections:
    """The rejections of the first pass, each with its place, in reading order."""

    def __init__(self, path: Path) -> None:
        self._lines = _read(path)
        self._next = next(self._lines, None)

    def up_to(self, place: _Place | None) -> Iterator[bytes]:
        """Those that come before a place, or all that are left."""
        while self._next is not None and (place is None or self._next[0] < place):
            yield self._next[1]
            self._next = next(self._lines, None)


def _read(path: Path) -> Iterator[tuple[_Place, bytes]]:
    with path.open("rb") as file:
        for line in file:
            number, place, record = line.split(b" ", 2)
            yield (int(number), int(place)), record


class _Chooser:
    """Chooses what the report shows: kept records by their hash, so at random but always the same; the first of the rest."""

    def __init__(self, spool: Spool, tally: Tally, decisions: Decisions) -> None:
        numbers = np.flatnonzero(decisions.kept)
        order = np.argsort(spool.exact_keys[numbers, 0], kind="stable")[:_KEPT_SAMPLES]
        self._wanted = set(numbers[order].tolist())
        self._kept: list[dict[str, Any]] = []
        self._rejected: dict[str, list[Any]] = defaultdict(list)
        self._personal: dict[str, list[str]] = defaultdict(list)
        self._lacking = {type_ for type_ in TYPES if tally.counts.found[type_]}

    def see_kept(self, number: int, line: bytes, split: int) -> None:
        if number in self._wanted:
            self._kept.append({**orjson.loads(line), "split": SPLITS[split]})
        if any(b"[%s]" % type_.encode() in line for type_ in self._lacking):
            for turn in orjson.loads(line)["messages"]:
                for found in _PLACEHOLDER.finditer(turn["content"]):
                    self._see_personal(found, turn["content"])

    def _see_personal(self, found: re.Match[str], text: str) -> None:
        samples = self._personal[found.group(1)]
        if len(samples) < _SAMPLES_A_TYPE:
            samples.append(text[max(0, found.start() - _AROUND_CHARS) : found.end() + _AROUND_CHARS])
        else:
            self._lacking.discard(found.group(1))

    def see_rejected(self, line: bytes) -> None:
        record = orjson.loads(line)
        samples = self._rejected[record["reason"]]
        if len(samples) < _SAMPLES_A_REASON:
            samples.append(record)

    def samples(self, tally: Tally) -> Samples:
        """Everything that was chosen."""
        return Samples(
            kept=self._kept,
            rejected=self._rejected,
            mended=[(kind, *pair) for kind, pairs in sorted(tally.mended_samples.items()) for pair in pairs],
            personal_data=[(type_, text) for type_, texts in sorted(self._personal.items()) for text in texts],
        )
