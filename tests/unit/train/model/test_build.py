import hashlib
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


def test_the_start_is_a_function_of_the_seed(tiny_base: Path) -> None:
    state = torch.get_rng_state()
    first, again, other = (made(tiny_base, seed=seed).weights() for seed in (1, 1, 2))
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
        ({"added_tokens": ["<|im_end|>"]}, "the tokenizer has these already"),
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


def test_a_run_goes_on_from_an_adapter_of_the_same_shape_alone(tiny_base: Path, tmp_path: Path) -> None:
    first = shaken(made(tiny_base))
    first.save(tmp_path / "adapter")
    second = made(tiny_base, start_from=str(tmp_path / "adapter"), seed=99)
    assert all(torch.equal(first.weights()[name], weight) for name, weight in second.weights().items())
    with pytest.raises(ConfigError, match=r"r 4 there, 8 in params; use_rslora None there, True in params"):
        made(tiny_base, start_from=str(tmp_path / "adapter"), lora={"r": 8, "alpha": 8, "rslora": True})


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
    script = (
        "import sys; from pathlib import Path; from serin.core.params import TrainParams\n"
        "from serin.lm.load import load_tokenizer; from serin.train.model.build import build\n"
        "base, out = map(Path, sys.argv[1:])\n"
        "build(TrainParams.model_validate({'lora': {'r': 4, 'modules_to_save': ['norm']}}), base, load_tokenizer(base), [])"
        ".save(out)"
    )
    found = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", script, str(tiny_base), str(out)], env=environment, check=True)
        found.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.iterdir())})
    assert found[0] == found[1]
    assert sorted(found[0]) == ["adapter_config.json", "adapter_model.safetensors"]
