import json
import shutil
from pathlib import Path

import pytest

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.lm.chat import IGNORED, refuse_padded_ends, render_examples, render_prompt
from serin.lm.load import load_stops, load_tokenizer

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
    (example,) = render_examples(tokenizer, TWO_TURNS, load_stops(tiny_base, tokenizer))
    trained = [i for i, label in zip(example.input_ids, example.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(trained) == "Six months.<|im_end|>At most.<|im_end|>"


def test_training_continues_exactly_what_serving_renders(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    (example,) = render_examples(tokenizer, TWO_TURNS, load_stops(tiny_base, tokenizer))
    prompt = render_prompt(tokenizer, TWO_TURNS.prompt)
    assert list(example.input_ids[: len(prompt)]) == prompt
    assert example.labels[len(prompt)] == example.input_ids[len(prompt)]


REWRITES = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content if loop.last or m.role == 'user' else '(earlier)' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_where_earlier_turns_are_rewritten_each_turn_is_an_example_as_it_is_served(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = REWRITES
    examples = render_examples(tokenizer, TWO_TURNS, load_stops(tiny_base, tokenizer))
    assert [e.id for e in examples] == ["r1#2", "r1#4"]
    for example, before, said in zip(examples, (1, 3), ("Six months.", "At most."), strict=True):
        prompt = render_prompt(tokenizer, TWO_TURNS.messages[:before])
        assert list(example.input_ids[: len(prompt)]) == prompt
        assert set(example.labels[: len(prompt)]) == {IGNORED}
        assert tokenizer.decode(example.labels[len(prompt) :]) == f"{said}<|im_end|>"


def test_a_turn_that_does_not_go_on_from_what_is_served_is_refused(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = REWRITES.replace("assistant\n{% endif", "assistant\nHm, {% endif")
    with pytest.raises(ConfigError, match=r"record r1, turn 2: a server would go on from 'Hm, '"):
        render_examples(tokenizer, TWO_TURNS, load_stops(tiny_base, tokenizer))


def test_a_turn_without_its_end_token_is_refused(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.eos_token = "<|endoftext|>"
    with pytest.raises(ConfigError, match="could not learn to stop"):
        render_examples(tokenizer, TWO_TURNS, {tokenizer.eos_token_id})


def test_a_turn_that_holds_the_end_token_in_its_text_is_refused(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    holds = Conversation((Message("user", "?"), Message("assistant", "a<|im_end|>b")), {"id": "r2"})
    with pytest.raises(ConfigError, match=r"record r2, turn 2 holds '<\|im_end\|>' within its text"):
        render_examples(tokenizer, holds, load_stops(tiny_base, tokenizer))


def test_the_end_tokens_of_the_generation_config_count_too(tiny_base: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.eos_token = "<|endoftext|>"
    folder = shutil.copytree(tiny_base, tmp_path / "m")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [end, tokenizer.eos_token_id]}))
    (example,) = render_examples(tokenizer, TWO_TURNS, load_stops(folder, tokenizer))
    assert example.labels.count(end) == 2


def test_a_pad_token_that_ends_turns_is_refused_and_none_at_all_is_fine(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    examples = render_examples(tokenizer, TWO_TURNS, load_stops(tiny_base, tokenizer))
    refuse_padded_ends(tokenizer, examples)
    tokenizer.pad_token = "<|im_end|>"
    with pytest.raises(ConfigError, match="will not learn to stop"):
        refuse_padded_ends(tokenizer, examples)
    tokenizer.pad_token = None
    refuse_padded_ends(tokenizer, examples)
