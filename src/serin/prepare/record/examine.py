"""One chunk of raw records, judged by everything that can be said of a record by itself. Runs in any process.

What needs other records (duplicates, leakage, mixing) comes later, over what is kept here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import orjson

from serin.core.cleaning import clean_text, clean_value
from serin.core.conversation import Conversation, Message, faults_of_turns
from serin.core.params import PrepareParams, SourceParams
from serin.core.params.preparation import Format
from serin.core.personal_data import PersonalDataFinder
from serin.prepare.raw.formats import format_of, parse, question_of
from serin.prepare.raw.read import RawRecord, decoded
from serin.prepare.record.language import UNDETERMINED, LanguageDetector
from serin.prepare.record.minhash import MinHasher, Sketches
from serin.prepare.record.sensitive import load_lists
from serin.prepare.record.shingles import normalised, numbers_in
from serin.prepare.record.tokens import TokenCounter
from serin.prepare.record.turns import clean_turns
from serin.prepare.split import SPLITS, split_of

BENCHMARK = len(SPLITS)
"""The split number of a record that is only compared with, never written."""
NOT_MEASURED = -1
"""The length in tokens where there is no tokenizer."""
_EXCERPT_CHARS = 400
STEPS = ("readable", "turns", "personal_data", "sensitive_words", "language", "length")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of one file. ``kind`` is the file's format, None where no record so far had one."""

    file: int
    name: str
    source: SourceParams
    kind: Format | None
    records: tuple[RawRecord, ...]
    is_benchmark: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record that is not kept: where it stood, why not, and as much of it as may be shown."""

    place: int
    reason: str
    record: Any


@dataclass(slots=True)
class Counts:
    """How many records got past each step, were mended, and held listed words or personal data, by name.

    ``found`` counts pieces of personal data, ``found_in`` the records that hold them.
    """

    left: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    found_in: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        """Add what was counted elsewhere; a name that was not found stays, at zero."""
        for part in fields(self):
            getattr(self, part.name).update(getattr(other, part.name))


@dataclass(slots=True)
class Examined:
    """A chunk's kept records in columns, its rejections, and what was counted on the way."""

    file: int
    read: int
    lines: list[bytes] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    exact: bytearray = field(default_factory=bytearray)
    sketches: Sketches | None = None
    sensitive: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    mended_samples: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Candidate:
    """A record on its way through a chunk."""

    place: int
    conversation: Conversation
    rendered: str = ""
    tokens: int = NOT_MEASURED
    has_sensitive_words: bool = False


class Examiner:
    """Holds what examining needs: a tokenizer (or none), a language detector, word lists, hash functions."""

    def __init__(self, params: PrepareParams, base: Path | None) -> None:
        self.params = params
        self.base = base
        self._counter = TokenCounter(base) if base is not None else None
        self._languages = LanguageDetector(params.languages.detect)
        self._keep = None if params.languages.keep is None else {*params.languages.keep, UNDETERMINED}
        self._personal_data = PersonalDataFinder(params.personal_data)
        self._to_show = PersonalDataFinder(params.personal_data, also_redact=("drop",))
        self._given_splits = {source.split for source in params.sources}
        self._words = load_lists(params.sensitive_words)
        self._hasher = MinHasher(params.near_duplicates.threshold, params.near_duplicates.permutations)

    @property
    def bands(self) -> int:
        """How many LSH bands a sketch has."""
        return self._hasher.bands

    @property
    def word_lists(self) -> list[str]:
        """The names of the lists of sensitive words."""
        return self._words.names

    def examine(self, chunk: Chunk) -> Examined:
        """Judge every record of a chunk by itself, in order."""
        out = Examined(chunk.file, len(chunk.records))
        candidates = []
        for raw in chunk.records:
            read = decoded(raw)
            judged = self._as_benchmark(read, chunk) if chunk.is_benchmark else self._judge(read, chunk, out)
            if isinstance(judged, str):
                out.rejected.append(Rejection(raw.line, judged, self._shown(read.value, raw.value)))
            else:
                candidates.append(judged)
        if not chunk.is_benchmark:
            candidates = self._within_length(candidates, out)
        self._write_columns(candidates, chunk, out)
        return out

    def _as_benchmark(self, raw: RawRecord, chunk: Chunk) -> _Candidate | str:
        """What a benchmark asks: it is only compared with, so that nothing but being unreadable keeps a record out."""
        text = None if raw.fault is not None else question_of(raw.value, chunk.source)
        cleaned = "" if text is None else clean_text(text, self.params.markup)[0]
        if not cleaned:
            return raw.fault or "unknown_format"
        asked = Message("user", self._personal_data.find(cleaned)[0])
        meta = {"id": _id_of([asked]), "source": f"{chunk.name}:{raw.line}"}
        return _Candidate(raw.line, Conversation((asked,), meta))

    def _judge(self, raw: RawRecord, chunk: Chunk, out: Examined) -> _Candidate | str:
        """The record as a candidate, or the reason why it is none."""
        if raw.fault is not None:
            return raw.fault
        parsed = parse(raw.value, chunk.source, chunk.kind) if chunk.kind else None
        if parsed is None:
            return "mixed_format" if format_of(raw.value) not in (None, chunk.kind) else "unknown_format"
        out.counts.left["readable"] += 1
        cleaned = clean_turns(parsed.turns, self.params.markup)
        if isinstance(cleaned, str):
            return cleaned
        messages, mended = cleaned
        out.counts.left["turns"] += 1
        out.counts.mended.update(mended)
        text = _text_of(messages)
        if mended and not mended <= out.mended_samples.keys():
            self._take_samples(mended, "\n".join(turn.content for turn in parsed.turns), text, out)
        messages, found = self._without_personal_data(messages, text)
        given = self._without_personal_data_in_meta(parsed.meta, found)
        tools = tuple(self._personal_data.redact_value(tool, found) for tool in parsed.tools)
        if found:
            text = _text_of(messages)
            out.counts.found += found
            out.counts.found_in.update(found.keys())
            if any(self._personal_data.actions[type_] == "drop" for type_ in found):
                return "personal_data"
        out.counts.left["personal_data"] += 1
        lists = self._words.find(text)
        out.counts.words.update(lists)
        asks_judge = bool(lists) and self.params.sensitive_words.judge
        if lists and self.params.sensitive_words.action == "drop" and not asks_judge:
            return "sensitive_words"
        out.counts.left["sensitive_words"] += 1
        language = self._languages.detect(text, parsed.meta.get("language"))
        if self._keep is not None and language not in self._keep:
            return "language"
        out.counts.left["language"] += 1
        meta = self._meta(parsed.meta, given, messages, f"{chunk.name}:{raw.line}", language)
        return _Candidate(raw.line, Conversation(messages, meta, tools), has_sensitive_words=asks_judge)

    def _take_samples(self, mended: frozenset[str], before: str, after: str, out: Examined) -> None:
        """Keep a text before and after mending for the report, where neither holds personal data."""
        if not self._personal_data.find(before)[1] and not self._personal_data.find(after)[1]:
            for kind in mended - out.mended_samples.keys():
                out.mended_samples[kind] = (before, after)

    def _without_personal_data(
        self, messages: tuple[Message, ...], text: str
    ) -> tuple[tuple[Message, ...], Counter[str]]:
        """The turns redacted, and what was found; ``text`` is all of them, and where it holds nothing they do not."""
        found: Counter[str] = Counter()
        is_plain = all(m.reasoning_content is m.tool_call_id is m.name is None and not m.tool_calls for m in messages)
        if is_plain and not self._personal_data.find(text)[1]:
            return messages, found
        redacted = []
        for message in messages:
            texts = {name: getattr(message, name) for name in ("content", "reasoning_content", "tool_call_id", "name")}
            calls = tuple(self._personal_data.redact_value(call, found) for call in message.tool_calls)
            redacted.append(replace(message, **self._personal_data.redact_value(texts, found), tool_calls=calls))
        return tuple(redacted), found

    def _without_personal_data_in_meta(self, given: dict[str, Any], found: Counter[str]) -> dict[str, Any]:
        """What stands beside the turns, redacted; Serin's own ``augmented`` and ``id`` are names that it made itself."""
        own = {name: given[name] for name in ("augmented", "id") if name in given and "augmented" in given}
        return {**self._personal_data.redact_value({k: v for k, v in given.items() if k not in own}, found), **own}

    def _meta(
        self, raw: dict[str, Any], given: dict[str, Any], messages: Sequence[Message], source: str, language: str
    ) -> dict[str, Any]:
        """What is known of a record; its id is the digest of its turns, so that it is the same in any file.

        A group keeps its records together also where its name had to be redacted.
        """
        own_id = _id_of(messages)
        name = self.params.split.group if self.params.split.group in given else "group"
        group = given.get(name)
        if group is not None and group != raw[name]:
            group = f"{group}-{sha256(str(raw[name]).encode()).hexdigest()[:12]}"
        return {
            **given,
            **({"source_id": given["id"]} if given.get("id", own_id) != own_id else {}),
            "id": own_id,
            "source": source,
            "language": language,
            **({"group": str(group)} if group is not None else {}),
        }

    def _within_length(self, candidates: list[_Candidate], out: Examined) -> list[_Candidate]:
        if self._counter is None:
            out.counts.left["length"] += len(candidates)
            return candidates
        fitting = []
        for candidate in candidates:
            rendered = self._counter.render(candidate.conversation)
            if rendered is None:
                out.rejected.append(Rejection(candidate.place, "template_refuses", candidate.conversation.as_dict()))
            else:
                candidate.rendered = rendered
                fitting.append(candidate)
        for candidate, tokens in zip(fitting, self._counter.count([c.rendered for c in fitting]), strict=True):
            candidate.tokens = tokens
        kept = [c for c in fitting if c.tokens <= self.params.max_tokens or self._shortened(c, out)]
        kept_places = {c.place for c in kept}
        for candidate in fitting:
            if candidate.place not in kept_places:
                out.rejected.append(Rejection(candidate.place, "too_long", candidate.conversation.as_dict()))
        out.rejected.sort(key=lambda rejection: rejection.place)
        out.counts.left["length"] += len(kept)
        return kept

    def _shortened(self, candidate: _Candidate, out: Examined) -> bool:
        """Whether whole exchanges could be taken off the end until the conversation fits; changes it if so."""
        if self.params.too_long != "truncate" or self._counter is None:
            return False
        whole = candidate.conversation
        asked = [i for i, message in enumerate(whole.messages) if message.role == "user"]
        for end in reversed(asked[1:]):
            messages = whole.messages[:end]
            meta = {**whole.meta, "id": _id_of(messages), "truncated": True}
            shorter = Conversation(messages, meta, whole.tools)
            rendered = self._counter.render(shorter)
            if rendered is None or faults_of_turns(messages) is not None:
                continue
            if (tokens := self._counter.count([rendered])[0]) <= self.params.max_tokens:
                candidate.conversation, candidate.tokens = shorter, tokens
                out.counts.mended["truncated"] += 1
                return True
        return False

    def _write_columns(self, candidates: Sequence[_Candidate], chunk: Chunk, out: Examined) -> None:
        on = self.params.near_duplicates.on
        texts = []
        for candidate in candidates:
            conversation = candidate.conversation
            asked = normalised(conversation.user_text)
            text = asked if on == "user" else normalised(conversation.text(on))
            meta = conversation.meta
            group = meta.get("group")
            texts.append(text)
            out.lines.append(orjson.dumps(conversation.as_dict()) + b"\n")
            out.languages.append(conversation.language)
            out.places.append(candidate.place)
            out.tokens.append(candidate.tokens)
            out.groups.append(0 if group is None else _hash(group))
            out.numbers.append(_hash("\0".join(numbers_in(text))))
            out.exact += blake2b(text.encode(), digest_size=16).digest()
            out.splits.append(
                BENCHMARK if chunk.is_benchmark else self._split(asked, group, "augmented" in meta, chunk.source)
            )
            if candidate.has_sensitive_words:
                out.sensitive.append(len(texts) - 1)
        out.sketches = self._hasher.sketch(texts) if texts else None

    def _split(self, asked: str, group: str | None, is_augmented: bool, source: SourceParams) -> int:
        drawn = split_of(asked, group, self.params.split)
        if drawn == "control" and group is not None and source.split != "test":
            return SPLITS.index(drawn)
        if is_augmented or (source.split is None and drawn in self._given_splits):
            return SPLITS.index("train")
        return SPLITS.index(source.split or drawn)

    def _shown(self, value: Any, raw: Any) -> Any:
        """As much of a value as may be shown: cleaned, so that nothing hides in it, and without personal data."""
        try:
            plain = orjson.loads(orjson.dumps({"": [value]}, default=str, option=orjson.OPT_NON_STR_KEYS))[""][0]
        except (orjson.JSONEncodeError, RecursionError):  # nested deeper than JSON is written
            plain = raw[:_EXCERPT_CHARS].decode("utf-8", errors="replace") if isinstance(raw, bytes) else "…"
        return self._to_show.redact_value(clean_value(plain, "keep"))


def _id_of(messages: Sequence[Message]) -> str:
    """SHA-256 of the turns as canonical JSON, first 16 hex digits."""
    turns = [message.as_dict() for message in messages]
    return sha256(orjson.dumps(turns, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _text_of(messages: Sequence[Message]) -> str:
    """All that is said, thoughts included."""
    return "\n".join(f"{m.reasoning_content}\n{m.content}" if m.reasoning_content else m.content for m in messages)
