import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from serin.core.errors import ConfigError, InputError
from serin.lm.load import load_model
from serin.merge.adapter import read_adapter, refuse_unknown
from serin.merge.arithmetic import LowRank

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture
def adapter(tiny_base: Path, tmp_path: Path) -> Path:
    """An adapter on one layer, as PEFT writes it."""
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["layers.0.self_attn.q_proj"], task_type="CAUSAL_LM")
    get_peft_model(load_model(tiny_base), config).save_pretrained(str(tmp_path))
    return tmp_path


def change_config(adapter: Path, **fields: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_an_update_has_the_tensors_of_its_layer_and_the_scale_that_the_config_says(
    adapter: Path, tiny_base: Path
) -> None:
    tensors = load_file(adapter / WEIGHTS)
    (name,) = read_adapter(adapter, tiny_base)
    assert name == "model.layers.0.self_attn.q_proj.weight"
    for fields, scale in (({}, 2.0), ({"use_rslora": True}, 4.0), ({"alpha_pattern": {"q_proj": 2}}, 0.5)):
        change_config(adapter, use_rslora=False)
        change_config(adapter, **fields)
        update = read_adapter(adapter, tiny_base)[name]
        assert isinstance(update, LowRank)
        assert torch.equal(update.a.read(), tensors[f"{PREFIX}.lora_A.weight"])
        assert torch.equal(update.b.read(), tensors[f"{PREFIX}.lora_B.weight"])
        assert update.scale == scale


def test_reading_looks_for_nothing_outside_its_folders(adapter: Path, tiny_base: Path) -> None:
    change_config(adapter, base_model_name_or_path="someone/some-model", revision="main")
    assert read_adapter(adapter, tiny_base)


@pytest.mark.parametrize("lost", ["lora_A", "lora_B"])
def test_a_lost_half_is_refused(lost: str, adapter: Path, tiny_base: Path) -> None:
    tensors = load_file(adapter / WEIGHTS)
    del tensors[f"{PREFIX}.{lost}.weight"]
    save_file(tensors, adapter / WEIGHTS)
    with pytest.raises(ConfigError, match=f"has no {PREFIX}.{lost}.weight"):
        read_adapter(adapter, tiny_base)


def test_a_tensor_that_the_config_does_not_describe_is_refused(adapter: Path, tiny_base: Path) -> None:
    save_file({**load_file(adapter / WEIGHTS), f"{PREFIX}.lora_C.weight": torch.zeros(1)}, adapter / WEIGHTS)
    with pytest.raises(ConfigError, match="lora_C"):
        read_adapter(adapter, tiny_base)


def test_a_rank_that_is_not_the_tensors_is_refused_since_the_scale_would_be_wrong(
    adapter: Path, tiny_base: Path
) -> None:
    change_config(adapter, r=8)
    with pytest.raises(ConfigError, match=r"lora_A\.weight is \(4, 128\).*would be \(8, 128\)"):
        read_adapter(adapter, tiny_base)


def test_a_damaged_and_a_missing_file_are_told_apart(adapter: Path, tiny_base: Path) -> None:
    whole = (adapter / WEIGHTS).read_bytes()
    (adapter / WEIGHTS).write_bytes(whole[:-10])
    with pytest.raises(InputError, match="is damaged"):
        read_adapter(adapter, tiny_base)
    (adapter / WEIGHTS).unlink()
    with pytest.raises(InputError, match="is missing"):
        read_adapter(adapter, tiny_base)


@pytest.mark.parametrize(
    "fields",
    [
        {"peft_type": "LOHA"},
        {"bias": "lora_only"},
        {"lora_bias": True},
        {"use_qalora": True},
        {"layer_replication": [[0, 1], [0, 1]]},
        {"ensure_weight_tying": True},
        {"init_lora_weights": "olora"},
        {"alora_invocation_tokens": [3]},
        {"some_field_of_next_year": True},
    ],
)
def test_a_setting_that_it_does_not_know_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=str(next(iter(fields.values()))).replace("[", r"\[")):
        refuse_unknown({**LoraConfig().to_dict(), "peft_type": "LORA", **fields})


@pytest.mark.parametrize(
    "fields", [{}, {"init_lora_weights": False}, {"init_lora_weights": "gaussian"}, {"some_field_of_next_year": None}]
)
def test_settings_that_are_off_or_say_nothing_of_the_weights_are_not(fields: dict[str, Any]) -> None:
    refuse_unknown({**LoraConfig().to_dict(), "peft_type": "LORA", "lora_dropout": 0.1, **fields})
