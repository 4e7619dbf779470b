"""What of a model will be quantised: its shapes alone, before anything is loaded or started."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from serin.core.errors import ConfigError
from serin.lm.load import read_config


@dataclass(frozen=True, slots=True)
class Layers:
    """The linear layers but the head, and the names of all weights."""

    widths: Mapping[str, int]
    """Inputs of each layer, by its name."""
    weights: frozenset[str]
    """Names of the weights that files have to hold: all of them, but those that are tied to another."""


def read_layers(model: Path) -> Layers:
    """Look at the config of a model's folder.

    Raises:
        ConfigError: no causal LM, one that is quantised already, one without linear layers, or a mixture of experts.
    """
    config = read_config(model)
    with torch.device("meta"):
        skeleton: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # transformers'
    head = skeleton.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped in transformers
    modules = [(name, module) for name, module in skeleton.named_modules() if module is not head]
    experts = next((name for name, module in modules if _holds_experts(module)), None)
    if experts is not None:
        raise ConfigError(
            f"{model} is a mixture of experts ({experts}): quantising these has not been proved with Serin; publish the "
            "merged model as it is"
        )
    widths = {name: module.in_features for name, module in modules if isinstance(module, torch.nn.Linear)}
    if not widths:
        raise ConfigError(
            f"{model} ({config.model_type}) has no linear layers that could be quantised: publish it as it is"
        )
    return Layers(widths, frozenset(skeleton.state_dict()) - set(skeleton.all_tied_weights_keys))


def _holds_experts(module: torch.nn.Module) -> bool:
    """transformers keeps the matrices of all experts in one parameter of three dimensions; so do convolutions theirs."""
    return not isinstance(module, torch.nn.Conv1d) and any(w.ndim == 3 for w in module.parameters(recurse=False))
