"""Only a model that answers as the base with its adapter does is let through, however large the adapter's effect is."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MixtralConfig, PretrainedConfig, Qwen3Config
from transformers.models.llama.modeling_llama import LlamaMLP

from serin.core.errors import FinalError
from serin.lm.load import load_model
from serin.merge import stage
from serin.merge.adapter import read_adapter
from serin.merge.arithmetic import LowRank
from serin.merge.base import FullBase
from serin.merge.parity import check_parity, prompts
from serin.merge.placement import Changes, place
from serin.merge.streamed import Streamed
from serin.merge.threads import one_thread

TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SMALL = {
    **{**TOKENS, "vocab_size": 160, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3},
    **{"num_attention_heads": 4, "num_key_value_heads": 2},
}
CONFIGS: Mapping[str, Callable[[], PretrainedConfig]] = {
    "qwen3-tied": lambda: Qwen3Config(**SMALL, head_dim=16, tie_word_embeddings=True),
    "llama": lambda: LlamaConfig(**SMALL),
    "gpt2": lambda: GPT2Config(**TOKENS, vocab_size=160, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "large-vocabulary": lambda: LlamaConfig(**{**SMALL, "vocab_size": 20000, "hidden_size": 32}),
    "mixtral": lambda: MixtralConfig(**SMALL, num_local_experts=4),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A bfloat16 base of random weights, made once."""
    root = tmp_path_factory.mktemp("bases")

    def make(name: str) -> Path:
        if not (root / name).exists():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(CONFIGS[name]()).to(torch.bfloat16)
            for weight in model.parameters():
                torch.nn.init.normal_(weight, std=0.15)
            model.save_pretrained(str(root / name))
        return root / name

    return make


def write_adapter(base: Path, folder: Path, size: float, **settings: Any) -> Path:
    """An adapter whose B matrices are of some size."""
    torch.manual_seed(1)
    chosen = {
        "target_modules": "all-linear",
        "r": 4,
        "lora_alpha": 8,
        "fan_in_fan_out": base.name == "gpt2",
        **settings,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = get_peft_model(load_model(base), LoraConfig(task_type="CAUSAL_LM", **chosen))
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn_like(weight), alpha=size if "lora_B" in name else 0.01)
        adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def merged_of(base: Path, adapter: Path, out: Path, dtype: torch.dtype = torch.bfloat16) -> tuple[Path, Changes]:
    out.mkdir()
    stage.write_model(base, adapter, dtype, out)
    return out, place(read_adapter(adapter, base), base)


@pytest.mark.parametrize("size", [0.2, 0.002])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_right_merge_is_let_through_and_its_figures_are_told(
    name: str, size: float, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    base = bases(name)
    adapter = write_adapter(base, tmp_path / "adapter", size)
    folder, changes = merged_of(base, adapter, tmp_path / "merged")
    figures = check_parity(base, FullBase(), adapter, folder, changes)
    assert figures["error"]["typical"] < figures["tolerance"]["typical"] < 0.1
    assert figures["effect_of_the_adapter"] > 0
    assert check_parity(base, FullBase(), adapter, folder, changes) == figures


@pytest.mark.parametrize(("size", "dtype"), [(0.2, torch.bfloat16), (0.002, torch.float32)])
@pytest.mark.parametrize("name", ["qwen3-tied", "gpt2", "mixtral"])
def test_a_merge_that_left_the_adapter_out_or_scaled_it_wrongly_is_refused(
    name: str, size: float, dtype: torch.dtype, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    base = bases(name)
    adapter = write_adapter(base, tmp_path / "adapter", size)
    changes = place(read_adapter(adapter, base), base)
    for scale in (0.0, 0.9, -1.0):
        out = tmp_path / f"scaled-{scale}"
        out.mkdir()
        wrong = {
            key: replace(update, scale=update.scale * scale) if isinstance(update, LowRank) else update
            for key, update in changes.updates.items()
        }
        stage.write_weights(base, replace(changes, updates=wrong), dtype, out)
        stage.copy_files(base, adapter, out)
        with pytest.raises(FinalError, match="does not answer as the base with the adapter"):
            check_parity(base, FullBase(), adapter, out, changes)


def test_what_rounding_takes_away_of_a_small_adapter_is_told(bases: Callable[[str], Path], tmp_path: Path) -> None:
    base = bases("llama")
    lost = []
    for size in (0.1, 1e-5):
        adapter = write_adapter(base, tmp_path / f"adapter-{size}", size)
        folder, changes = merged_of(base, adapter, tmp_path / f"merged-{size}")
        lost.append(check_parity(base, FullBase(), adapter, folder, changes)["lost_share_of_effect"])
    assert abs(lost[0]) < 0.01
    assert lost[1] > 0.9


def test_one_wrong_tensor_is_refused(bases: Callable[[str], Path], tmp_path: Path) -> None:
    base = bases("llama")
    adapter = write_adapter(base, tmp_path / "adapter", 0.2)
    folder, changes = merged_of(base, adapter, tmp_path / "merged")
    name = "model.layers.1.mlp.down_proj.weight"
    lost = {name: load_file(base / "model.safetensors")[name]}
    wrong = {**load_file(folder / "model.safetensors"), **lost}
    save_file(wrong, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FinalError, match="nothing was stored"):
        check_parity(base, FullBase(), adapter, folder, changes)


def test_one_wrong_row_of_a_large_head_is_refused(bases: Callable[[str], Path], tmp_path: Path) -> None:
    base = bases("large-vocabulary")
    adapter = write_adapter(base, tmp_path / "adapter", 0.2)
    folder, changes = merged_of(base, adapter, tmp_path / "merged")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"][7777] *= 0.5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FinalError, match="nothing was stored"):
        check_parity(base, FullBase(), adapter, folder, changes)


def test_rows_that_the_adapter_replaces_are_among_those_that_are_compared(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    base = bases("llama")
    rows = sorted(set(range(160)) - set(prompts(160).flatten().tolist()))[:2]
    adapter = write_adapter(base, tmp_path / "adapter", 0.2, trainable_token_indices={"embed_tokens": rows})
    folder, changes = merged_of(base, adapter, tmp_path / "merged", torch.float32)
    check_parity(base, FullBase(), adapter, folder, changes)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"][rows[0]] *= 1.5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FinalError):
        check_parity(base, FullBase(), adapter, folder, changes)


@pytest.mark.parametrize("name", CONFIGS)
def test_layer_by_layer_a_model_gives_the_logits_that_it_gives_in_memory(
    name: str, bases: Callable[[str], Path]
) -> None:
    base, ids = bases(name), prompts(CONFIGS[name]().vocab_size)
    streamed = Streamed(base, FullBase())
    assert streamed.is_streamed == (name != "mixtral")  # transformers keeps experts in one tensor, and files each apart
    with torch.no_grad(), one_thread():
        assert torch.equal(streamed.logits(ids), load_model(base)(ids).logits)
    if streamed.is_streamed:
        assert not list(streamed.module.parameters())


def test_a_model_that_reads_a_layers_weights_without_calling_it_is_read_by_whole_layers(
    bases: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        inner = self.act_fn(hidden @ self.gate_proj.weight.T) * self.up_proj(hidden)
        found: torch.Tensor = self.down_proj(inner)
        return found

    base, ids = bases("llama"), prompts(160)
    with torch.no_grad():
        expected = load_model(base)(ids).logits
    monkeypatch.setattr(LlamaMLP, "forward", forward)
    torch.testing.assert_close(Streamed(base, FullBase()).logits(ids), expected, rtol=0, atol=1e-4)
