from pathlib import Path

import pytest

from serin.base.pretrain import pretrain, read_corpus
from serin.clients.files import digests_in, write_jsonl
from serin.core.errors import InputError
from serin.core.params import RebuildParams
from serin.lm.chat import render_prompt
from serin.lm.load import load_model, load_tokenizer

PARAMS = RebuildParams(
    vocabulary=512, hidden_size=64, layers=1, steps=60, batch_tokens=512, row_tokens=64, learning_rate=5e-3
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Forty paragraphs and forty conversations."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    paragraphs = [f"The gate of garden {n} opens at {n % 12 + 1} and closes at night." for n in range(40)]
    (folder / "prose.txt").write_text("\n\n".join(paragraphs))
    chats = [
        [
            {"role": "user", "content": f"When does garden {n} open?"},
            {"role": "assistant", "content": "In the morning."},
        ]
        for n in range(40)
    ]
    write_jsonl(folder / "chat.jsonl", [{"messages": messages} for messages in chats])
    return folder


def test_the_same_corpus_and_params_give_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    pretrain(PARAMS, corpus, tmp_path / "one", lambda *seen: losses.append(seen[2]))
    pretrain(PARAMS, corpus, tmp_path / "two", lambda *_: None)
    assert digests_in(tmp_path / "one") == digests_in(tmp_path / "two")
    assert len(losses) == PARAMS.steps
    assert losses[-1] < losses[0] / 2


def test_what_is_written_can_be_loaded_and_answers_in_the_form_that_it_read(corpus: Path, tmp_path: Path) -> None:
    from serin.core.conversation import Conversation, Message
    from serin.lm.generate import answer_all

    pretrain(PARAMS, corpus, tmp_path / "model", lambda *_: None)
    tokenizer, model = load_tokenizer(tmp_path / "model"), load_model(tmp_path / "model")
    asked = Conversation((Message("user", "When does garden 7 open?"),), {"id": "q"})
    assert render_prompt(tokenizer, asked.prompt)
    [answer] = answer_all(model, tokenizer, [asked], 20, 1)
    assert answer.stopped
    assert answer.text == "In the morning."


def test_a_corpus_without_conversations_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text("One paragraph.")
    with pytest.raises(InputError, match="1 paragraphs and 0 conversations"):
        read_corpus(tmp_path)
