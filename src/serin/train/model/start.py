"""Going on from an adapter: its weights become the start, if it is of the same kind as the one that params describe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from serin.clients.files import read_json
from serin.core.errors import ConfigError, InputError

_SAYS_NOTHING = frozenset(
    {
        *("auto_mapping", "base_model_name_or_path", "revision", "inference_mode", "peft_version", "task_type"),
        *("lora_dropout", "fan_in_fan_out", "megatron_core", "qalora_group_size"),
        *("target_modules", "modules_to_save", "exclude_modules", "layers_to_transform", "layers_pattern"),
    }
)
"""Fields of PEFT's config that may differ: what is adapted is compared by the tensors, since one thing has many names."""
_STARTS = (True, False, "gaussian")
"""Values of ``init_lora_weights`` that leave the base's weights alone; PiSSA, for one, does not."""


def go_on_from(model: PeftModel, folder: Path) -> None:
    """Take on the weights of the adapter in ``folder``, written by Serin or by plain PEFT.

    Raises:
        ConfigError: an adapter of another kind or shape; every difference is named.
        InputError: a missing or damaged file.
    """
    given = LoraConfig().to_dict() | read_json(folder / "adapter_config.json")
    tensors = _read(folder / "adapter_model.safetensors")
    expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    differences = [
        *_differing_fields(given, model.peft_config["default"].to_dict()),
        *_differing_tensors(tensors, expected),
    ]
    if differences:
        raise ConfigError(
            f"train.start_from = {str(folder)!r}: another kind of adapter ({'; '.join(differences)}); set train.lora alike"
        )
    set_peft_model_state_dict(model, tensors)


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{path} is missing or damaged ({error})") from error


def _differing_fields(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [
        f"{field} {_plain(field, given.get(field))!r} there, {_plain(field, wanted.get(field))!r} in params"
        for field in sorted(given.keys() | wanted.keys())
        if field not in _SAYS_NOTHING and _plain(field, given.get(field)) != _plain(field, wanted.get(field))
    ]


def _differing_tensors(given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> list[str]:
    absent, strange = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    misfits = sorted(name for name in given.keys() & wanted.keys() if given[name].shape != wanted[name].shape)
    told = []
    for names, says in (
        (absent, "{n} tensors are not there, such as {name}"),
        (strange, "{n} tensors have no place by params, such as {name}"),
        (misfits, "{n} tensors have another shape, such as {name}"),
    ):
        if names:
            told.append(says.format(n=len(names), name=names[0]))
    return told


def _plain(field: str, value: Any) -> Any:
    """What two configs say alike, alike."""
    if field == "init_lora_weights":
        return True if value in _STARTS else value
    if isinstance(value, (set, list, tuple)):
        return sorted(value)
    return str(value.value) if field == "peft_type" and hasattr(value, "value") else value or None
