from pathlib import Path

import torch

from serin.core.conversation import Conversation, Message
from serin.lm.chat import render_prompt
from serin.lm.generate import answer_all
from serin.lm.load import load_model, load_tokenizer

QUESTIONS = [
    Conversation((Message("user", text), Message("assistant", "x")), {"id": str(i)})
    for i, text in enumerate(
        ["How long?", "How long may a probation period last at most, and why?", "试用期？", "Why?"]
    )
]


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
