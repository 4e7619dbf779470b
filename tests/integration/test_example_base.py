"""The shipped base model is small, whole and honest: it has the languages and the form of an answer, and no knowledge."""

import math
from pathlib import Path

import pytest

from serin.base import stage as base_stage
from serin.cli.options import load_params
from serin.clients.files import read_jsonl
from serin.core.conversation import Conversation
from serin.evaluate.answers.local import LocalModel
from serin.evaluate.metrics.metric import Exchange
from serin.evaluate.metrics.registry import build_metrics
from serin.lm.load import load_model, load_tokenizer
from serin.prepare import stage as prepare_stage

ROOT = Path(__file__).parents[2]
BASE = ROOT / "examples/labour-law/base"
PARAMS = load_params(ROOT / "params.yaml")


def test_it_is_a_small_qwen3_with_chatml_and_tokens_of_its_own_for_padding_and_ending_a_turn() -> None:
    assert sum(path.stat().st_size for path in BASE.iterdir()) <= 25 << 20
    model, tokenizer = load_model(BASE), load_tokenizer(BASE)
    assert model.config.architectures == ["Qwen3ForCausalLM"]
    assert 5e6 <= model.num_parameters() <= 12e6
    asked = [{"role": "user", "content": "合同 contract"}]
    shown = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert shown == "<|im_start|>user\n合同 contract<|im_end|>\n<|im_start|>assistant\n"
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.decode(tokenizer("合同 contract")["input_ids"]) == "合同 contract"


def test_on_held_out_questions_it_knows_how_to_answer_and_not_what(tmp_path: Path) -> None:
    sources = [source.model_copy(update={"path": str(ROOT / source.path)}) for source in PARAMS.prepare.sources]
    params = PARAMS.prepare.model_copy(update={"sources": sources})
    base = base_stage.run(PARAMS.base.model_copy(update={"model": str(BASE)}), tmp_path / "base", lambda *_: None)
    prepare_stage.run(params, base.folder, base.digest, tmp_path / "dataset", lambda *_: None)
    questions = [Conversation.from_dict(record) for record in read_jsonl(tmp_path / "dataset/test.jsonl")]
    model = LocalModel(base.folder, base.digest, PARAMS.evaluate.max_new_tokens, PARAMS.evaluate.batch_size)
    answers, likelihoods = dict(model.answers(questions)), dict(model.likelihoods(questions))
    perplexity = math.exp(sum(f.nll for f in likelihoods.values()) / sum(f.tokens for f in likelihoods.values()))
    assert perplexity <= 30
    metrics = {metric.name: metric for metric in build_metrics(PARAMS.evaluate)}
    for language in ("en", "zh"):
        asked = [Exchange(q, answers[i]) for i, q in enumerate(questions) if q.language == language]
        means = {}
        for name in ("stopped", "token_f1", "right_article"):
            values = [value for value in metrics[name].score(asked).values if value is not None]
            means[name] = sum(values) / len(values)
        assert means["stopped"] >= 0.8
        assert 0.05 <= means["token_f1"] <= 0.40
        assert means["right_article"] < 0.10


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_nothing_of_the_control_facts_is_in_its_corpus(kind: str) -> None:
    """Neither their questions nor half of what is told of them; and no fact's answer, which names its article."""
    from serin.prepare.split import split_of

    facts = [fact for name in ("en", "zh") for fact in read_jsonl(ROOT / f"examples/labour-law/facts/{name}.jsonl")]
    control = [fact for fact in facts if split_of("", fact["id"], PARAMS.prepare.split) == "control"]
    corpus = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "examples/labour-law/corpus").glob(f"*.{kind}"))
    assert len(control) == 20
    for fact in control:
        assert not any(question in corpus for question in fact["questions"])
        for told in (fact["statement"], fact["answer"]):
            assert told[: len(told) // 2] not in corpus
    for fact in facts:
        assert fact["answer"] not in corpus
