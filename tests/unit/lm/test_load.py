import json
import shutil
from pathlib import Path

import pytest
import torch

from serin.core.errors import ConfigError
from serin.lm.chat import Example
from serin.lm.load import forbid_repacking, load_for_training, load_tokenizer
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
