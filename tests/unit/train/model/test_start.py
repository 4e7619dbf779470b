import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from serin.core.errors import ConfigError, InputError
from serin.core.params import TrainParams
from serin.lm.load import load_model, load_tokenizer
from serin.train.model.build import TrainableModel, build

Tensors = dict[str, torch.Tensor]


def made(base: Path, start: Path | None = None, **train: object) -> TrainableModel:
    given = {"lora": {"r": 4, "alpha": 8}, "start_from": start and str(start), **train}
    return build(TrainParams.model_validate(given), base, load_tokenizer(base), [])


@pytest.fixture(scope="module")
def first(tiny_base: Path) -> TrainableModel:
    """An adapter whose every weight has moved."""
    model = made(tiny_base)
    with torch.no_grad():
        for weight in model.trained.values():
            weight.add_(0.25)
    return model


@pytest.fixture
def adapter(first: TrainableModel, tmp_path: Path) -> Path:
    first.save(tmp_path / "adapter")
    return tmp_path / "adapter"


def altered(adapter: Path, change: Callable[[Tensors], Tensors] = dict, **config: object) -> Path:
    folder = shutil.copytree(adapter, adapter.parent / "altered")
    given = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**given, **config}))
    save_file(change(load_file(folder / "adapter_model.safetensors")), folder / "adapter_model.safetensors")
    return folder


def test_a_run_goes_on_from_the_weights_of_an_adapter_whatever_its_seed(
    tiny_base: Path, adapter: Path, first: TrainableModel
) -> None:
    second = made(tiny_base, adapter, seed=99, lora={"r": 4, "alpha": 8, "dropout": 0.1})
    assert all(torch.equal(first.weights()[name], weight) for name, weight in second.weights().items())


def test_an_adapter_of_plain_peft_will_do_though_it_names_its_layers_otherwise(tiny_base: Path, tmp_path: Path) -> None:
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=4, lora_alpha=8, target_modules=layers, init_lora_weights="gaussian", task_type="CAUSAL_LM")
    plain = get_peft_model(load_model(tiny_base, torch.bfloat16), config)
    plain.save_pretrained(str(tmp_path / "plain"))
    found = made(tiny_base, tmp_path / "plain").weights()
    saved = load_file(tmp_path / "plain" / "adapter_model.safetensors")
    assert len(found) == len(saved)
    assert all(torch.equal(found[name.replace(".weight", ".default.weight")], saved[name]) for name in saved)


def test_every_difference_of_params_is_named_at_once(tiny_base: Path, adapter: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"r 4 there, 8 in params; use_rslora None there, True in params; 28 tensors have"
    ):
        made(tiny_base, adapter, lora={"r": 8, "alpha": 8, "rslora": True})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"alpha_pattern": {"q_proj": 64}}, "alpha_pattern {'q_proj': 64} there, None in params"),
        ({"peft_type": "IA3"}, "peft_type 'IA3' there, 'LORA' in params"),
        ({"bias": "all"}, "bias 'all' there, 'none' in params"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa' there, True in params"),
        ({"of_a_later_peft": 1}, "of_a_later_peft 1 there, None in params"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_variant_that_params_cannot_say_is_refused(
    tiny_base: Path, adapter: Path, config: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        made(tiny_base, altered(adapter, **config))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: {n: w for n, w in t.items() if "layers.1" not in n}, "14 tensors are not there, such as base_model"),
        (lambda t: {**t, "base_model.model.x.lora_A.weight": torch.ones(4, 4)}, "1 tensors have no place by params"),
        (lambda t: {n: w[:, :3].contiguous() for n, w in t.items()}, "28 tensors have another shape"),
    ],
    ids=["fewer", "more", "other shapes"],
)
def test_tensors_of_another_adapter_are_refused_and_not_taken_in_part(
    tiny_base: Path, adapter: Path, change: Callable[[Tensors], Tensors], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        made(tiny_base, altered(adapter, change))


def test_a_damaged_file_is_told_of(tiny_base: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(InputError, match=r"adapter_model\.safetensors is missing or damaged"):
        made(tiny_base, adapter)
