from pathlib import Path

import pytest
import torch

from serin.core.conversation import Conversation, Message
from serin.core.errors import InputError
from serin.evaluate.answers.local import Loaded
from serin.evaluate.chat.local import LocalSpeaker
from serin.lm.chat import render_prompt
from serin.lm.generate import answer_all
from serin.lm.load import load_model, load_stops, load_tokenizer

QUESTIONS = ["How long?", "试用期？", "Why may a probation period last six months?"]


@pytest.fixture(scope="module")
def loaded(tiny_base: Path) -> Loaded:
    """A model that does not say one token over and over."""
    model, tokenizer = load_model(tiny_base), load_tokenizer(tiny_base)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3)
    return Loaded(model, tokenizer, load_stops(tiny_base, tokenizer))


@pytest.mark.parametrize("question", QUESTIONS)
def test_it_says_what_it_says_in_an_evaluation(loaded: Loaded, question: str) -> None:
    messages = (Message("system", "Be brief."), Message("user", question))
    (wanted,) = answer_all(loaded.model, loaded.tokenizer, [Conversation(messages, {"id": "x"})], 24, 1)
    heard: list[str] = []
    answer = LocalSpeaker("m", loaded, 24, 0.0).speak(messages, heard.append)
    assert answer == wanted.text != ""
    assert "".join(heard).strip() == answer
    assert len(heard) > 1


def test_it_stops_where_an_answer_ends_without_showing_the_token(loaded: Loaded) -> None:
    messages = (Message("user", QUESTIONS[0]),)
    prompt = render_prompt(loaded.tokenizer, messages)
    ids = torch.tensor([prompt])
    output = loaded.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=24)
    said = output[0, len(prompt) :].tolist()
    end = said.index(said[12])
    heard: list[str] = []
    stopping = Loaded(loaded.model, loaded.tokenizer, frozenset({said[12]}))
    answer = LocalSpeaker("m", stopping, 24, 0.0).speak(messages, heard.append)
    assert answer == loaded.tokenizer.decode(said[:end], skip_special_tokens=True).strip()
    assert "".join(heard).strip() == answer


def test_a_temperature_draws(loaded: Loaded) -> None:
    messages = (Message("user", QUESTIONS[0]),)
    torch.manual_seed(3)
    drawn = {LocalSpeaker("m", loaded, 12, 2.0).speak(messages, lambda _: None) for _ in range(4)}
    assert len(drawn) > 1


def test_what_leaves_no_room_for_an_answer_is_refused(loaded: Loaded) -> None:
    longest = loaded.model.config.max_position_embeddings
    messages = (Message("user", "六个月。" * longest),)
    with pytest.raises(InputError, match=rf"and m reads {longest} at most: begin anew with /reset"):
        LocalSpeaker("m", loaded, 12, 0.0).speak(messages, lambda _: None)


def test_who_no_longer_listens_stops_it(loaded: Loaded) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalSpeaker("m", loaded, 24, 0.0).speak((Message("user", QUESTIONS[0]),), stop)
