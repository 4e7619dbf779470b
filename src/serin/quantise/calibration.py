"""What activations are looked at on: conversations of the train split, never of one that judges or chooses."""

from collections.abc import Collection, Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from serin.clients.files import read_jsonl
from serin.core.conversation import Conversation
from serin.core.digest import digest_of
from serin.core.errors import ConfigError
from serin.lm.chat import render_examples

_SPLIT = "train"


def read_calibration(dataset: Path) -> list[Conversation]:
    """The conversations that calibration may see. Raises ConfigError where there are none."""
    conversations = [Conversation.from_dict(record) for record in read_jsonl(dataset / f"{_SPLIT}.jsonl")]
    if not conversations:
        raise ConfigError(
            f"the {_SPLIT} split of {dataset} is empty: calibration needs conversations; prepare more data"
        )
    return conversations


def draw(conversations: Sequence[Conversation], count: int, seed: int) -> list[Conversation]:
    """At most ``count`` of them, by the hash of seed and id: the same whatever order they stand in."""
    return sorted(conversations, key=lambda c: digest_of([seed, c.id]))[:count]


def render(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation], stops: Collection[int], max_tokens: int
) -> list[list[int]]:
    """Token ids as the model was trained on them and is served with, each cut to ``max_tokens``.

    Where a template makes several examples of a conversation, the last one has the most of it. Raises ConfigError where the
    template refuses a record.
    """
    return [list(render_examples(tokenizer, c, stops)[-1].input_ids[:max_tokens]) for c in conversations]
