"""What will be quantised is known from a config alone."""

from pathlib import Path

import pytest
from transformers import GPT2Config, Qwen3Config, Qwen3MoeConfig

from serin.core.errors import ConfigError
from serin.quantise.layers import read_layers

SMALL = {"vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 16}


def test_every_linear_layer_but_the_head_is_taken_with_its_inputs(tmp_path: Path) -> None:
    Qwen3Config(**SMALL, intermediate_size=96, num_key_value_heads=1).save_pretrained(tmp_path)
    layers = read_layers(tmp_path)
    assert len(layers.widths) == 2 * 7
    assert layers.widths["model.layers.1.mlp.down_proj"] == 96
    assert layers.widths["model.layers.1.self_attn.o_proj"] == 32
    assert not [name for name in layers.widths if "lm_head" in name or "embed" in name]


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_head_is_no_weight_of_its_own(tied: bool, tmp_path: Path) -> None:
    Qwen3Config(**SMALL, num_key_value_heads=1, tie_word_embeddings=tied).save_pretrained(tmp_path)
    layers = read_layers(tmp_path)
    assert "model.embed_tokens.weight" in layers.weights
    assert ("lm_head.weight" in layers.weights) is not tied


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    Qwen3MoeConfig(**SMALL, num_key_value_heads=1, num_experts=4, moe_intermediate_size=32).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="mixture of experts"):
        read_layers(tmp_path)


def test_a_model_without_linear_layers_is_refused(tmp_path: Path) -> None:
    GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=2).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="no linear layers"):
        read_layers(tmp_path)


def test_a_quantised_model_is_not_quantised_again(tmp_path: Path) -> None:
    config = Qwen3Config(**SMALL, num_key_value_heads=1)
    config.quantization_config = {"quant_method": "compressed-tensors"}
    config.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="quantised already"):
        read_layers(tmp_path)
