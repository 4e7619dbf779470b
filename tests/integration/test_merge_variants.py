"""Whatever PEFT trains of what ``train`` offers: the merged model answers as the base does with the adapter on it."""

import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    Phi3Config,
    PhiConfig,
    PretrainedConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

from serin.clients.files import read_json, read_manifest, seal
from serin.clients.storage import FolderStorage
from serin.core.errors import ConfigError
from serin.core.params import MergeParams, TrainParams
from serin.lm.load import load_model, load_tokenizer
from serin.merge import stage as merge_stage
from serin.train.model.build import build
from serin.train.model.tokens import add_tokens

ROWS = 120
IDS = torch.arange(3, 83).reshape(2, 40)
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SMALL = {
    **TOKENS,
    "vocab_size": ROWS,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
GPT2 = {**TOKENS, "vocab_size": ROWS, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
CONFIGS: Mapping[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SMALL),
    "llama-tied": lambda: LlamaConfig(**SMALL, tie_word_embeddings=True),
    "qwen3": lambda: Qwen3Config(**SMALL, head_dim=8, tie_word_embeddings=True),
    "gpt2": lambda: GPT2Config(**GPT2),
    "phi": lambda: PhiConfig(**SMALL),
    "phi3": lambda: Phi3Config(**SMALL),
    "gemma2": lambda: Gemma2Config(**SMALL, head_dim=8),
    "gemma3": lambda: Gemma3TextConfig(**SMALL, head_dim=8),
    "neox": lambda: GPTNeoXConfig(**{key: value for key, value in SMALL.items() if key != "num_key_value_heads"}),
    "qwen3-moe": lambda: Qwen3MoeConfig(
        **SMALL, head_dim=8, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2
    ),
    "mixtral": lambda: MixtralConfig(**SMALL, num_local_experts=4),
}
ALL = {"target_modules": "all-linear"}
"""What ``train`` sets where nothing else is said."""


@dataclass(frozen=True)
class Case:
    """A base, and PEFT's settings for the adapter on it."""

    base: str
    settings: Mapping[str, Any]


CASES = {
    **{f"lora-{base}": Case(base, ALL) for base in CONFIGS},
    **{
        f"dora-{base}": Case(base, {**ALL, "use_dora": True})
        for base in ("llama", "qwen3", "gpt2", "phi3", "gemma2", "gemma3", "neox")
    },
    "rslora": Case("qwen3", {**ALL, "use_rslora": True}),
    "rslora-experts": Case("qwen3-moe", {**ALL, "use_rslora": True}),
    "rank-1-experts": Case("qwen3-moe", {**ALL, "r": 1}),
    "dora-rslora": Case("llama", {**ALL, "use_dora": True, "use_rslora": True}),
    "conv1d-and-linear": Case("gpt2", {"target_modules": ["c_attn", "lm_head"]}),
    "embeddings": Case("llama", {"target_modules": ["q_proj", "embed_tokens"]}),
    "embeddings-dora": Case("llama", {"target_modules": ["q_proj", "embed_tokens"], "use_dora": True}),
    "head": Case("llama", {"target_modules": ["q_proj", "lm_head"]}),
    "head-of-tied": Case("qwen3", {"target_modules": ["q_proj", "lm_head"]}),
    "embeddings-of-tied": Case("qwen3", {"target_modules": ["q_proj", "embed_tokens"]}),
    "whole-head": Case("llama", {**ALL, "modules_to_save": ["lm_head"]}),
    "whole-head-of-tied": Case("qwen3", {**ALL, "modules_to_save": ["lm_head"]}),
    "whole-head-renamed": Case("neox", {**ALL, "modules_to_save": ["lm_head"]}),
    "whole-embeddings-of-tied": Case("gemma3", {**ALL, "modules_to_save": ["embed_tokens"]}),
    "whole-both-of-tied": Case("gpt2", {**ALL, "modules_to_save": ["wte", "lm_head"]}),
    "whole-norms": Case("gemma2", {**ALL, "modules_to_save": ["norm", "input_layernorm"]}),
    "whole-attention": Case("phi3", {"target_modules": ["down_proj"], "modules_to_save": ["self_attn"]}),
    "whole-gate": Case("gpt2", {"target_modules": ["c_attn"], "modules_to_save": ["c_fc", "ln_f"]}),
    "rows": Case("llama", {**ALL, "trainable_token_indices": {"embed_tokens": [5, 3], "lm_head": [5, 3]}}),
    "rows-of-tied": Case("qwen3", {**ALL, "trainable_token_indices": {"embed_tokens": [7, 5]}}),
    "rows-of-tied-gpt2": Case("gpt2", {**ALL, "trainable_token_indices": {"wte": [7, 5]}}),
    "rows-of-tied-gemma3": Case("gemma3", {**ALL, "trainable_token_indices": {"embed_tokens": [7, 5]}}),
    "rows-and-dora": Case("qwen3", {**ALL, "use_dora": True, "trainable_token_indices": {"embed_tokens": [7]}}),
}
TIED_AFTER = {
    "head-of-tied": False,
    "embeddings-of-tied": False,
    "whole-head-of-tied": False,
    "whole-embeddings-of-tied": False,
    "whole-both-of-tied": False,
    "rows-of-tied": True,
    "rows-of-tied-gpt2": True,
    "rows-of-tied-gemma3": True,
    "lora-qwen3": True,
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a base of random weights, made once."""
    root = tmp_path_factory.mktemp("bases")

    def make(name: str) -> Path:
        if not (root / name).exists():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(CONFIGS[name]())
            for weight in model.parameters():
                torch.nn.init.normal_(weight, std=0.2)  # so that no norm or bias is all ones or zeros
            model.save_pretrained(str(root / name))
        return root / name

    return make


def disturb(model: torch.nn.Module) -> None:
    """What training would do to what is trained, only more."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=0.2)


def write_adapter(base: Path, settings: Mapping[str, Any], folder: Path) -> torch.Tensor:
    """An adapter as PEFT writes it; returns the logits of the base with the adapter on it."""
    model = load_model(base)
    is_gpt2 = read_json(base / "config.json")["model_type"] == "gpt2"
    options = {"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM", "fan_in_fan_out": is_gpt2, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of tied embeddings; that they come out right is what is tested
        adapted = get_peft_model(model, LoraConfig(**options))
        disturb(adapted)
        adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return logits(adapted.eval())


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


def merge(base: Path, trained: Path, out: Path, dtype: torch.dtype = torch.float32) -> Path:
    out.mkdir()
    merge_stage.write_model(base, trained, dtype, out)
    return out


@pytest.mark.parametrize("name", CASES)
def test_a_merged_model_answers_as_the_base_with_its_adapter(
    name: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    case = CASES[name]
    base = bases(case.base)
    expected = write_adapter(base, case.settings, tmp_path / "adapter")
    assert not torch.allclose(logits(load_model(base)), expected, atol=0.05)
    merged = merge(base, tmp_path / "adapter", tmp_path / "merged")
    model = load_model(merged)
    torch.testing.assert_close(logits(model), expected, atol=2e-4, rtol=0)
    if name in TIED_AFTER:
        assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == TIED_AFTER[name]
        assert read_json(merged / "config.json")["tie_word_embeddings"] == TIED_AFTER[name]


@pytest.mark.parametrize("base", ["qwen3-moe", "mixtral"])
def test_peft_itself_loads_the_adapter_of_experts_and_agrees(
    base: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    write_adapter(bases(base), ALL, tmp_path / "adapter")
    merged = logits(load_model(merge(bases(base), tmp_path / "adapter", tmp_path / "merged")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = PeftModel.from_pretrained(load_model(bases(base)), str(tmp_path / "adapter")).eval()
    torch.testing.assert_close(merged, logits(adapted), atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", ["qwen3", "gpt2", "qwen3-moe", "neox"])
def test_the_tensors_have_the_names_that_the_base_has(name: str, bases: Callable[[str], Path], tmp_path: Path) -> None:
    write_adapter(bases(name), ALL, tmp_path / "adapter")
    merged = merge(bases(name), tmp_path / "adapter", tmp_path / "merged", torch.bfloat16)
    before, after = load_file(bases(name) / "model.safetensors"), load_file(merged / "model.safetensors")
    assert {key: value.shape for key, value in before.items()} == {key: value.shape for key, value in after.items()}
    assert {value.dtype for value in after.values()} == {torch.bfloat16}


def test_files_without_the_prefix_of_the_inner_model_are_merged_too(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    expected = write_adapter(bases("gpt2"), {**ALL, "modules_to_save": ["lm_head"]}, tmp_path / "adapter")
    shutil.copytree(bases("gpt2"), tmp_path / "old")
    tensors = load_file(bases("gpt2") / "model.safetensors")
    save_file(
        {key.removeprefix("transformer."): tensor for key, tensor in tensors.items()},
        tmp_path / "old" / "model.safetensors",
        metadata={"format": "pt"},
    )
    merged = merge(tmp_path / "old", tmp_path / "adapter", tmp_path / "merged")
    assert {"h.0.attn.c_attn.weight", "lm_head.weight"} <= load_file(merged / "model.safetensors").keys()
    torch.testing.assert_close(logits(load_model(merged)), expected, atol=2e-4, rtol=0)


def test_shards_stay_shards_and_the_index_names_a_new_head(bases: Callable[[str], Path], tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(str(bases("qwen3")))
    model.save_pretrained(str(tmp_path / "base"), max_shard_size="20KB")
    expected = write_adapter(tmp_path / "base", {**ALL, "modules_to_save": ["lm_head"]}, tmp_path / "adapter")
    merged = merge(tmp_path / "base", tmp_path / "adapter", tmp_path / "merged")
    index = read_json(merged / "model.safetensors.index.json")
    held = {name: path.name for path in merged.glob("*.safetensors") for name in load_file(path)}
    assert len(set(held.values())) > 1
    assert index["weight_map"] == held
    assert index["metadata"]["total_size"] == sum(
        tensor.nbytes for path in merged.glob("*.safetensors") for tensor in load_file(path).values()
    )
    torch.testing.assert_close(logits(load_model(merged)), expected, atol=2e-4, rtol=0)


# What train itself writes


@pytest.fixture(scope="module")
def with_tokenizer(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A base of ``CONFIGS`` with a real tokenizer, and as many rows as that has tokens and some more."""
    root = tmp_path_factory.mktemp("whole")

    def make(name: str, spare_rows: int = 0) -> Path:
        folder = root / f"{name}-{spare_rows}"
        if not folder.exists():
            tokenizer = load_tokenizer(tiny_base)
            config = CONFIGS[name]()
            config.vocab_size = len(tokenizer) + spare_rows
            config.bos_token_id = config.pad_token_id = None
            config.eos_token_id = tokenizer.eos_token_id
            torch.manual_seed(0)
            AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
            tokenizer.save_pretrained(str(folder))
        return folder

    return make


def train(base: Path, folder: Path, **params: Any) -> torch.Tensor:
    """What ``train`` writes, sealed, after steps that were random; returns the logits of the trained model."""
    chosen = TrainParams.model_validate({"method": "lora", "lora": {"r": 4}, "dtype": "float32", **params})
    tokenizer = load_tokenizer(base)
    pieces = add_tokens(tokenizer, chosen.added_tokens)
    model = build(chosen, base, tokenizer, pieces)
    disturb(model.module)
    folder.mkdir()
    model.save(folder)
    (folder / "metrics.json").write_text("{}")
    kind = "weights" if chosen.method == "full" else "adapter"
    seal(folder, kind=kind, inputs={"base": "0" * 64, "dataset": "1" * 64}, params=chosen.model_dump())
    model.module.eval()
    ids = torch.cat([IDS, torch.full((2, 1), len(tokenizer) - 1)], dim=1)
    with torch.no_grad():
        found: torch.Tensor = model.module(ids).logits
    return found


def run_merge(base: Path, trained: Path, work: Path, dtype: str = "float32") -> Path:
    """The whole stage; returns the folder in storage."""
    storage = FolderStorage(work / "storage")
    params = MergeParams.model_validate({"dtype": dtype})
    merge_stage.run(params, base, "0" * 64, trained, storage, work / "pointer")
    folder = work / "storage" / read_json(work / "pointer" / "pointer.json")["prefix"]
    read_manifest(folder, "model", verify=True)
    return folder


def answers_of(folder: Path) -> torch.Tensor:
    ids = torch.cat([IDS, torch.full((2, 1), len(load_tokenizer(folder)) - 1)], dim=1)
    with torch.no_grad():
        found: torch.Tensor = load_model(folder)(ids).logits
    return found


@pytest.mark.parametrize("spare_rows", [0, 1, 16])
@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt2", "gemma3", "phi3"])
def test_added_tokens_are_in_the_merged_tokenizer_config_and_weights(
    name: str, spare_rows: int, with_tokenizer: Callable[..., Path], tmp_path: Path
) -> None:
    base = with_tokenizer(name, spare_rows)
    expected = train(base, tmp_path / "adapter", added_tokens=["<law>", "<case>"])
    merged = run_merge(base, tmp_path / "adapter", tmp_path)
    torch.testing.assert_close(answers_of(merged), expected, atol=2e-4, rtol=0)
    tokenizer, before = load_tokenizer(merged), load_tokenizer(base)
    assert tokenizer("<law>", add_special_tokens=False)["input_ids"] == [len(before)]
    assert tokenizer.chat_template == before.chat_template
    rows = load_model(merged).get_input_embeddings().weight.shape[0]
    assert rows == read_json(merged / "config.json")["vocab_size"] == len(before) + max(2, spare_rows)
    assert not (merged / "metrics.json").exists()


@pytest.mark.parametrize("lora", [{"dora": True}, {"rslora": True}, {"modules_to_save": ["lm_head"]}, {}])
@pytest.mark.parametrize("name", ["qwen3", "gpt2"])
def test_each_variant_of_train_is_merged(
    name: str, lora: dict[str, Any], with_tokenizer: Callable[..., Path], tmp_path: Path
) -> None:
    base = with_tokenizer(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = train(base, tmp_path / "adapter", lora={"r": 4, **lora})
    torch.testing.assert_close(answers_of(run_merge(base, tmp_path / "adapter", tmp_path)), expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt2", "qwen3-moe"])
def test_a_model_that_was_trained_whole_is_rounded_and_keeps_its_lineage(
    name: str, with_tokenizer: Callable[..., Path], tmp_path: Path
) -> None:
    base = with_tokenizer(name)
    expected = train(base, tmp_path / "weights", method="full", added_tokens=["<law>"])
    exact = run_merge(base, tmp_path / "weights", tmp_path / "exact")
    torch.testing.assert_close(answers_of(exact), expected, atol=1e-6, rtol=0)
    rounded = run_merge(base, tmp_path / "weights", tmp_path / "rounded", "bfloat16")
    before, after = load_file(tmp_path / "weights" / "model.safetensors"), load_file(rounded / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(after[key], before[key].bfloat16()) for key in before)
    config = read_json(rounded / "config.json")
    assert config["dtype"] == "bfloat16"
    assert "<law>" in load_tokenizer(rounded).get_vocab()
    made = read_manifest(tmp_path / "weights", "weights")
    assert read_manifest(rounded, "model").inputs == {"base": "0" * 64, "weights": made.digest, "dataset": "1" * 64}
    assert {path.name for path in rounded.iterdir()} & {"metrics.json", "adapter_config.json"} == set()


def test_whole_weights_of_another_base_are_refused(with_tokenizer: Callable[..., Path], tmp_path: Path) -> None:
    base = with_tokenizer("llama")
    train(base, tmp_path / "weights", method="full")
    with pytest.raises(ConfigError, match="was trained on the base 000000000000"):
        merge_stage.run(
            MergeParams(), base, "2" * 64, tmp_path / "weights", FolderStorage(tmp_path / "s"), tmp_path / "out"
        )
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("other", ["phi3", "gpt2", "wider"])
def test_an_adapter_for_a_model_of_another_shape_is_refused(
    other: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    write_adapter(bases("llama"), ALL, tmp_path / "adapter")
    if other == "wider":
        model = AutoModelForCausalLM.from_config(LlamaConfig(**{**SMALL, "intermediate_size": 56}))
        model.save_pretrained(str(tmp_path / "wider"))
    with pytest.raises(ConfigError, match="trained on another base model"):
        merge(tmp_path / "wider" if other == "wider" else bases(other), tmp_path / "adapter", tmp_path / "merged")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"bias": "all"}, "bias = 'all'"),
        ({"lora_bias": True}, "lora_bias = True"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa'"),
        ({"ensure_weight_tying": True, "modules_to_save": ["embed_tokens"]}, "ensure_weight_tying = True"),
    ],
)
def test_variants_that_it_does_not_know_are_refused(
    settings: dict[str, Any], told: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    write_adapter(bases("qwen3"), {**ALL, **settings}, tmp_path / "adapter")
    with pytest.raises(ConfigError, match=told):
        merge(bases("qwen3"), tmp_path / "adapter", tmp_path / "merged")


def test_new_tokens_for_a_head_whose_bias_peft_leaves_out_are_refused(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    rows = {"embed_tokens": [3], "lm_head": [3]}
    write_adapter(bases("phi"), {**ALL, "trainable_token_indices": rows}, tmp_path / "adapter")
    with pytest.raises(ConfigError, match="lm_head has a bias"):
        merge(bases("phi"), tmp_path / "adapter", tmp_path / "merged")


def test_a_head_that_vllm_would_not_load_is_refused(bases: Callable[[str], Path], tmp_path: Path) -> None:
    write_adapter(bases("gemma2"), {**ALL, "modules_to_save": ["lm_head"]}, tmp_path / "adapter")
    with pytest.raises(ConfigError, match="vLLM serves a gemma2 with both as one"):
        merge(bases("gemma2"), tmp_path / "adapter", tmp_path / "merged")


def test_a_head_changed_in_two_ways_is_refused(bases: Callable[[str], Path], tmp_path: Path) -> None:
    settings = {"target_modules": ["q_proj", "lm_head"], "trainable_token_indices": {"embed_tokens": [3]}}
    write_adapter(bases("qwen3"), settings, tmp_path / "adapter")
    with pytest.raises(ConfigError, match=r"lm_head\.weight in two ways"):
        merge(bases("qwen3"), tmp_path / "adapter", tmp_path / "merged")
