import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase

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


def chatml(turn: str, prompt: str = "", end: str = "<|im_end|>\n") -> str:
    """A template with ``turn`` in the place of an assistant's words, and ``prompt`` after the header of the one to come."""
    return (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        f"{{% if m.role == 'assistant' %}}{turn}{{% else %}}{{{{ m.content }}}}{{% endif %}}{end}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}<|im_start|>assistant\n{prompt}{{% endif %}}"
    )


def said_in(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, stop: str = "<|im_end|>") -> list[str]:
    """What each example is trained to say, as text."""
    stops = {tokenizer.convert_tokens_to_ids(stop)}
    return [
        str(tokenizer.decode([label for label in e.labels if label != IGNORED]))
        for e in render_examples(tokenizer, conversation, stops)
    ]


def test_what_follows_the_last_trained_turn_is_left_out(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    context = Conversation((*TWO_TURNS.messages[:3], Message("assistant", "At most.", train=False)), {"id": "r1"})
    (example,) = render_examples(tokenizer, context, load_stops(tiny_base, tokenizer))
    assert tokenizer.decode(example.input_ids).endswith("Six months.<|im_end|>")
    assert example.labels[-1] == example.input_ids[-1]


def test_a_conversation_with_nothing_to_train_on_has_no_label(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    context = Conversation((Message("user", "How long?"), Message("assistant", "Six.", train=False)), {"id": "r1"})
    (example,) = render_examples(tokenizer, context, load_stops(tiny_base, tokenizer))
    assert example.trained_tokens == 0


def test_a_token_that_would_reach_over_the_end_of_the_prompt_is_cut_where_a_server_cuts_it(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.add_tokens(["\n\n"])
    tokenizer.chat_template = chatml("<think>\n\n</think>{{ m.content }}", prompt="<think>\n")
    (together,) = tokenizer("\n\n", add_special_tokens=False)["input_ids"]
    single = Conversation(TWO_TURNS.messages[:2], {"id": "r1"})
    (example,) = render_examples(tokenizer, single, load_stops(tiny_base, tokenizer))
    prompt = render_prompt(tokenizer, single.prompt)
    assert list(example.input_ids[: len(prompt)]) == prompt
    assert together not in example.input_ids
    assert tokenizer.decode(example.input_ids[len(prompt) :]) == "\n</think>Six months.<|im_end|>"


def test_a_thought_that_the_prompt_opens_and_the_template_leaves_out_is_said_all_the_same(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = chatml("{{ m.content.split('</think>')[-1] }}", prompt="<think>\n")
    for turn in (
        Message("assistant", "Six months.", reasoning_content="Article 19."),
        Message("assistant", "<think>\nArticle 19.\n</think>\n\nSix months."),
        Message("assistant", "Article 19.</think>Six months."),
    ):
        thinking = Conversation((Message("user", "How long?"), turn), {"id": "r1"})
        assert said_in(tokenizer, thinking) == ["Article 19.\n</think>\n\nSix months.<|im_end|>"]
    with pytest.raises(ConfigError, match=r"would go on from '<think>"):
        said_in(tokenizer, Conversation(TWO_TURNS.messages[:2], {"id": "r1"}))


CALL = ({"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": {}}},)


@pytest.mark.parametrize(
    ("turn", "left_out"),
    [
        (Message("assistant", "Six months."), "its text ('Six months.')"),
        (Message("assistant", "", reasoning_content="Article 19."), "reasoning_content ('Article 19.')"),
        (Message("assistant", "", tool_calls=CALL), "the call of ('look_up')"),
    ],
)
def test_a_template_that_leaves_something_of_a_turn_out_is_refused(
    tiny_base: Path, turn: Message, left_out: str
) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = chatml("")
    with pytest.raises(ConfigError) as refused:
        said_in(tokenizer, Conversation((Message("user", "How long?"), turn), {"id": "r1"}))
    assert f"record r1, turn 2: the chat template leaves out {left_out}" in str(refused.value)


def test_what_a_template_trims_or_wraps_is_not_left_out(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = chatml("<t>{{ m.reasoning }}</t>{{ m.content | trim }}")
    turn = Message("assistant", " Six\n months.\n", reasoning_content="Article 19.")
    assert said_in(tokenizer, Conversation((Message("user", "?"), turn), {"id": "r1"})) == [
        "<t>Article 19.</t>Six\n months.<|im_end|>"
    ]


def test_a_record_that_the_template_refuses_is_named(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(
        ConfigError, match=r"record r1: the chat template cannot render it \(System role not supported\)"
    ):
        said_in(tokenizer, TWO_TURNS)
    with pytest.raises(ConfigError, match="cannot render it"):
        render_prompt(tokenizer, TWO_TURNS.prompt)


def test_what_the_next_turn_begins_with_ends_a_turn_where_it_stops_a_server(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = chatml("{{ m.content }}", end="")
    assert said_in(tokenizer, TWO_TURNS, stop="<|im_start|>") == ["Six months.<|im_start|>At most.<|im_start|>"]


def test_the_date_that_a_template_shows_does_not_depend_on_the_day(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}" + tokenizer.chat_template
    assert tokenizer.decode(render_prompt(tokenizer, TWO_TURNS.prompt)).startswith("26 Jul 2024<|im_start|>")
    now = render_prompt(tokenizer, TWO_TURNS.prompt, today=date(2026, 11, 25))
    assert tokenizer.decode(now).startswith("25 Nov 2026<|im_start|>")


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


def test_the_template_alone_decides_on_the_first_token(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    begin = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    backend = tokenizer.backend_tokenizer  # as Llama's, which puts a token before whatever it encodes
    backend.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", begin)])
    tokenizer.chat_template = "<|endoftext|>" + tokenizer.chat_template
    assert tokenizer("a")["input_ids"][0] == begin
    (example,) = render_examples(tokenizer, TWO_TURNS, load_stops(tiny_base, tokenizer))
    assert example.input_ids.count(begin) == 1
    assert render_prompt(tokenizer, TWO_TURNS.prompt).count(begin) == 1
