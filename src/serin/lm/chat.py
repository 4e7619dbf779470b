"""Conversations as token ids, by the tokenizer's own unmodified chat template."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from jinja2 import TemplateError
from transformers import GenerationConfig, PreTrainedTokenizerBase

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.lm.served import messages_as_served, tools_as_served

IGNORED: Final = -100
"""The label of a token that no loss is taken on."""

RENDERED_ON: Final = date(2024, 7, 26)
"""Today, for templates that show the date: what is trained on must not depend on the day, nor change when a run goes on the
day after. It is the date that the templates of Llama 3.1 and 3.2 themselves fall back to."""

_SHOWN_CHARACTERS = 40
_THOUGHT_BEGINS, _THOUGHT_ENDS = "<think>", "</think>"


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
    """One assistant turn as a server has it: what it is given, up to ``start``, and what it is to say."""

    number: int
    start: int
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class _Template:
    """The chat template, for the conversation that ``what`` names."""

    tokenizer: PreTrainedTokenizerBase
    tools: Sequence[Mapping[str, Any]]
    today: date
    what: str

    def text(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        """The messages as a server renders them. Raises ConfigError where the template refuses them."""
        try:
            text: Any = self.tokenizer.apply_chat_template(
                messages_as_served(messages),
                tools=tools_as_served(self.tools),  # type: ignore[arg-type]  # list is invariant; it takes dicts
                add_generation_prompt=add_generation_prompt,
                tokenize=False,
                strftime_now=self.today.strftime,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{self.what}: the chat template cannot render it ({error}): mend the record, or take another model"
            ) from error
        return str(text)

    def encode(self, text: str) -> list[int]:
        """Token ids; the template alone decides on special tokens, such as the first."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, tokens: list[int], skip_special_tokens: bool = False) -> str:
        """The text of the tokens, with nothing tidied up."""
        return str(
            self.tokenizer.decode(tokens, skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False)
        )


def stop_token_ids(tokenizer: PreTrainedTokenizerBase, generation: GenerationConfig | None) -> frozenset[int]:
    """The tokens that end an answer: the tokenizer's eos, and those of the generation config, as vLLM takes them."""
    more = generation.eos_token_id if generation is not None else None
    ids = [tokenizer.eos_token_id, *(more if isinstance(more, list) else [more])]
    return frozenset(i for i in ids if i is not None)


def render_prompt(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] = (),
    today: date = RENDERED_ON,
) -> list[int]:
    """Token ids up to where the assistant is to speak, as a server renders them. Raises ConfigError where it could not."""
    template = _Template(tokenizer, tools, today, f"a prompt of {len(messages)} turns")
    return template.encode(template.text(messages, add_generation_prompt=True))


def render_examples(
    tokenizer: PreTrainedTokenizerBase,
    conversation: Conversation,
    stops: Collection[int],
    today: date = RENDERED_ON,
) -> list[Example]:
    """Token ids and labels; the loss is on each assistant turn up to and with its end-of-turn token, one of ``stops``.

    Each turn is rendered as a server will see it: the messages before it with the generation prompt, then the turn. Where all
    turns stand so in the rendering of the last one, that is one example. Where a template renders an earlier turn
    differently once later ones follow (it drops what was thought, say), each turn becomes an example of its own. A turn with
    ``train: false`` is context only, and what stands after the last trained one is left out.

    Raises:
        ConfigError: a turn that the template refuses or leaves something out of, that does not go on from what is served, or
            that does not end in a token that stops a server.
    """
    template = _Template(tokenizer, conversation.tools, today, f"record {conversation.id}")
    turns = [
        _render_turn(template, conversation.messages, i, stops)
        for i, message in enumerate(conversation.messages)
        if message.role == "assistant" and message.train
    ]
    if not turns:
        tokens = template.encode(template.text(conversation.messages, add_generation_prompt=False))
        return [Example(conversation.id, tuple(tokens), (IGNORED,) * len(tokens))]
    whole = turns[-1].tokens
    if all(whole[: len(turn.tokens)] == turn.tokens for turn in turns):
        labels = [IGNORED] * len(whole)
        for turn in turns:
            labels[turn.start : len(turn.tokens)] = turn.tokens[turn.start :]
        return [Example(conversation.id, tuple(whole), tuple(labels))]
    return [
        Example(
            f"{conversation.id}#{turn.number}",
            tuple(turn.tokens),
            (*[IGNORED] * turn.start, *turn.tokens[turn.start :]),
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


def _render_turn(template: _Template, messages: Sequence[Message], i: int, stops: Collection[int]) -> _Turn:
    turn = f"{template.what}, turn {i + 1}"
    given = template.text(messages[:i], add_generation_prompt=True)
    through = template.text(messages[: i + 1], add_generation_prompt=False)
    said = _said_after(given, through, messages[i], turn)
    _refuse_omissions(messages[i], said, turn)
    prompt = template.encode(given)
    tokens = template.encode(given + said)
    if tokens[: len(prompt)] != prompt:
        # A token reaches over the end of the prompt ("\n" and "\n" are one in most vocabularies). A server has cut the prompt
        # there, so what is said is cut there too.
        whole, tokens = template.decode(tokens), prompt + template.encode(said)
        if template.decode(tokens) != whole:
            raise ConfigError(
                f"{turn}: the tokenizer writes {said[:_SHOWN_CHARACTERS]!r} differently where a server has cut the prompt "
                "before it: a model trained on this would not be asked for it; use another model"
            )
    end = next((k + 1 for k in range(len(prompt), len(tokens)) if tokens[k] in stops), None)
    if end is None:
        tokens.append(_stop_that_follows(template, messages, i, stops))
        return _Turn(i + 1, len(prompt), tokens)
    if template.decode(tokens[end:], skip_special_tokens=True).strip():
        raise ConfigError(
            f"{turn} holds {template.decode(tokens[end - 1 : end])!r} within its text: the model would learn to stop there; "
            "remove it from the record"
        )
    return _Turn(i + 1, len(prompt), tokens[:end])


def _said_after(given: str, through: str, message: Message, turn: str) -> str:
    """What the assistant says after the prompt ``given``; ``through`` is the template's text up to the end of its turn."""
    if through.startswith(given):
        return through[len(given) :]
    thought = _thought_after(given, through, message)
    if thought is not None:
        return thought
    part = next((k for k, (a, b) in enumerate(zip(given, through, strict=False)) if a != b), len(through))
    shown = [text[part : part + _SHOWN_CHARACTERS] for text in (given, through)]
    raise ConfigError(
        f"{turn}: a server would go on from {shown[0]!r}, and the chat template renders the turn as {shown[1]!r}: a model "
        "trained on this would not be asked for it; use another model, or mend the record (some templates want the reasoning "
        "in reasoning_content)"
    )


def _thought_after(given: str, through: str, message: Message) -> str | None:
    """What is said where the prompt opens a thought and the template then leaves the thought out, as DeepSeek-R1's does.

    The record has to say what was thought; answer and end of turn are the template's. Between the two stands what R1 was taught
    to write (DeepSeek-AI 2025, arXiv 2501.12948, and Qwen3's template): a line with the end of the thought, and an empty one.
    """
    before = given.rstrip().removesuffix(_THOUGHT_BEGINS)
    thought, closed, answer = message.content.rpartition(_THOUGHT_ENDS)
    thought = message.reasoning_content or thought.strip().removeprefix(_THOUGHT_BEGINS)
    if before == given.rstrip() or not thought.strip() or not through.startswith(before + answer):
        return None
    end = through[len(before + answer) :]
    return f"{thought.strip()}\n{_THOUGHT_ENDS}\n\n{answer.strip() if closed else answer}{end}"


def _refuse_omissions(message: Message, said: str, turn: str) -> None:
    """Raises ConfigError where the template drops something of the turn: the model would learn to say less than the data."""
    said = _without_spaces(said)
    pieces = {
        "its text": re.split(f"{_THOUGHT_BEGINS}|{_THOUGHT_ENDS}", message.content),
        "reasoning_content": [message.reasoning_content or ""],
        "the call of": [str(call["function"]["name"]) for call in message.tool_calls],
    }
    for kind, texts in pieces.items():
        dropped = next((text for text in texts if _without_spaces(text) not in said), None)
        if dropped is not None:
            raise ConfigError(
                f"{turn}: the chat template leaves out {kind} ({dropped.strip()[:_SHOWN_CHARACTERS]!r}): the model would not "
                "learn it; remove it from the record, or take a model whose template has it"
            )


def _stop_that_follows(template: _Template, messages: Sequence[Message], i: int, stops: Collection[int]) -> int:
    """The token that ends a turn by beginning the next one, as GLM's role tokens do: what stops a server there."""
    calls = messages[i].tool_calls
    follower = Message("tool", "-", tool_call_id=calls[0].get("id")) if calls else Message("user", "-")
    turns = [
        _without_thought(message) for message in messages[: i + 1]
    ]  # templates drop thoughts once a question follows
    try:
        through = template.text(turns, add_generation_prompt=False)
        more = template.text([*turns, follower], add_generation_prompt=False)
    except ConfigError:
        through = more = ""
    follows = template.encode(more[len(through) :]) if more.startswith(through) else []
    if follows and follows[0] in stops:
        return follows[0]
    named = ", ".join(repr(template.tokenizer.convert_ids_to_tokens(stop)) for stop in sorted(stops))
    raise ConfigError(
        f"the chat template ends no assistant turn with {named} ({template.what}): the model could not learn to stop; set "
        "eos_token, or eos_token_id of the generation config, to the token that ends a turn"
    )


def _without_thought(message: Message) -> Message:
    return replace(message, content=message.content.rpartition(_THOUGHT_ENDS)[2], reasoning_content=None)


def _without_spaces(text: str) -> str:
    return "".join(text.split())
