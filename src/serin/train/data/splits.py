"""The splits of a dataset, and the proof that none of a held-out one is trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from serin.clients.files import read_jsonl
from serin.core.conversation import Conversation
from serin.core.digest import digest_of
from serin.core.errors import ConfigError


def read_split(dataset: Path, split: str) -> list[Conversation]:
    """The conversations of one split of a dataset folder."""
    return [Conversation.from_dict(record) for record in read_jsonl(dataset / f"{split}.jsonl")]


def refuse_leaks(train: Sequence[Conversation], held_out: Mapping[str, Sequence[Conversation]]) -> None:
    """Raises ConfigError where a held-out record is trained on: the same id, or another id and what is asked in the same words.

    ``prepare`` sees to that, with near duplicates too; this looks again at what is really there.
    """
    ids = {conversation.id for conversation in train}
    asked = {_digest_of_question(conversation) for conversation in train}
    for split, conversations in held_out.items():
        both = [c.id for c in conversations if c.id in ids or _digest_of_question(c) in asked]
        if both:
            raise ConfigError(
                f"{len(both)} of {len(conversations)} records of the {split} split stand in the train split too, such as "
                f"{both[0]}: what is trained on cannot be judged by; prepare again"
            )


def _digest_of_question(conversation: Conversation) -> str:
    """Of everything but the assistant's words, without regard to case and spaces."""
    turns = [[m.role, " ".join(m.content.casefold().split())] for m in conversation.messages if m.role != "assistant"]
    return digest_of(turns)
