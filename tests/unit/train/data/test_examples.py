import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError, FinalError
from serin.core.params import TrainParams
from serin.lm.chat import IGNORED
from serin.lm.load import load_tokenizer
from serin.train.data.examples import Rendered, render_split
from serin.train.model.tokens import add_tokens


def asked(id_: str, question: str = "How long?", answer: str = "Six months.", train: bool = True) -> Conversation:
    return Conversation((Message("user", question), Message("assistant", answer, train=train)), {"id": id_})


SHORT, LONG = asked("short"), asked("long", answer="Six months. " * 8)
ASKS_LONG = asked("asks long", question="How long? " * 12)
LIMIT = 32
"""Tokens: all of ``SHORT``, the question of ``LONG``, and not the question of ``ASKS_LONG``."""


@pytest.fixture
def tokenizer(tiny_base: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(tiny_base)


def rendered(
    tokenizer: PreTrainedTokenizerBase, conversations: list[Conversation], workers: int = 0, **params: object
) -> Rendered:
    stops = {tokenizer.eos_token_id}
    return render_split(tokenizer, stops, conversations, TrainParams.model_validate(params), "train", workers)


def test_three_rows_are_a_split(tokenizer: PreTrainedTokenizerBase) -> None:
    split = rendered(tokenizer, [SHORT, LONG, ASKS_LONG])
    assert [e.id for e in split.examples] == ["short", "long", "asks long"]
    lengths = [len(e.input_ids) for e in split.examples]
    assert (split.conversations, split.tokens, split.longest_tokens) == (3, sum(lengths), max(lengths))
    assert split.trained_tokens == sum(label != IGNORED for e in split.examples for label in e.labels)
    assert split.summary("train") == (
        f"train: 3 examples of 3 conversations, {split.tokens:,} tokens, {split.trained_tokens:,} of them trained on, the "
        f"longest {max(lengths)}"
    )


def test_longer_examples_are_refused_with_their_number_and_the_longest(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(
        ConfigError, match=r"2 of 3 examples of the train split .* = 32 .*\d+ tokens, is (long|asks long)\)"
    ):
        rendered(tokenizer, [SHORT, LONG, ASKS_LONG], max_tokens=LIMIT)


def test_longer_examples_are_dropped_and_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    split = rendered(tokenizer, [SHORT, LONG, ASKS_LONG], max_tokens=LIMIT, over_long="drop")
    assert ([e.id for e in split.examples], split.dropped, split.cut) == (["short"], 2, 0)
    assert split.longest_tokens > LIMIT
    assert split.summary("train").endswith("; 2 too long and dropped")


def test_longer_examples_lose_their_end_or_are_dropped_where_nothing_to_train_on_is_left(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    whole = {e.id: e for e in rendered(tokenizer, [SHORT, LONG, ASKS_LONG]).examples}
    split = rendered(tokenizer, [SHORT, LONG, ASKS_LONG], max_tokens=LIMIT, over_long="truncate")
    assert ([e.id for e in split.examples], split.dropped, split.cut) == (["short", "long"], 1, 1)
    assert split.examples[0] == whole["short"]
    assert split.examples[1].input_ids == whole["long"].input_ids[:LIMIT]
    assert split.examples[1].labels == whole["long"].labels[:LIMIT]
    assert split.summary("train").endswith("; 1 too long and dropped, 1 too long and cut")


def test_a_split_of_which_nothing_is_left_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ConfigError, match=r"no example of the train split is as short as train\.max_tokens = 32"):
        rendered(tokenizer, [ASKS_LONG], max_tokens=LIMIT, over_long="drop")


def test_an_empty_split_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ConfigError, match="the train split is empty"):
        rendered(tokenizer, [])


def test_a_conversation_with_no_token_to_train_on_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ConfigError, match="1 conversations have no token to train on, such as context"):
        rendered(tokenizer, [SHORT, asked("context", train=False)])


def test_a_pad_token_that_ends_turns_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.pad_token = tokenizer.eos_token
    with pytest.raises(ConfigError, match=r"both the pad token and what ends a turn \(record short\)"):
        rendered(tokenizer, [SHORT])


def test_other_processes_render_the_same_in_the_same_order(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = "{{ bos_token }}" + str(tokenizer.chat_template)
    tokenizer.bos_token = "<|endoftext|>"
    add_tokens(tokenizer, ["<law>", "probation"])
    many = [asked(str(i), f"How long is the probation of <law> {i}?", f"{i} months.") for i in range(150)]
    here = rendered(tokenizer, many)
    added = tokenizer.convert_tokens_to_ids("probation")
    assert all(added in e.input_ids for e in here.examples)
    assert rendered(tokenizer, many, workers=2) == here


def test_a_record_that_another_process_refuses_is_named(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ConfigError, match="record bad, turn 2 holds"):
        rendered(tokenizer, [SHORT, asked("bad", answer="a<|im_end|>b")], workers=1)


def test_a_killed_process_ends_the_run_with_advice(tokenizer: PreTrainedTokenizerBase) -> None:
    def kill_the_first() -> None:
        while not done.wait(0.05):
            for child in multiprocessing.active_children():
                assert child.pid is not None
                os.kill(child.pid, signal.SIGKILL)
                return

    done = threading.Event()
    killer = threading.Thread(target=kill_the_first)
    killer.start()
    try:
        with pytest.raises(FinalError, match=r"was killed: lower runs\.loader_workers"):
            rendered(tokenizer, [SHORT], workers=1)
    finally:
        done.set()
        killer.join()
