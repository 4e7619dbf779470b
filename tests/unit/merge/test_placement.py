from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3MoeConfig

from serin.core.errors import ConfigError
from serin.merge.adapter import ExpertsLowRank
from serin.merge.arithmetic import LowRank, Rows, Whole
from serin.merge.placement import place

SMALL: Mapping[str, Any] = {
    "vocab_size": 20,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "bos_token_id": None,
    "eos_token_id": 1,
}
EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def base(folder: Path, config: Any) -> Path:
    AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    return folder


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    return base(tmp_path / "tied", Qwen3Config(**SMALL, tie_word_embeddings=True))


@pytest.fixture
def untied(tmp_path: Path) -> Path:
    return base(tmp_path / "untied", Qwen3Config(**SMALL, tie_word_embeddings=False))


def test_an_update_that_tied_weights_share_leaves_them_tied(tied: Path) -> None:
    rows = Rows((3,), torch.zeros(1, 8))
    changes = place({EMBEDDINGS: rows, HEAD: rows}, tied)
    assert changes.updates == {EMBEDDINGS: rows}
    assert (changes.parted, changes.unties, changes.vocabulary) == ({}, False, None)


def test_tied_weights_that_change_differently_part(tied: Path) -> None:
    new = Whole(torch.zeros(20, 8))
    changes = place({HEAD: new}, tied)
    assert changes.updates == {HEAD: new}
    assert (changes.parted, changes.unties) == ({HEAD: EMBEDDINGS}, True)
    assert place({EMBEDDINGS: new}, tied).parted == {HEAD: EMBEDDINGS}


def test_a_base_that_keeps_the_head_alone_gets_embeddings(tied: Path) -> None:
    tensors = load_file(tied / "model.safetensors")
    tensors[HEAD] = tensors.pop(EMBEDDINGS)
    save_file(tensors, tied / "model.safetensors")
    rows, new = Rows((3,), torch.zeros(1, 8)), Whole(torch.zeros(20, 8))
    assert place({EMBEDDINGS: rows, HEAD: rows}, tied).updates == {HEAD: rows}
    assert place({EMBEDDINGS: new}, tied).parted == {EMBEDDINGS: HEAD}


def test_a_base_that_keeps_both_has_both_changed(tied: Path) -> None:
    tensors = load_file(tied / "model.safetensors")
    save_file({**tensors, HEAD: tensors[EMBEDDINGS].clone()}, tied / "model.safetensors")
    rows = Rows((3,), torch.zeros(1, 8))
    assert place({EMBEDDINGS: rows, HEAD: rows}, tied).updates == {EMBEDDINGS: rows, HEAD: rows}


def test_new_rows_have_to_be_in_every_table(untied: Path) -> None:
    rows = Rows((20, 21), torch.zeros(2, 8))
    assert place({EMBEDDINGS: rows, HEAD: rows}, untied).vocabulary == 22
    with pytest.raises(ConfigError, match=r"lm_head\.weight has no rows"):
        place({EMBEDDINGS: rows}, untied)


def test_each_expert_gets_its_own_part(tmp_path: Path) -> None:
    settings = {"moe_intermediate_size": 6, "num_experts": 3, "num_experts_per_tok": 2}
    folder = base(tmp_path / "moe", Qwen3MoeConfig(**SMALL, **settings))
    a, b = torch.randn(3, 2, 8), torch.randn(3, 12, 2)
    changes = place({"model.layers.0.mlp.experts.gate_up_proj": ExpertsLowRank(a, b, 0.5)}, folder)
    assert len(changes.updates) == 6
    for expert in range(3):
        for part, rows in (("gate_proj", slice(0, 6)), ("up_proj", slice(6, 12))):
            update = changes.updates[f"model.layers.0.mlp.experts.{expert}.{part}.weight"]
            assert isinstance(update, LowRank)
            assert torch.equal(update.a.read(), a[expert])
            assert torch.equal(update.b.read(), b[expert, rows])
            assert update.scale == 0.5


def test_a_weight_that_the_base_does_not_have_is_refused(tied: Path) -> None:
    new = Whole(torch.zeros(20, 8))
    with pytest.raises(ConfigError, match=r"model\.layers\.7\.mlp\.up_proj\.weight, and the base has no such weight"):
        place({"model.layers.7.mlp.up_proj.weight": new}, tied)
    tensors = load_file(tied / "model.safetensors")
    del tensors[EMBEDDINGS]
    save_file(tensors, tied / "model.safetensors")
    with pytest.raises(ConfigError, match=rf"{EMBEDDINGS}, and the base has no such weight"):
        place({EMBEDDINGS: new, HEAD: new}, tied)
