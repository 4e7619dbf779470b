import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Gemma3Config, MambaConfig, Qwen3Config

from serin.core.errors import ConfigError
from serin.lm.attention import BLOCKS
from serin.lm.chat import Example
from serin.lm.device import attention_for
from serin.lm.four_bit import forbid_repacking
from serin.lm.load import load_for_training, load_model, load_tokenizer
from serin.lm.packing import lay_out, target_nll


def altered(tiny_base: Path, folder: Path, **changes: object) -> Path:
    shutil.copytree(tiny_base, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, **changes}))
    return folder


def test_a_tokenizer_without_chat_template_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = altered(tiny_base, tmp_path / "m", chat_template=None)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="no chat template"):
        load_tokenizer(folder)


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tokenizer"):
        load_tokenizer(tmp_path)


def configured(tiny_base: Path, folder: Path, **changes: object) -> Path:
    shutil.copytree(tiny_base, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


@pytest.mark.filterwarnings("ignore")  # transformers warns of what is refused here
def test_weights_that_are_not_in_the_folder_are_not_drawn_at_random(tiny_base: Path, tmp_path: Path) -> None:
    part = configured(tiny_base, tmp_path / "part")
    tensors = load_file(part / "model.safetensors")
    save_file(
        {n: t for n, t in tensors.items() if "layers.1.mlp" not in n}, part / "model.safetensors", {"format": "pt"}
    )
    other = configured(tiny_base, tmp_path / "other", intermediate_size=64)
    for folder, says in (
        (part, r"3 are missing, such as model\.layers\.1\.mlp\.down_proj"),
        (
            other,
            r"6 have another shape, such as model\.layers\.0\.mlp\.down_proj\.weight \(\(128, \d+\), not \(128, 64\)\)",
        ),
    ):
        with pytest.raises(ConfigError, match=says):
            load_for_training(folder, nf4=False, dtype=torch.float32, attention="auto")
        with pytest.raises(ConfigError, match=says):
            load_model(folder)


def test_a_model_that_is_quantised_already_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = configured(tiny_base, tmp_path / "m", quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ConfigError, match=r"is quantised already \(gptq\): take the model that it was made from"):
        load_for_training(folder, nf4=False, dtype=torch.float32, attention="auto")


def test_a_multimodal_model_is_refused_though_transformers_counts_it_among_causal_ones(tmp_path: Path) -> None:
    Gemma3Config().save_pretrained(str(tmp_path))
    with pytest.raises(ConfigError, match="holds a gemma3 model: expected a causal language model"):
        load_for_training(tmp_path, nf4=False, dtype=torch.float32, attention="auto")


def test_auto_attention_is_eager_where_there_is_no_other() -> None:
    cpu = torch.device("cpu")
    assert attention_for("auto", Qwen3Config(), cpu) == BLOCKS
    assert attention_for("auto", MambaConfig(), cpu) == "eager"
    assert attention_for("sdpa", Qwen3Config(), cpu) == "sdpa"


def test_an_evaluation_leaves_the_gradients_of_4_bit_layers_as_they_were(tiny_base: Path) -> None:
    from serin.core.params import LoraParams, TrainParams
    from serin.train.model.lora import attach_adapter

    base = load_for_training(tiny_base, nf4=True, dtype=torch.float32, attention="auto")
    model = attach_adapter(base, TrainParams(lora=LoraParams(r=4)), None)
    assert forbid_repacking(model) == 14
    example = Example("r", tuple(range(5, 45)), tuple(range(5, 45)))

    def gradients() -> list[torch.Tensor]:
        model.train()
        model.zero_grad()
        target_nll(model, lay_out([example], "packed")).backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    before = gradients()
    model.eval()
    with torch.no_grad():
        target_nll(model, lay_out([example], "packed"))
    after = gradients()
    assert len(before) == len(after) == 28
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
