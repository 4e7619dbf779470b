"""The stage ``prepare``: raw files to clean, deduplicated, split conversations."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serin.clients.files import output_folder, seal, write_json, write_jsonl
from serin.core.conversation import Conversation, Message
from serin.core.digest import digest_of
from serin.core.errors import ConfigError
from serin.core.manifest import Manifest
from serin.core.params import PrepareParams
from serin.prepare.clean import language_of, turns_of
from serin.prepare.duplicates import SeenQuestions, normalised
from serin.prepare.personal_data import redact, redact_value
from serin.prepare.quality import quality
from serin.prepare.read import Parsed, RawRecord, find_files, format_of, parse, read_file
from serin.prepare.split import SPLITS, Split, split_of
from serin.prepare.tokens import TokenCounter

Progress = Callable[[int, int, str], None]
"""Hears (files read, files, what was found)."""


def run(params: PrepareParams, base: Path, base_digest: str, out: Path, progress: Progress) -> Manifest:
    """Read, clean and split, and write one ``.jsonl`` a split, ``rejected.jsonl`` and ``quality.json`` to ``out``.

    Raises:
        InputError: a source that names nothing or cannot be read.
        ConfigError: nothing is left to train on.
    """
    sorter = Sorter(params, TokenCounter(base))
    paths = find_files(params.sources)
    for number, path in enumerate(paths, 1):
        sorter.take_in(path)
        progress(number, len(paths), f"{sorter.kept_count} kept, {len(sorter.rejected)} rejected")
    if not sorter.splits["train"]:
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(r["reason"] for r in sorter.rejected).items())
        raise ConfigError(
            f"no record is left to train on ({sorter.kept_count} kept; rejected: {reasons or 'none'}): check "
            "prepare.sources, prepare.max_tokens and prepare.split"
        )
    report = quality(sorter.files, sorter.splits, sorter.rejected, sorter.personal_data, sorter.tokens)
    with output_folder(out) as folder:
        for split in SPLITS:
            write_jsonl(folder / f"{split}.jsonl", [c.as_dict() for c in sorter.splits[split]])
        write_jsonl(folder / "rejected.jsonl", sorter.rejected)
        write_json(folder / "quality.json", report)
        counts = {split: len(sorter.splits[split]) for split in SPLITS}
        return seal(
            folder,
            kind="dataset",
            inputs={"base": base_digest},
            params=params.model_dump(),
            metrics={"records": counts},
        )


class Sorter:
    """Keeps or rejects one record after another; the first of its kind stays."""

    def __init__(self, params: PrepareParams, counter: TokenCounter) -> None:
        self.params = params
        self.counter = counter
        self.seen = SeenQuestions(params.near_duplicates)
        self.splits: dict[Split, list[Conversation]] = {split: [] for split in SPLITS}
        self.rejected: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []
        self.personal_data: Counter[str] = Counter()
        self.tokens: dict[str, int] = {}

    @property
    def kept_count(self) -> int:
        """Records kept so far."""
        return len(self.tokens)

    def take_in(self, path: Path) -> None:
        """Sort every record of a file, whose format is that of its first record that has one."""
        kept_before, read, kind = self.kept_count, 0, None
        for raw in read_file(path):
            read += 1
            kind = kind or format_of(raw.value)
            reason, of = self._sort(raw, kind)
            if reason is not None:
                rejection = {"source": raw.source, "line": raw.line, "reason": reason, "of": of}
                shown = {"record": redact_value(raw.value)}
                self.rejected.append({k: v for k, v in rejection.items() if v is not None} | shown)
        self.files.append({"source": path.name, "format": kind, "read": read, "kept": self.kept_count - kept_before})

    def _sort(self, raw: RawRecord, kind: str | None) -> tuple[str | None, str | None]:
        """Keep a record, or say why not and, for a duplicate, of which record it is one."""
        if raw.fault is not None:
            return raw.fault, None
        parsed = parse(raw.value, kind) if kind else None
        if parsed is None:
            return "unknown_format", None
        turns = turns_of(parsed.turns)
        if isinstance(turns, str):
            return turns, None
        turns, found = self._without_personal_data(turns)
        if found and self.params.personal_data == "drop":
            self.personal_data += found
            return "personal_data", None
        conversation = self._conversation(raw, parsed, turns)
        length = self.counter.count(turns)
        if length > self.params.max_tokens:
            return "too_long", None
        earlier = self.seen.add(f"{raw.source}:{raw.line}", conversation.user_text)
        if earlier is not None:
            return earlier
        self.personal_data += found
        self.tokens[conversation.id] = length
        group = conversation.meta.get("group")
        self.splits[split_of(normalised(conversation.user_text), group, self.params.split)].append(conversation)
        return None, None

    def _without_personal_data(self, turns: tuple[Message, ...]) -> tuple[tuple[Message, ...], Counter[str]]:
        found: Counter[str] = Counter()
        redacted = []
        for message in turns:
            text, kinds = redact(message.content)
            found += kinds
            redacted.append(Message(message.role, text))
        return turns if self.params.personal_data == "report" else tuple(redacted), found

    def _conversation(self, raw: RawRecord, parsed: Parsed, turns: tuple[Message, ...]) -> Conversation:
        """The record with what is known of it; its id is the digest of its turns, so that it is the same in any file."""
        given = {str(k): redact_value(v) for k, v in parsed.meta.items()}
        text = "\n".join(message.content for message in turns)
        meta = {
            **given,
            "id": digest_of([m.as_dict() for m in turns])[:16],
            "source": f"{raw.source}:{raw.line}",
            "language": language_of(text, parsed.meta.get("language")),
        }
        group = given.get(self.params.split.group)
        if group is not None:
            meta["group"] = str(group)
        return Conversation(turns, meta)
