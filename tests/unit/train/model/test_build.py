import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from serin.core.errors import ConfigError
from serin.core.params import TrainParams
from serin.lm.chat import Example
from serin.lm.load import load_for_training, load_model, load_tokenizer
from serin.lm.packing import lay_out, target_logits, target_nll
from serin.train.model.build import TrainableModel, build
from serin.train.model.tokens import add_tokens

EXAMPLE = Example("r", tuple(range(5, 45)), tuple(range(5, 45)))


def made(base: Path, **train: object) -> TrainableModel:
    params = TrainParams.model_validate({"lora": {"r": 4, "alpha": 8}, **train})
    tokenizer = load_tokenizer(base)
    return build(params, base, tokenizer, add_tokens(tokenizer, params.added_tokens))


def shaken(model: TrainableModel, seed: int = 1) -> TrainableModel:
    """With every trained weight moved, as training would."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.trained.values():
            weight.add_(torch.randn_like(weight) * 0.05)
    return model


def logits(module: torch.nn.Module) -> torch.Tensor:
    module.eval()
    with torch.no_grad():
        return target_logits(module, lay_out([EXAMPLE], "padded"))


@pytest.mark.parametrize("tokens", [[], ["probationary"]], ids=["adapter", "with tokens"])
def test_the_start_is_a_function_of_the_seed(tiny_base: Path, tokens: list[str]) -> None:
    state = torch.get_rng_state()
    first, again, other = (made(tiny_base, seed=seed, added_tokens=tokens).weights() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ({"lora": {"target_modules": ["no_such"]}}, "train.lora.target_modules = \\['no_such'\\]"),
        (
            {"lora": {"modules_to_save": ["no_such"]}},
            "train.lora.modules_to_save = \\['no_such'\\]: the base model has no",
        ),
        ({"lora": {"r": 65}}, r"train.lora.r = 65: model.layers.0.self_attn.k_proj is \d+ x \d+, so a rank above \d+"),
        ({"lora": {"target_modules": ["q_proj", "no_such"]}}, "train.lora.target_modules = \\['no_such'\\]"),
        ({"lora": {"target_modules": "["}}, "train.lora.target_modules = '\\[': unterminated"),
        ({"lora": {"modules_to_save": ["self_attn"]}}, "takes in model.layers.0.self_attn, which is in 4 bits"),
        (
            {"added_tokens": ["new"], "lora": {"modules_to_save": ["embed_tokens"]}},
            "modules_to_save = \\['embed_tokens'\\] trains every row, and train.added_tokens the new ones alone",
        ),
        ({"added_tokens": ["<|im_end|>"]}, "the tokenizer has these already"),
        ({"added_tokens": [""]}, "the tokenizer does not take an empty one"),
        ({"attention": "flash_attention_2"}, "needs a GPU and the package flash-attn"),
    ],
)
def test_what_the_model_cannot_do_is_refused(tiny_base: Path, train: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        made(tiny_base, **train)


def test_modules_to_save_are_trained_whole_and_read_back_by_plain_peft(tiny_base: Path, tmp_path: Path) -> None:
    model = shaken(made(tiny_base, method="lora", lora={"r": 4, "modules_to_save": ["norm"]}))
    assert any("modules_to_save" in name for name in model.trained)
    model.save(tmp_path / "adapter")
    plain = PeftModel.from_pretrained(load_model(tiny_base), str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(plain), logits(model.module), rtol=0, atol=2e-5)


def test_new_tokens_have_rows_of_their_own_and_only_these_are_trained(tiny_base: Path, tmp_path: Path) -> None:
    model = made(tiny_base, method="lora", added_tokens=["probationary"])
    tokenizer = model.tokenizer
    (new,) = tokenizer("probationary", add_special_tokens=False)["input_ids"]
    before = load_model(tiny_base).get_input_embeddings().weight
    pieces = load_tokenizer(tiny_base)("probationary", add_special_tokens=False)["input_ids"]
    rows = [weight for name, weight in model.trained.items() if "trainable_tokens_delta" in name]
    assert len(rows) == 1
    torch.testing.assert_close(rows[0].detach()[0], before[pieces].mean(0), rtol=0, atol=1e-6)
    model.module.train()
    example = Example("n", (5, 6, new, 7), (5, 6, new, 7))
    target_nll(model.module, lay_out([example], "packed")).backward()
    assert rows[0].grad is not None
    assert bool(rows[0].grad.any())
    shaken(model).save(tmp_path / "adapter")
    saved = AutoTokenizer.from_pretrained(str(tmp_path / "adapter"))
    assert saved("probationary", add_special_tokens=False)["input_ids"] == [new]
    grown = load_model(tiny_base)
    grown.resize_token_embeddings(len(saved), mean_resizing=False)
    plain = PeftModel.from_pretrained(grown, str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(plain), logits(model.module), rtol=0, atol=2e-5)


def test_b_matrices_learn_faster_with_lora_plus_and_vectors_do_not_decay(tiny_base: Path) -> None:
    groups = made(tiny_base, lora={"r": 4, "dora": True, "plus_ratio": 16.0}).groups()
    rates = {name: group.rate_ratio for group in groups for name in group.weights}
    assert {rate for name, rate in rates.items() if "lora_B" in name} == {16.0}
    assert {rate for name, rate in rates.items() if "lora_B" not in name} == {1.0}
    assert all("magnitude" in name for group in groups if not group.decays for name in group.weights)


def test_full_training_keeps_tied_weights_tied_and_saves_a_plain_folder(tiny_base: Path, tmp_path: Path) -> None:
    model = shaken(made(tiny_base, method="full"))
    expected = logits(model.module)
    model.save(tmp_path / "weights")
    plain = AutoModelForCausalLM.from_pretrained(str(tmp_path / "weights"))
    assert plain.dtype == torch.float32
    assert plain.config.tie_word_embeddings == load_model(tiny_base).config.tie_word_embeddings
    torch.testing.assert_close(logits(plain), expected, rtol=0, atol=2e-5)
    assert {"chat_template.jinja", "tokenizer.json", "generation_config.json"} <= {
        p.name for p in (tmp_path / "weights").iterdir()
    }
    assert "_name_or_path" not in json.loads((tmp_path / "weights" / "config.json").read_text())


def walked(weights: list[torch.Tensor], gradients: list[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """How far each weight goes in 200 steps of AdamW at a rate of 1e-5, kept in ``dtype``; up to 2e-3."""
    start = torch.cat([weight.flatten() for weight in weights]).to(dtype)
    weight = torch.nn.Parameter(start.clone())
    weight.grad = torch.cat([gradient.flatten() for gradient in gradients]).to(dtype)
    adam = torch.optim.AdamW([weight], lr=1e-5, weight_decay=0.0)
    for _ in range(200):
        adam.step()
    return (weight.detach() - start).abs().float()


def test_updates_too_small_for_bfloat16_are_kept(tiny_base: Path) -> None:
    model = shaken(made(tiny_base, dtype="bfloat16"))
    model.module.train()
    with torch.autocast("cpu", torch.bfloat16):
        target_nll(model.module, lay_out([EXAMPLE], "packed")).backward()
    weights = list(model.weights().values())
    gradients = [weight.grad for weight in model.trained.values() if weight.grad is not None]
    dtype = weights[0].dtype
    assert float((walked(weights, gradients, dtype) > 1.9e-3).float().mean()) > 0.95
    assert float((walked(weights, gradients, torch.bfloat16) == 0).float().mean()) > 0.5


@pytest.mark.parametrize(
    "train",
    [
        {},
        {"method": "full"},
        {"added_tokens": ["probationary"]},
        {"lora": {"r": 4, "modules_to_save": ["embed_tokens"]}},
        {"lora": {"r": 4, "target_modules": ["embed_tokens", "q_proj"]}},
    ],
    ids=["qlora", "full", "rows", "whole", "low rank"],
)
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")  # PEFT's, of merging
def test_noise_reaches_the_model_however_its_embeddings_are_trained(tiny_base: Path, train: dict[str, object]) -> None:
    model = made(tiny_base, neftune_alpha=5.0, **train)
    assert model.noise is not None
    model.module.train()
    model.noise.lengths = (len(EXAMPLE.input_ids),)
    first, second = (target_logits(model.module, lay_out([EXAMPLE], "packed")).detach() for _ in range(2))
    assert float((first - second).abs().max()) > 1e-3


def test_a_4_bit_weight_counts_as_one(tiny_base: Path) -> None:
    assert made(tiny_base, method="qlora").counts == made(tiny_base, method="lora").counts


def test_noise_is_each_examples_own_and_there_in_training_alone(tiny_base: Path) -> None:
    model = made(tiny_base, neftune_alpha=5.0)
    assert model.noise is not None
    embeddings = model.module.get_base_model().get_input_embeddings()  # type: ignore[operator]  # PEFT's, typed as Tensor
    ids = torch.arange(5, 55)[None]
    model.module.eval()
    clean = embeddings(ids)
    model.module.train()
    model.noise.lengths = (10, 40)
    noise = (embeddings(ids) - clean).abs()[0]
    width = clean.shape[-1]
    for part, length in ((noise[:10], 10), (noise[10:], 40)):
        bound = 5.0 / (length * width) ** 0.5
        assert bound * 0.95 < float(part.max()) <= bound * 1.0001


def test_other_models_than_causal_ones_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))
    with pytest.raises(ConfigError, match="holds a t5 model: expected a causal language model"):
        load_for_training(folder, nf4=False, dtype=torch.float32, attention="auto")
    (folder / "config.json").write_text(
        json.dumps({**config, "model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}})
    )
    with pytest.raises(ConfigError, match="without code of its own"):
        load_for_training(folder, nf4=False, dtype=torch.float32, attention="auto")


def test_the_saved_bytes_do_not_depend_on_the_order_of_hashes(tiny_base: Path, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from serin.core.params import TrainParams
from serin.lm.load import load_tokenizer
from serin.train.model.build import build
from serin.train.model.tokens import add_tokens
base, out = map(Path, sys.argv[1:])
for name, train in {
    "adapter": {"lora": {"r": 4, "dora": True, "modules_to_save": ["norm"]}},
    "tokens": {"method": "lora", "lora": {"r": 4, "target_modules": ["v_proj", "q_proj"]}, "added_tokens": ["newer", "new"]},
    "full": {"method": "full"},
}.items():
    params, tokenizer = TrainParams.model_validate(train), load_tokenizer(base)
    build(params, base, tokenizer, add_tokens(tokenizer, params.added_tokens)).save(out / name)
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tiny_base), str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert [process.wait() for process in running] == [0, 0]
    first, second = (
        {
            str(p.relative_to(tmp_path / seed)): p.read_bytes()
            for p in sorted((tmp_path / seed).rglob("*"))
            if p.is_file()
        }
        for seed in ("1", "2")
    )
    assert [name for name in first if first[name] != second[name]] == []
    assert first.keys() == second.keys()
    assert sorted(name for name in first if name.startswith("adapter/")) == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    ]
    assert not any(str(tiny_base).encode() in content for content in first.values())
