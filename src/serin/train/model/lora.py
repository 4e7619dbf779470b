"""The adapter: put on the model as params say, or refused with the reason."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer, ParamWrapper
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from serin.clients.files import read_json
from serin.core.errors import ConfigError, InputError
from serin.core.params import LoraParams, TrainParams

_COMPARED = (
    "r",
    "lora_alpha",
    "use_rslora",
    "use_dora",
    "target_modules",
    "modules_to_save",
    "trainable_token_indices",
)


def adapter_config(
    lora: LoraParams, targets: str | list[str], token_rows: dict[str, list[int]] | None, transposed: bool
) -> LoraConfig:
    """PEFT's config for ``targets``; ``transposed`` where the base keeps weights as (in, out), as GPT-2's Conv1D does."""
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        modules_to_save=lora.modules_to_save or None,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        trainable_token_indices=token_rows or None,
        fan_in_fan_out=transposed,
        task_type="CAUSAL_LM",
        bias="none",
    )


def attach_adapter(model: PreTrainedModel, params: TrainParams, token_rows: dict[str, list[int]] | None) -> PeftModel:
    """Put an adapter on the model: a new one, whose start the seed decides, or the one to go on from.

    Raises:
        ConfigError: names that match nothing, a rank above a layer's, or an adapter of another shape.
    """
    lora = params.lora
    transposed = any(isinstance(module, Conv1D) for module in model.modules())
    _refuse_unmatched(model, "modules_to_save", lora.modules_to_save)
    with torch.random.fork_rng():
        torch.manual_seed(params.seed)
        targets = linear_layers(model) if lora.target_modules == "all-linear" and has_experts(model) else None
        config = adapter_config(lora, targets or lora.target_modules, token_rows, transposed)
        try:
            adapted: PeftModel = get_peft_model(model, config)
        except ValueError as error:
            raise ConfigError(
                f"train.lora.target_modules = {lora.target_modules!r}: {error}; edit params.yaml"
            ) from error
    _refuse_experts(adapted)
    _refuse_rank(adapted, lora.r)
    if params.start_from is not None:
        _load(adapted, Path(params.start_from))
    return adapted


def has_experts(model: torch.nn.Module) -> bool:
    """Whether the model keeps the weights of its experts in tensors of three dimensions."""
    return any(weight.ndim == 3 for weight in model.parameters())


def linear_layers(model: PreTrainedModel) -> list[str]:
    """Every linear layer but the head, by its full name: PEFT's ``all-linear`` would take in the experts' tensors."""
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped in transformers
    return [name for name, m in model.named_modules() if isinstance(m, (torch.nn.Linear, Conv1D)) and m is not head]


def _refuse_experts(model: PeftModel) -> None:
    """PEFT can adapt tensors of experts, but with neither dropout nor DoRA, and Serin merges no such adapter."""
    for name, module in model.named_modules():
        if isinstance(module, ParamWrapper):
            raise ConfigError(
                f"train.lora.target_modules takes in the experts' tensors of {name.removeprefix('base_model.model.')}: they "
                "cannot be adapted here; name other layers, or set all-linear, which leaves them as they are"
            )


def _refuse_unmatched(model: PreTrainedModel, field: str, names: list[str]) -> None:
    found = {name.rpartition(".")[2] for name, _ in model.named_modules()} | {name for name, _ in model.named_modules()}
    if unknown := [name for name in names if name not in found]:
        raise ConfigError(f"train.lora.{field} = {unknown}: the base model has no such module; edit params.yaml")


def _refuse_rank(model: PeftModel, rank: int) -> None:
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and rank > (most := min(module.in_features, module.out_features)):
            layer = name.removeprefix("base_model.model.")
            raise ConfigError(
                f"train.lora.r = {rank}: {layer} is {module.out_features} x {module.in_features}, so a rank above {most} "
                "cannot be; lower it, or leave that layer out of target_modules"
            )


def _load(model: PeftModel, folder: Path) -> None:
    """Go on from an adapter of the same shape."""
    given, wanted = read_json(folder / "adapter_config.json"), model.peft_config["default"].to_dict()
    differ = [field for field in _COMPARED if _plain(given.get(field)) != _plain(wanted.get(field))]
    if differ:
        told = "; ".join(f"{f} {_plain(given.get(f))!r} there, {_plain(wanted.get(f))!r} in params" for f in differ)
        raise ConfigError(f"train.start_from = {str(folder)!r}: another kind of adapter ({told}); set train.lora alike")
    try:
        set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
    except (SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{folder / 'adapter_model.safetensors'} is missing or damaged ({error})") from error


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, (set, list, tuple)) else value or None
