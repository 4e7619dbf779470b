from pathlib import Path

import torch
from transformers import PreTrainedModel

from serin.core.conversation import Conversation, Message
from serin.lm.chat import render_prompt
from serin.lm.decode import decode_greedily, decodes
from serin.lm.generate import answer_all
from serin.lm.load import load_model, load_tokenizer

QUESTIONS = [
    Conversation((Message("user", text), Message("assistant", "x")), {"id": str(i)})
    for i, text in enumerate(
        ["How long?", "How long may a probation period last at most, and why?", "试用期？", "Why?"]
    )
]


def lively(folder: Path) -> PreTrainedModel:
    """A model that does not say one token over and over."""
    model = load_model(folder)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3)
    return model


def test_answers_do_not_depend_on_who_else_is_asked(tiny_base: Path) -> None:
    model, tokenizer = load_model(tiny_base), load_tokenizer(tiny_base)
    together = answer_all(model, tokenizer, QUESTIONS, max_new_tokens=12, batch_size=4)
    alone = [answer_all(model, tokenizer, [q], max_new_tokens=12, batch_size=1)[0] for q in QUESTIONS]
    assert together == alone


def test_an_answer_that_reaches_the_limit_has_not_stopped(tiny_base: Path) -> None:
    answer = answer_all(load_model(tiny_base), load_tokenizer(tiny_base), QUESTIONS[:1], 3, 1)[0]
    assert (answer.tokens, answer.stopped) == (3, False)


def test_an_answer_ends_at_any_token_that_the_generation_config_names(tiny_base: Path) -> None:
    model, tokenizer = load_model(tiny_base), load_tokenizer(tiny_base)
    prompt = torch.tensor([render_prompt(tokenizer, QUESTIONS[0].prompt)])
    likeliest = int(model(prompt).logits[0, -1].argmax())
    model.generation_config.eos_token_id = [likeliest, tokenizer.eos_token_id]
    answer = answer_all(model, tokenizer, QUESTIONS[:1], 3, 1)[0]
    assert (answer.text, answer.tokens, answer.stopped) == ("", 0, True)


def test_rows_that_come_and_go_answer_as_transformers_own_loop_does(tiny_base: Path) -> None:
    model, tokenizer = lively(tiny_base), load_tokenizer(tiny_base)
    asked = [
        Conversation((Message("user", f"{word} {'very ' * (i % 7)}long?"),), {"id": str(i)})
        for i, word in enumerate(["How", "Why", "When", "试用期", "Who", "What"] * 4)
    ]
    prompts = [render_prompt(tokenizer, q.prompt) for q in asked]
    # A token that ends about every fifth answer early, so that rows leave at different times.
    said = [model.generate(torch.tensor([p]), max_new_tokens=24, do_sample=False)[0, len(p) :] for p in prompts]
    ending = int(torch.cat(said).mode().values)
    model.generation_config.eos_token_id = [ending, tokenizer.eos_token_id]
    expected = []
    for prompt in prompts:
        tokens = model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False)[0, len(prompt) :].tolist()
        expected.append(tokens)
    assert decodes(model)
    assert len({len(tokens) for tokens in expected}) > 1
    stops = {ending, tokenizer.eos_token_id}
    for batch_size in (1, 3, 8, 100):
        assert dict(decode_greedily(model, prompts, stops, 24, batch_size)) == dict(enumerate(expected))


def test_settings_that_change_the_choice_are_left_to_transformers(tiny_base: Path) -> None:
    model, tokenizer = lively(tiny_base), load_tokenizer(tiny_base)
    plain = answer_all(model, tokenizer, QUESTIONS[:2], 12, 2)
    model.generation_config.repetition_penalty = 1.8
    assert not decodes(model)
    assert answer_all(model, tokenizer, QUESTIONS[:2], 12, 2) != plain
