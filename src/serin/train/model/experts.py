"""Mixtures of experts: which of their weights are adapted, and which stay as they are.

transformers keeps the matrices of all experts of a layer in one parameter of three dimensions. bitsandbytes quantises linear
layers alone. PEFT can adapt such parameters, but with neither dropout nor DoRA. So experts stay as they are, and people are told.
"""

import torch
from peft import LoraConfig
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from serin.core.params import TrainParams
from serin.train.model.counts import count


def expert_tensors(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters of three dimensions that are no convolution's (hybrid models have those in their recurrent layers)."""
    return [
        weight
        for module in model.modules()
        if not isinstance(module, torch.nn.Conv1d)
        for weight in module.parameters(recurse=False)
        if weight.ndim == 3
    ]


def has_experts(model: torch.nn.Module) -> bool:
    """Whether the model keeps the weights of its experts in tensors of three dimensions."""
    return bool(expert_tensors(model))


def linear_layers(model: PreTrainedModel) -> list[str]:
    """Every linear layer but the head, and but gates of a single output, which have no rank to lower, by its full name.

    PEFT's ``all-linear`` would take in the experts' tensors.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped in transformers
    return [
        name
        for name, module in model.named_modules()
        if (isinstance(module, Conv1D) or (isinstance(module, torch.nn.Linear) and module.out_features > 1))
        and module is not head
    ]


def adaptable_layers(model: PreTrainedModel) -> list[str]:
    """The linear layers that an adapter can name.

    In families whose experts were linear layers once, PEFT takes a name such as ``mlp.shared_experts.up_proj`` for the experts'
    tensors, even where it is the linear layer of a shared expert or of a dense block. Those it would mistake are left out.
    """
    config = LoraConfig(target_modules=linear_layers(model))
    convert_peft_config_for_transformers(config, model, None)
    return sorted(config.target_modules or ())


def notes_on(model: PreTrainedModel, params: TrainParams) -> tuple[str, ...]:
    """What of a mixture of experts stays as it is, with its share of the weights."""
    experts = expert_tensors(model)
    if params.method == "full" or not experts:
        return ()
    share = sum(weight.numel() for weight in experts) / count(model).total
    quantised = " nor quantised" if params.method == "qlora" else ""
    notes = [
        f"{len(experts)} tensors of experts, {share:.0%} of the weights, are neither adapted{quantised}: they stay as they are"
    ]
    left_out = len(linear_layers(model)) - len(adaptable_layers(model))
    if left_out and params.lora.target_modules == "all-linear":
        notes.append(
            f"{left_out} linear layers of shared experts and dense blocks are not adapted: PEFT takes their names for experts'"
        )
    return tuple(notes)
