"""Loading causal LMs: as they are, in NF4, and with an adapter."""

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from serin.core.errors import ConfigError
from serin.lm.device import default_device

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a stage shows its own progress

# On a CPU bitsandbytes warns that it could not fetch an inference kernel from a hub; Serin never uses that kernel.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer that can be trained and served with.

    Raises:
        ConfigError: none there, no chat template, or a pad token that is the end-of-turn token (then the end of a
            turn would be masked out of the loss, and the model would never learn to stop).
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} holds no tokenizer ({error}): use a model folder with tokenizer.json") from error
    if not tokenizer.chat_template:
        raise ConfigError(
            f"the tokenizer of {folder} has no chat template: take an instruction-tuned model, or add "
            "chat_template.jinja to the folder"
        )
    if tokenizer.eos_token_id is None or tokenizer.pad_token_id is None:
        raise ConfigError(
            f"the tokenizer of {folder} lacks a pad or an end-of-turn (eos) token: set both in its config"
        )
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise ConfigError(
            f"the tokenizer of {folder} pads with its end-of-turn token {tokenizer.eos_token!r}: set another pad token, "
            "or the model will not learn to stop"
        )
    return tokenizer


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Load a model for scoring or generation, in ``dtype``, on the default device."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, local_files_only=True)
    model.to(default_device())  # type: ignore[arg-type]  # transformers types the device as an overload
    model.eval()  # type: ignore[no-untyped-call]  # untyped in transformers
    return model


def load_nf4(folder: Path) -> PreTrainedModel:
    """Load a model for QLoRA: linear layers in NF4 with double quantisation (Dettmers et al. 2023, arXiv 2305.14314).

    On a CPU with avx512_bf16, bitsandbytes repacks 4-bit weights at the first forward in eval mode; the next training
    forward then takes a kernel without autograd, and gradients are silently wrong. That repacking is turned off here.
    """
    device = default_device()
    compute = torch.bfloat16 if device.type == "cuda" else torch.float32
    quantisation = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=compute, quantization_config=quantisation, device_map={"": device}, local_files_only=True
    )
    forbid_repacking(model)
    return model


def forbid_repacking(model: torch.nn.Module) -> int:
    """Turn bitsandbytes' inference repacking off on every 4-bit layer; returns how many there are."""
    count = 0
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            layer: Any = module
            layer.support_avx512bf16_for_cpu = False
            count += 1
    return count
