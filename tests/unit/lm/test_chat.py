from pathlib import Path

import pytest

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.lm.chat import IGNORED, render_example, render_prompt
from serin.lm.load import load_tokenizer

TWO_TURNS = Conversation(
    (
        Message("user", "How long?"),
        Message("assistant", "Six months."),
        Message("user", "And then?"),
        Message("assistant", "At most."),
    ),
    {"id": "r1"},
)


def test_the_loss_is_on_assistant_turns_and_on_their_end(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    example = render_example(tokenizer, TWO_TURNS)
    trained = [i for i, label in zip(example.input_ids, example.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(trained) == "Six months.<|im_end|>At most.<|im_end|>"


def test_training_continues_exactly_what_serving_renders(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    example = render_example(tokenizer, TWO_TURNS)
    prompt = render_prompt(tokenizer, TWO_TURNS.prompt)
    assert list(example.input_ids[: len(prompt)]) == prompt
    assert example.labels[len(prompt)] == example.input_ids[len(prompt)]


def test_a_template_that_rewrites_earlier_turns_is_refused(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{{ m.content if loop.last or m.role == 'user' else '(earlier)' }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with pytest.raises(ConfigError, match="renders turn 2 differently"):
        render_example(tokenizer, TWO_TURNS)


def test_a_turn_without_its_end_token_is_refused(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.eos_token = "<|endoftext|>"
    with pytest.raises(ConfigError, match="could not learn to stop"):
        render_example(tokenizer, TWO_TURNS)
