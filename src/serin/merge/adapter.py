"""Reading an adapter: which weight of the model each of its tensors changes, and how.

PEFT itself is asked: its layers, put on the model without weights, say what belongs to what, at which scale, and which tensors
there have to be. Nothing is computed with them.
"""

import textwrap
import warnings
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.lora import Embedding, Linear, LoraLayer
from peft.tuners.lora.layer import ParamWrapper
from peft.utils.other import AuxiliaryTrainingWrapper, ModulesToSaveWrapper, TrainableTokensWrapper
from transformers import PreTrainedModel

from serin.clients.files import read_json
from serin.core.errors import ConfigError
from serin.merge.arithmetic import LowRank, Rows, Update, Whole
from serin.merge.skeleton import skeleton_of
from serin.merge.weights import Weight, stored_in

ADAPTER = "default"
"""What PEFT calls the one adapter of a model."""
_PREFIX = "base_model.model."
_UNDERSTOOD = frozenset(
    {
        *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
        *(
            "inference_mode",
            "r",
            "lora_alpha",
            "lora_dropout",
            "rank_pattern",
            "alpha_pattern",
            "use_rslora",
            "use_dora",
        ),
        *("target_modules", "exclude_modules", "target_parameters", "layers_to_transform", "layers_pattern"),
        *("fan_in_fan_out", "modules_to_save", "trainable_token_indices"),
    }
)
"""Fields of PEFT's config that may have any value: merge does what they say, or they say nothing about the weights."""
_STARTS = (True, False, "gaussian")
"""Values of ``init_lora_weights`` that leave the base's weights alone; PiSSA, for one, does not."""


@dataclass(frozen=True, slots=True)
class ExpertsLowRank:
    """W + scale x B·A for each of the experts that the model keeps in one parameter of (experts, out, in)."""

    a: torch.Tensor
    """(experts, r, in)."""
    b: torch.Tensor
    """(experts, out, r)."""
    scale: float


def read_adapter(folder: Path, base: Path) -> dict[str, Update | ExpertsLowRank]:
    """What the adapter changes, by the name that the parameter has in the model.

    A tied head and its embeddings have one and the same update where they change together.

    Raises:
        ConfigError: a variant of LoRA that merge does not know, or an adapter of another base model.
        InputError: a damaged file.
    """
    config = read_json(folder / "adapter_config.json")
    refuse_unknown(config)
    tensors = stored_in(folder / "adapter_model.safetensors")
    layers = without_weights(skeleton_of(base), config, base)
    wanted = get_peft_model_state_dict(layers, save_embedding_layers=False)
    expected = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    _refuse_others(expected, {name: tensor.shape for name, tensor in tensors.items()})
    updates: dict[str, Update | ExpertsLowRank] = {}
    for parameter, update in _updates_of(layers.get_base_model(), tensors):
        if parameter in updates:
            raise ConfigError(f"the adapter changes {parameter} in two ways at once: merge knows one for each weight")
        updates[parameter] = update
    return updates


def refuse_unknown(config: Mapping[str, Any]) -> None:
    """Raises ConfigError where PEFT's config holds a setting that merge does not know, and that is not off."""
    if config.get("peft_type") != "LORA":
        raise ConfigError(f"the adapter is a {config.get('peft_type')}: merge knows LoRA only")
    defaults = LoraConfig().to_dict()
    for field, value in config.items():
        known = (
            field in _UNDERSTOOD or value == defaults.get(field) or (field == "init_lora_weights" and value in _STARTS)
        )
        if value and not known:
            raise ConfigError(f"the adapter has {field} = {value!r}: merge does not know this variant of LoRA")


def without_weights(skeleton: PreTrainedModel, config: Mapping[str, Any], base: Path) -> PeftModel:
    """PEFT's layers, without weights, on the model of ``base`` without weights. Raises ConfigError where they do not fit."""
    known = {field: value for field, value in config.items() if field in LoraConfig.__dataclass_fields__}
    known["init_lora_weights"] = False  # there is nothing to draw, and with many layers not drawing it is quicker
    # PEFT warns of tied embeddings that an adapter parts, and of patterns for parameters; both are dealt with here.
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        try:
            return PeftModel(
                skeleton, LoraConfig(**known), ADAPTER, autocast_adapter_dtype=False, low_cpu_mem_usage=True
            )
        except ValueError as error:
            told = textwrap.shorten(str(error), 300)  # PEFT names every module that it looked for
            raise ConfigError(
                f"the adapter does not fit {base}: it was trained on another base model ({told})"
            ) from error


def _refuse_others(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    if missing := sorted(expected.keys() - found.keys()):
        raise ConfigError(f"the adapter has no {missing[0]} ({len(missing)} are missing): it is damaged, train again")
    if others := sorted(found.keys() - expected.keys()):
        raise ConfigError(
            f"the adapter holds {others[0]}, which its config and this base have no place for: it was trained on another "
            "base model"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise ConfigError(
                f"the adapter's {name} is {found[name]}, and by its config and this base it would be {shape}: it was "
                "trained on another base model, or is damaged"
            )


def _updates_of(model: torch.nn.Module, tensors: Mapping[str, Weight]) -> Iterator[tuple[str, Update | ExpertsLowRank]]:
    changed = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer | AuxiliaryTrainingWrapper)
    ]
    rows = {
        id(module.token_adapter): Rows(
            tuple(module.token_adapter.token_indices[ADAPTER]),
            tensors[f"{_PREFIX}{name}.token_adapter.trainable_tokens_delta"],
        )
        for name, module in changed
        if isinstance(module, TrainableTokensWrapper) and module.token_adapter.tied_adapter is None
    }
    keys = sorted(tensors)
    for name, module in changed:
        own = {key.removeprefix(f"{_PREFIX}{name}."): tensors[key] for key in _below(keys, f"{_PREFIX}{name}.")}
        path = name.replace(".base_layer", "")
        if isinstance(module, TrainableTokensWrapper):
            _refuse_bias(path, module)
            yield f"{path}.weight", rows[id(module.token_adapter.tied_adapter or module.token_adapter)]
        elif isinstance(module, ModulesToSaveWrapper):
            yield from ((f"{path}.{key}", Whole(tensor)) for key, tensor in own.items())
        elif type(module) is ParamWrapper:
            yield f"{path}.{module.parameter_name}", _of_parameter(path, module, own)
        elif type(module) in (Linear, Embedding):
            yield f"{path}.weight", _of_layer(module, own)
        else:
            raise ConfigError(
                f"the adapter changes {path}, a {type(module).__name__} to PEFT: merge knows linear layers and embeddings only"
            )


def _below(keys: Sequence[str], start: str) -> Sequence[str]:
    """Those of sorted keys that begin so; with many layers there are too many to look at each for every module."""
    first = bisect_left(keys, start)
    return keys[first : bisect_left(keys, True, first, key=lambda key: not key.startswith(start))]


def _refuse_bias(path: str, module: Any) -> None:
    if getattr(module.original_module, "bias", None) is not None:
        raise ConfigError(
            f"the adapter has rows for new tokens in {path}, and {path} has a bias, which PEFT leaves out where it trains rows: "
            "what was learnt holds for another model; train without added_tokens"
        )


def _of_layer(module: Any, own: Mapping[str, Weight]) -> LowRank:
    scale, magnitude = module.scaling[ADAPTER], own.get("lora_magnitude_vector")
    if isinstance(module, Embedding):
        return LowRank(own["lora_embedding_A"], own["lora_embedding_B"], scale, True, magnitude)
    return LowRank(own["lora_A.weight"], own["lora_B.weight"], scale, bool(module.fan_in_fan_out), magnitude)


def _of_parameter(path: str, module: Any, own: Mapping[str, Weight]) -> LowRank | ExpertsLowRank:
    experts, scale = module.num_experts, module.scaling[ADAPTER]
    if experts == 1:
        return LowRank(own["lora_A.weight"], own["lora_B.weight"], scale)
    if getattr(module.get_base_layer(), "is_transposed", False):
        raise ConfigError(
            f"the adapter changes experts of {path} that are kept as (in, out): merge does not know those"
        )
    a, b = own["lora_A.weight"].read(), own["lora_B.weight"].read()
    ranks = a.shape[0] // experts
    return ExpertsLowRank(
        a.reshape(experts, ranks, -1), b.reshape(-1, ranks, experts).permute(2, 0, 1).contiguous(), scale
    )
