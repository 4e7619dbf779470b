"""Of the variants that no other test of a plan takes; each is counted as training would."""

from pathlib import Path

import pytest

from serin.core.params import TrainParams
from serin.lm.load import load_tokenizer, read_config
from serin.train.model.build import build
from serin.train.model.tokens import add_tokens
from serin.train.plan.devices import Device
from serin.train.plan.memory import Estimator

VARIANTS = [
    {"added_tokens": ["<note>", "<law>"]},
    {"method": "lora", "lora": {"r": 4, "modules_to_save": ["lm_head"]}},
    {"lora": {"r": 4, "target_modules": ["q_proj", "down_proj"]}},
    {"lora": {"r": 16, "rslora": True, "plus_ratio": 8.0}, "neftune_alpha": 5.0},
    {"attention": "eager"},
]


@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings")  # lm_head is trained whole on a model that ties it
@pytest.mark.parametrize("train", VARIANTS, ids=str)
def test_what_is_trained_is_counted_without_weights(tiny_base: Path, train: dict[str, object]) -> None:
    params = TrainParams.model_validate(train)
    tokenizer = load_tokenizer(tiny_base)
    model = build(params, tiny_base, tokenizer, add_tokens(tokenizer, params.added_tokens))
    estimator = Estimator(read_config(tiny_base), params, Device("CPU", 1 << 40))
    assert estimator.counts.trained == model.counts.trained
    assert estimator.estimate([(20, 10)]).memory.total_bytes > 0
