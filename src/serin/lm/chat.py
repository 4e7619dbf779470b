"""Conversations as token ids, by the tokenizer's own unmodified chat template."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import GenerationConfig, PreTrainedTokenizerBase

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError

IGNORED = -100
"""The label of a token that no loss is taken on."""

_SHOWN_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Example:
    """What a model is trained on at once; ``labels[i]`` is ``input_ids[i]`` or ``IGNORED``."""

    id: str
    """The record's, with ``#`` and the turn where one turn of it is meant."""
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def trained_tokens(self) -> int:
        """Tokens that the loss is taken on."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One assistant turn as a server has it: what it is given, and what it is to say, up to ``end``."""

    number: int
    start: int
    end: int
    tokens: list[int]


def stop_token_ids(tokenizer: PreTrainedTokenizerBase, generation: GenerationConfig | None) -> frozenset[int]:
    """The tokens that end an answer: the tokenizer's eos, and those of the generation config, as vLLM takes them."""
    more = generation.eos_token_id if generation is not None else None
    ids = [tokenizer.eos_token_id, *(more if isinstance(more, list) else [more])]
    return frozenset(i for i in ids if i is not None)


def render_prompt(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
) -> list[int]:
    """Token ids up to where the assistant is to speak, as a server renders them."""
    return _render(tokenizer, messages, tools, add_generation_prompt=True)


def render_examples(
    tokenizer: PreTrainedTokenizerBase, conversation: Conversation, stops: Collection[int]
) -> list[Example]:
    """Token ids and labels; the loss is on each assistant turn up to and with its end-of-turn token, one of ``stops``.

    Each turn is rendered as a server will see it: the messages before it with the generation prompt, then the turn. Where all
    turns stand so in the rendering of the whole conversation, that is one example. Where a template renders an earlier
    turn differently once later ones follow (it drops what was thought, say), each turn becomes an example of its own.
    A turn with ``train: false`` is context only.

    Raises:
        ConfigError: a turn that does not go on from what is served, or that does not end in a token that stops a server.
    """
    messages, tools = conversation.messages, conversation.tools
    whole = _render(tokenizer, messages, tools, add_generation_prompt=False)
    turns = []
    for i, message in enumerate(messages):
        if message.role != "assistant" or not message.train:
            continue
        is_last = i == len(messages) - 1
        through = whole if is_last else _render(tokenizer, messages[: i + 1], tools, add_generation_prompt=False)
        start = _start_of_turn(tokenizer, conversation, i, through)
        turns.append(_Turn(i + 1, start, _end_of_turn(tokenizer, conversation, i, through, start, stops), through))
    if all(whole[: turn.end] == turn.tokens[: turn.end] for turn in turns):
        labels = [IGNORED] * len(whole)
        for turn in turns:
            labels[turn.start : turn.end] = whole[turn.start : turn.end]
        return [Example(conversation.id, tuple(whole), tuple(labels))]
    return [
        Example(
            f"{conversation.id}#{turn.number}",
            tuple(turn.tokens[: turn.end]),
            (*[IGNORED] * turn.start, *turn.tokens[turn.start : turn.end]),
        )
        for turn in turns
    ]


def refuse_padded_ends(tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> None:
    """Raises ConfigError where the pad token ends turns: trainers that mask padding by its token then teach no ending."""
    pad = tokenizer.pad_token_id
    if pad is not None and (ended := [e.id for e in examples if pad in e.labels]):
        raise ConfigError(
            f"{tokenizer.pad_token!r} is both the pad token and what ends a turn (record {ended[0]}): set another pad token in "
            "the tokenizer's config, or a model trained with it elsewhere will not learn to stop"
        )


def _start_of_turn(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, i: int, through: list[int]) -> int:
    prompt = _render(tokenizer, conversation.messages[:i], conversation.tools, add_generation_prompt=True)
    if through[: len(prompt)] == prompt:
        return len(prompt)
    part = next((k for k, (a, b) in enumerate(zip(prompt, through, strict=False)) if a != b), len(through))
    shown = [tokenizer.decode(tokens[part : part + _SHOWN_TOKENS]) for tokens in (prompt, through)]
    raise ConfigError(
        f"record {conversation.id}, turn {i + 1}: a server would go on from {shown[0]!r}, and the chat template renders the "
        f"turn as {shown[1]!r}: a model trained on this would not be asked for it; use another model, or mend the record "
        "(some templates want the reasoning in reasoning_content)"
    )


def _end_of_turn(
    tokenizer: PreTrainedTokenizerBase,
    conversation: Conversation,
    i: int,
    through: list[int],
    start: int,
    stops: Collection[int],
) -> int:
    """Where the turn's end-of-turn token ends."""
    end = next((k + 1 for k in range(start, len(through)) if through[k] in stops), None)
    if end is None:
        named = ", ".join(repr(tokenizer.convert_ids_to_tokens(stop)) for stop in sorted(stops))
        raise ConfigError(
            f"the chat template ends no assistant turn with {named} (record {conversation.id}): the model could not learn to "
            "stop; set eos_token, or eos_token_id of the generation config, to the token that ends a turn"
        )
    if str(tokenizer.decode(through[end:], skip_special_tokens=True)).strip():
        raise ConfigError(
            f"record {conversation.id}, turn {i + 1} holds {tokenizer.decode(through[end - 1 : end])!r} within its text: the "
            "model would learn to stop there; remove it from the record"
        )
    return end


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
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
