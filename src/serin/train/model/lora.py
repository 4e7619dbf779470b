"""The adapter: put on the model as params say, or refused with the reason."""

import re
from pathlib import Path

import torch
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer, ParamWrapper
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from serin.core.errors import ConfigError
from serin.core.params import LoraParams, TrainParams
from serin.train.model.experts import adaptable_layers, has_experts
from serin.train.model.start import go_on_from


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
    if isinstance(lora.target_modules, list):
        _refuse_unmatched(model, "target_modules", lora.target_modules)
    _refuse_unmatched(model, "modules_to_save", lora.modules_to_save)
    _refuse_packed(model, lora.modules_to_save)
    _refuse_rows(lora.modules_to_save, token_rows or {})
    with torch.random.fork_rng():
        torch.manual_seed(params.seed)
        targets = adaptable_layers(model) if lora.target_modules == "all-linear" and has_experts(model) else None
        config = adapter_config(lora, targets or lora.target_modules, token_rows, transposed)
        try:
            adapted: PeftModel = get_peft_model(model, config)
        except (ValueError, re.error) as error:
            raise ConfigError(
                f"train.lora.target_modules = {lora.target_modules!r}: {error}; edit params.yaml"
            ) from error
    _refuse_experts(adapted)
    _refuse_rank(adapted, lora.r)
    if params.start_from is not None:
        go_on_from(adapted, Path(params.start_from))
    return adapted


def _refuse_experts(model: PeftModel) -> None:
    """PEFT can adapt tensors of experts, but with neither dropout nor DoRA, and Serin merges no such adapter."""
    for name, module in model.named_modules():
        if isinstance(module, ParamWrapper):
            raise ConfigError(
                f"train.lora.target_modules takes in the experts' tensors of {name.removeprefix('base_model.model.')}: they "
                "cannot be adapted here; name other layers, or set all-linear, which leaves them as they are"
            )


def _refuse_unmatched(model: PreTrainedModel, field: str, names: list[str]) -> None:
    """PEFT passes over a name that matches nothing where another matches."""
    found = [f".{name}" for name, _ in model.named_modules()]
    if unknown := [name for name in names if not any(full.endswith(f".{name}") for full in found)]:
        raise ConfigError(f"train.lora.{field} = {unknown}: the base model has no such module; edit params.yaml")


def _refuse_packed(model: PreTrainedModel, names: list[str]) -> None:
    for full, module in model.named_modules():
        is_named = any(f".{full}".endswith(f".{name}") for name in names)
        if is_named and any(isinstance(part, Linear4bit) for part in module.modules()):
            raise ConfigError(
                f"train.lora.modules_to_save takes in {full}, which is in 4 bits and cannot be trained whole: name it in "
                "target_modules instead, or set train.method: lora"
            )


def _refuse_rows(names: list[str], token_rows: dict[str, list[int]]) -> None:
    if both := sorted(set(names) & token_rows.keys()):
        raise ConfigError(
            f"train.lora.modules_to_save = {both} trains every row, and train.added_tokens the new ones alone: leave one out"
        )


def _refuse_rank(model: PeftModel, rank: int) -> None:
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and rank > (most := min(module.in_features, module.out_features)):
            layer = name.removeprefix("base_model.model.")
            raise ConfigError(
                f"train.lora.r = {rank}: {layer} is {module.out_features} x {module.in_features}, so a rank above {most} "
                "cannot be; lower it, or leave that layer out of target_modules"
            )
