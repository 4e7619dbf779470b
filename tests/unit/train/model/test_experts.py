import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    Glm4MoeConfig,
    MambaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2MoeConfig,
)

from serin.core.params import LoraParams, TrainParams
from serin.train.model.experts import adaptable_layers, has_experts, linear_layers, notes_on
from serin.train.model.lora import attach_adapter

SIZES = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
ROUTED = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
SHARED = Glm4MoeConfig(**SIZES, **HEADS, **ROUTED, head_dim=16, n_routed_experts=4, first_k_dense_replace=1, n_group=1)
"""A dense block, then one of experts with a shared one."""
GATED = Qwen2MoeConfig(
    **SIZES, **HEADS, **ROUTED, num_experts=4, shared_expert_intermediate_size=32, decoder_sparse_step=1
)
"""The shared expert has a gate of one output."""


def made(config: PretrainedConfig) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def adapted_by(model: torch.nn.Module) -> set[str]:
    return {
        name.split(".lora_A")[0].removeprefix("base_model.model.")
        for name, _ in model.named_parameters()
        if "lora_A" in name
    }


def test_layers_that_peft_would_take_for_experts_are_left_out_and_told_of() -> None:
    model = made(SHARED)
    params = TrainParams(method="lora", lora=LoraParams(r=4, dropout=0.1))
    layers = adaptable_layers(model)
    assert {name.rpartition(".")[2] for name in layers} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    notes = notes_on(model, params)
    assert notes[0].startswith("2 tensors of experts")
    assert notes[1].startswith("6 linear layers of shared experts and dense blocks are not adapted")
    assert adapted_by(attach_adapter(model, params, None)) == set(layers)


def test_a_gate_of_one_output_is_no_layer_to_adapt() -> None:
    model = made(GATED)
    assert not any("shared_expert_gate" in name for name in linear_layers(model))
    assert adapted_by(attach_adapter(model, TrainParams(method="lora", lora=LoraParams(r=4)), None))


def test_convolutions_of_hybrid_models_are_no_experts() -> None:
    model = made(MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=8))
    assert any(weight.ndim == 3 for weight in model.parameters())
    assert not has_experts(model)
    assert notes_on(model, TrainParams()) == ()


def test_the_names_that_are_left_are_those_that_plain_peft_takes_as_they_are() -> None:
    config = LoraConfig(r=4, target_modules=adaptable_layers(made(SHARED)))
    assert len(adapted_by(get_peft_model(made(SHARED), config))) == 8
    assert not config.target_parameters
