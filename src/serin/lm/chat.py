"""Conversations as token ids, by the tokenizer's own unmodified chat template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError

IGNORED = -100
"""The label of a token that no loss is taken on."""


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation for training; ``labels[i]`` is ``input_ids[i]`` or ``IGNORED``."""

    id: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def trained_tokens(self) -> int:
        """Tokens that the loss is taken on."""
        return sum(label != IGNORED for label in self.labels)


def render_prompt(
    tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], tools: tuple[Mapping[str, Any], ...] = ()
) -> list[int]:
    """Token ids up to where the assistant is to speak, as a server renders them."""
    return _render(tokenizer, messages, tools, add_generation_prompt=True)


def render_example(tokenizer: PreTrainedTokenizerBase, conversation: Conversation) -> Example:
    """Token ids and labels; the loss is on each assistant turn up to and with its end-of-turn token.

    A turn with ``train: false`` is context only.

    Raises:
        ConfigError: the template renders an earlier turn differently once later turns follow, so that a model would
            be trained on something that is never served.
    """
    messages, tools = conversation.messages, conversation.tools
    whole = _render(tokenizer, messages, tools, add_generation_prompt=False)
    labels = [IGNORED] * len(whole)
    for i, message in enumerate(messages):
        if message.role != "assistant" or not message.train:
            continue
        start = _render(tokenizer, messages[:i], tools, add_generation_prompt=True)
        through = _render(tokenizer, messages[: i + 1], tools, add_generation_prompt=False)
        if whole[: len(start)] != start or whole[: len(through)] != through:
            raise ConfigError(
                f"record {conversation.id}: the chat template renders turn {i + 1} differently once later turns follow; "
                "train on single-turn data, or use a model whose template keeps earlier turns as they were"
            )
        try:
            end = through.index(cast(int, tokenizer.eos_token_id), len(start)) + 1
        except ValueError as error:
            raise ConfigError(
                f"the chat template does not end an assistant turn with {tokenizer.eos_token!r} (record "
                f"{conversation.id}): the model could not learn to stop; set eos_token to the end-of-turn token"
            ) from error
        labels[len(start) : end] = whole[len(start) : end]
    return Example(conversation.id, tuple(whole), tuple(labels))


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: tuple[Message, ...],
    tools: tuple[Mapping[str, Any], ...],
    add_generation_prompt: bool,
) -> list[int]:
    encoded: Any = tokenizer.apply_chat_template(
        [m.as_dict() for m in messages],
        tools=[dict(tool) for tool in tools] or None,
        add_generation_prompt=add_generation_prompt,
        tokenize=True,
        return_dict=True,
    )
    return list(encoded["input_ids"])
