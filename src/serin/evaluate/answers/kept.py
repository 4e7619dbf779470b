"""Answers that were given are kept as they come, so that a killed evaluation goes on, and a reference is asked only once."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serin.clients.files import code_digest
from serin.core.conversation import Conversation
from serin.core.digest import digest_of
from serin.evaluate.answers.answerer import Answerer
from serin.lm.generate import Answer
from serin.lm.score import Likelihood


class KeptAnswers:
    """One model's answers in a file of lines, each complete or not counted."""

    def __init__(self, folder: Path, answerer: Answerer) -> None:
        """``folder`` is where all models' answers are kept; the file is named by what the answers depend on."""
        self._answerer = answerer
        name = digest_of({**answerer.identity, "code": code_digest()})
        self._path = folder / f"{name}.jsonl"
        self._answers: dict[str, Answer] = {}
        self._likelihoods: dict[str, Likelihood] = {}
        for record in _whole_lines(self._path):
            if "answer" in record:
                self._answers[record["key"]] = Answer(**record["answer"])
            else:
                self._likelihoods[record["key"]] = Likelihood(**record["likelihood"])

    def answers(self, questions: Sequence[Conversation], on_done: Callable[[int], None]) -> list[Answer]:
        """The answer to each question, asked for where it is not kept; ``on_done`` hears how many there are."""
        keys = [_key(question, with_answer=False) for question in questions]
        unknown = {key: q for key, q in zip(keys, questions, strict=True) if key not in self._answers}
        if unknown:
            asked = list(unknown)
            with _Appending(self._path) as file:
                for i, answer in self._answerer.answers(list(unknown.values())):
                    file.write({"key": asked[i], "answer": asdict(answer)})
                    self._answers[asked[i]] = answer
                    on_done(sum(key in self._answers for key in keys))
        on_done(len(keys))
        return [self._answers[key] for key in keys]

    def likelihoods(self, conversations: Sequence[Conversation]) -> list[Likelihood | None]:
        """How likely each conversation's last turn is; None where the model cannot tell, or there is no such turn."""
        asked = [c for c in conversations if c.reference.strip()]
        unknown = {k: c for c in asked if (k := _key(c, with_answer=True)) not in self._likelihoods}
        if unknown:
            keys = list(unknown)
            with _Appending(self._path) as file:
                for i, likelihood in self._answerer.likelihoods(list(unknown.values())):
                    file.write({"key": keys[i], "likelihood": asdict(likelihood)})
                    self._likelihoods[keys[i]] = likelihood
        return [self._likelihoods.get(_key(c, with_answer=True)) for c in conversations]


class _Appending:
    """A file that lines are added to; the first one ends a line that a killed process left half-written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_Appending":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab", buffering=0)
        if self._file.tell():
            with self._path.open("rb") as written:
                written.seek(-1, 2)
                if written.read(1) != b"\n":
                    self._file.write(b"\n")
        return self

    def write(self, record: Mapping[str, Any]) -> None:
        """One line, in one write: two processes may add to the same file."""
        self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The records in a file; a line that a killed process left half-written is no record."""
    records = []
    if path.is_file():
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and ("answer" in record or "likelihood" in record):
                records.append(record)
    return records


def _key(question: Conversation, with_answer: bool) -> str:
    """What a model is given, and with ``with_answer`` also what the data answers."""
    turns = question.messages if with_answer else question.prompt
    return digest_of({"messages": [turn.as_dict() for turn in turns], "tools": list(question.tools)})
