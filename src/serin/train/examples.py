"""The train split as tokens, checked before the first step."""

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from serin.clients.files import read_jsonl
from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.lm.chat import Example, render_example


def read_split(dataset: Path, split: str) -> list[Conversation]:
    """The conversations of one split of a dataset folder."""
    return [Conversation.from_dict(record) for record in read_jsonl(dataset / f"{split}.jsonl")]


def render_split(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation], max_tokens: int
) -> list[Example]:
    """Render every conversation; nothing is cut.

    Raises:
        ConfigError: nothing to train on, an over-long conversation, or one without a trained token.
    """
    if not conversations:
        raise ConfigError("the train split is empty: add data, or lower prepare.split.test and .validation")
    examples = [render_example(tokenizer, conversation) for conversation in conversations]
    long = [e for e in examples if len(e.input_ids) > max_tokens]
    if long:
        raise ConfigError(
            f"{len(long)} of {len(examples)} conversations are longer than train.max_tokens = {max_tokens} (the longest, "
            f"{max(len(e.input_ids) for e in long)} tokens, is {long[0].id}): lower prepare.max_tokens or raise this"
        )
    silent = [e.id for e in examples if not e.trained_tokens]
    if silent:
        raise ConfigError(f"{len(silent)} conversations have no token to train on, such as {silent[0]}: remove them")
    return examples
