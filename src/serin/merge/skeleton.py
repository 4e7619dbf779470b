"""The base model without its weights: what its parameters are called, and which of them are one."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from serin.lm.load import read_config


def skeleton_of(base: Path) -> PreTrainedModel:
    """The model on the meta device. Raises ConfigError where the folder holds no causal LM."""
    config = read_config(base)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # transformers'
    return model
