"""What training writes of the model. The bytes are a function of the content: no path, no order of a hash."""

from collections.abc import Mapping
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.clients.files import read_json, write_json
from serin.lm.save import writing_weights

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def save_adapter(model: PeftModel, folder: Path) -> None:
    """The adapter as PEFT writes and reads it, float32; sets in its config, which PEFT writes in hash order, are sorted."""
    with writing_weights(folder):
        model.save_pretrained(str(folder), save_embedding_layers=False)
    for path in folder.iterdir():
        if path.name not in _ADAPTER_FILES:
            path.unlink()
    config = read_json(folder / "adapter_config.json")
    for field, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[field] = sorted(value)
    config["base_model_name_or_path"] = None  # the manifest pins the base by digest; a path would differ by machine
    write_json(folder / "adapter_config.json", config)


def save_weights(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: Mapping[str, torch.Tensor] | None,
) -> None:
    """A plain Hugging Face folder: float32 weights, config, generation config, tokenizer with its template."""
    with writing_weights(folder):
        model.save_pretrained(str(folder), state_dict=dict(weights) if weights is not None else None)
    tokenizer.save_pretrained(str(folder))
    config = read_json(folder / "config.json")
    config.pop("_name_or_path", None)
    config["architectures"] = [
        name.removeprefix("FSDP") for name in config["architectures"]
    ]  # fully_shard renames the class
    write_json(folder / "config.json", config)
