"""Lengths are those of the base model's own tokenizer and chat template, whichever way they are counted."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.prepare.record.pieces import PieceCounter, cuts_before_blanks
from serin.prepare.record.tokens import TokenCounter

EXAMPLE = Path(__file__).parents[4] / "examples/labour-law"
TALK = Conversation(
    (Message("system", "Be kind."), Message("user", "How long  is\n\n it?"), Message("assistant", "试用期 6 months."))
)
# As the tokenizers of Qwen and Llama 3 cut.
MODERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CORPUS = [
    (EXAMPLE / f"corpus/prose-{name}.txt").read_text(encoding="utf-8").replace("\n\n", "\n")[:40_000]
    for name in ("en", "zh")
]


def trained(
    cut: pre_tokenizers.PreTokenizer, normalizer: normalizers.Normalizer | None = None, corpus: Sequence[str] = ()
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cut
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [*CORPUS, *corpus], trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|im_end|>")])
    return tokenizer


GPT2 = trained(pre_tokenizers.ByteLevel(add_prefix_space=False))
QWEN = trained(
    pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern=Regex(MODERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
    normalizers.NFC(),
)


def whole(tokenizer: Tokenizer, texts: list[str]) -> list[int]:
    return [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


def test_a_conversation_is_as_long_as_transformers_says(tiny_base: Path) -> None:
    counter = TokenCounter(tiny_base)
    rendered = counter.render(TALK)
    assert rendered is not None
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_base))
    ids = tokenizer.apply_chat_template([m.as_dict() for m in TALK.messages], tokenize=True, return_dict=True)[
        "input_ids"
    ]
    assert counter.count([rendered]) == [len(ids)]


@pytest.mark.parametrize("tokenizer", [GPT2, QWEN], ids=["gpt2", "qwen"])
@given(
    texts=st.lists(
        st.text(
            st.sampled_from("abc .,'1\n\t\u00a0\u3000é试用<|im_start|>") | st.characters(exclude_categories=["Cs"]),
            max_size=60,
        ),
        max_size=5,
    )
)
@settings(max_examples=300)
def test_pieces_add_up_to_the_whole(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert cuts_before_blanks(tokenizer)
    counter = PieceCounter(tokenizer)
    counter._checked = 1 << 30
    assert counter.count(texts) == whole(tokenizer, texts)
    assert counter.count(texts) == whole(tokenizer, texts)


@pytest.mark.parametrize("tokenizer", [GPT2, QWEN], ids=["gpt2", "qwen"])
def test_real_text_is_counted_by_pieces(tokenizer: Tokenizer) -> None:
    texts = [
        "<|im_start|>user\n" + text[i : i + 300].strip() + "<|im_end|>\n"
        for text in CORPUS
        for i in range(0, 30_000, 100)
    ]
    counter = PieceCounter(tokenizer)
    for start in range(0, len(texts), 50):
        assert counter.count(texts[start : start + 50]) == whole(tokenizer, texts[start : start + 50])
    assert counter._cuts
    assert len(counter._known) > 500


@pytest.mark.parametrize(
    "tokenizer",
    [
        trained(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        trained(pre_tokenizers.Metaspace()),
        trained(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.Replace(" ", "_")),
    ],
    ids=["prefix", "metaspace", "normalizer"],
)
def test_a_tokenizer_that_does_not_cut_at_blanks_is_asked_about_whole_texts(tokenizer: Tokenizer) -> None:
    counter = PieceCounter(tokenizer)
    texts = [CORPUS[0][i : i + 200] for i in range(0, 9000, 30)]
    assert counter.count(texts) == whole(tokenizer, texts)
    assert not counter._cuts


def test_empty_lines_are_counted_as_in_the_whole_text() -> None:
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), corpus=["\n\n", "word\n\n"] * 50)
    counter = PieceCounter(tokenizer)
    counter._checked = 1 << 30
    texts = ["word\n\nline\n\nword here", "word\n\n", "\n\nword", "word\nline\n"]
    assert counter.count(texts) == whole(tokenizer, texts)


def test_a_tokenizer_that_only_looks_as_if_it_cut_at_blanks_is_found_out() -> None:
    over_blanks = pre_tokenizers.Split(pattern=Regex(r"\w+ \w+|\s+|\S+"), behavior="isolated")
    tokenizer = trained(
        pre_tokenizers.Sequence([over_blanks, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    )
    counter = PieceCounter(tokenizer)
    texts = [CORPUS[0][i : i + 200] for i in range(0, 9000, 30)]
    assert cuts_before_blanks(tokenizer)
    for _ in range(2):
        assert counter.count(texts) == whole(tokenizer, texts)
    assert not counter._cuts


def test_templates_with_generation_marks_dates_json_and_refusals_are_rendered(tiny_base: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / "chat_template.jinja").write_text(
        "{{ strftime_now('%Y') }}{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}{{ tools | tojson }}"
    )
    counter = TokenCounter(base)
    one = Conversation((Message("user", "a"), Message("assistant", "<é>")), {}, ({"name": "f"},))
    assert counter.render(one) == '2024a<é>[{"name": "f"}]'
    assert counter.render(Conversation((Message("tool", "x"),))) is None


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("tokenizer.json", "{}", "is no tokenizer"),
        ("tokenizer_config.json", "{", "expected a model folder"),
        ("chat_template.jinja", "{% for %}", "no Jinja template"),
        ("chat_template.jinja", "", "no chat template"),
    ],
)
def test_a_base_without_a_tokenizer_or_template_is_refused(
    tiny_base: Path, tmp_path: Path, file: str, content: str, says: str
) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / file).write_text(content)
    with pytest.raises(ConfigError, match=says):
        TokenCounter(base)


def test_the_default_of_several_named_templates_is_taken(tiny_base: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    config = json.loads((base / "tokenizer_config.json").read_text())
    config["chat_template"] = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    assert TokenCounter(base).render(TALK) == "d"
