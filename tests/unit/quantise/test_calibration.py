"""Calibration sees the train split alone, drawn by hash."""

from pathlib import Path

import pytest

from serin.clients.files import write_jsonl
from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.lm.chat import render_examples
from serin.lm.load import load_stops, load_tokenizer
from serin.quantise.calibration import draw, read_calibration, render


def conversation(name: str) -> Conversation:
    return Conversation((Message("user", f"How long is {name}?"), Message("assistant", "Six months.")), {"id": name})


ALL = [conversation(f"record {i}") for i in range(50)]


def write_splits(folder: Path, **splits: list[Conversation]) -> Path:
    folder.mkdir()
    for split, conversations in splits.items():
        write_jsonl(folder / f"{split}.jsonl", [c.as_dict() for c in conversations])
    return folder


def test_no_held_out_record_is_ever_looked_at(tmp_path: Path) -> None:
    dataset = write_splits(tmp_path / "data", train=ALL[:5], validation=ALL[5:10], test=ALL[10:20], control=ALL[20:])
    assert [c.id for c in read_calibration(dataset)] == [c.id for c in ALL[:5]]


def test_an_empty_train_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train split of .* is empty"):
        read_calibration(write_splits(tmp_path / "data", train=[], test=ALL))


def test_the_draw_depends_on_ids_and_seed_alone() -> None:
    drawn = draw(ALL, 10, seed=1)
    assert draw(ALL[::-1], 10, seed=1) == drawn
    assert draw(ALL, 10, seed=2) != drawn
    assert draw(ALL, 5, seed=1) == drawn[:5]
    assert [c.id for c in drawn] != [c.id for c in ALL[:10]]


def test_asking_for_more_than_there_are_takes_all() -> None:
    assert len(draw(ALL, 1000, seed=1)) == len(ALL)


def test_conversations_are_rendered_as_trained_and_cut(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    stops = load_stops(tiny_base, tokenizer)
    (example,) = render_examples(tokenizer, ALL[0], stops)
    assert render(tokenizer, ALL[:1], stops, 1000) == [list(example.input_ids)]
    assert render(tokenizer, ALL[:1], stops, 7) == [list(example.input_ids[:7])]
