"""Loading causal LMs: as they are, in NF4, and with an adapter."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from serin.core.errors import ConfigError
from serin.lm.attention import BLOCKS
from serin.lm.chat import stop_token_ids
from serin.lm.device import Attention, attention_for, default_device
from serin.lm.four_bit import forbid_repacking, misread_layer

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a stage shows its own progress

_SENSES = ("vision", "audio", "vq")
"""Parts of the names under which transformers' configs keep what reads or writes no text."""


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer that can be trained and served with.

    Raises:
        ConfigError: none there, no chat template, or no end-of-turn token.
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
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"the tokenizer of {folder} has no end-of-turn (eos) token: set it in its config")
    return tokenizer


def load_stops(folder: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end an answer of this model, as vLLM takes them: see ``stop_token_ids``."""
    try:
        generation = GenerationConfig.from_pretrained(str(folder), local_files_only=True)
    except OSError:
        generation = GenerationConfig.from_model_config(AutoConfig.from_pretrained(str(folder), local_files_only=True))
    return stop_token_ids(tokenizer, generation)


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Load a model for scoring or generation, in ``dtype``, on the default device.

    Raises:
        ConfigError: no causal LM, or not all of its weights.
    """
    model = _load_whole(folder, dtype=dtype)
    model.to(default_device())  # type: ignore[arg-type]  # transformers types the device as an overload
    model.eval()  # type: ignore[no-untyped-call]  # untyped in transformers
    return model


def load_for_training(
    folder: Path, nf4: bool, dtype: torch.dtype, attention: Attention, device: torch.device | None = None
) -> PreTrainedModel:
    """Load a model to be trained on ``device`` (None: the default one); with ``nf4`` its linear layers in 4 bits.

    Raises:
        ConfigError: the folder holds no causal LM, a part of one, or one that runs code of its own; FlashAttention that cannot
            run; ``nf4`` for a model without linear layers, or whose layers this device decodes wrongly.
    """
    device = device or default_device()
    config = read_config(folder)
    implementation = attention_for(attention, config, default_device())
    model = _load_whole(
        folder,
        dtype=dtype,
        quantization_config=nf4_config(dtype) if nf4 else None,
        device_map={"": device},
        attn_implementation="sdpa" if implementation == BLOCKS else implementation,
    )
    if implementation == BLOCKS and model._supports_attention_backend:
        model.set_attn_implementation(BLOCKS)
    if forbid_repacking(model) == 0 and nf4:
        raise ConfigError(
            f"{folder}: nothing of it can be quantised, for it has no linear layers; set train.method: lora"
        )
    if misread := misread_layer(model):
        raise ConfigError(
            f"{folder}: bitsandbytes decodes the 4-bit weights of {misread} wrongly on this CPU, so training would learn against "
            "another model; set train.method: lora, or train on a GPU"
        )
    return model


def nf4_config(dtype: torch.dtype) -> BitsAndBytesConfig:
    """NF4 with double quantisation (Dettmers et al. 2023, arXiv 2305.14314, §3), computing in ``dtype``."""
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # untyped in transformers
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _load_whole(folder: Path, **how: Any) -> PreTrainedModel:
    """Load every weight from the folder: transformers would draw at random what is not there, and only log it.

    Raises:
        ConfigError: weights are missing or have another shape, or transformers cannot load the model so.
    """
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder), local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True, **how
        )
    except ValueError as error:
        raise ConfigError(f"{folder} cannot be loaded as a causal LM: {error}") from error
    model: PreTrainedModel
    model, found = loaded
    absent = sorted(found["missing_keys"])
    misfits = sorted(
        f"{name} ({tuple(there)}, not {tuple(wanted)})" for name, there, wanted in found["mismatched_keys"]
    )
    if absent or misfits:
        parts = [
            f"{len(names)} {what}, such as {names[0]}"
            for names, what in ((absent, "are missing"), (misfits, "have another shape"))
            if names
        ]
        raise ConfigError(
            f"the weights of {folder} do not fit its config.json: {'; '.join(parts)}; fetch the model again"
        )
    return model


def read_config(folder: Path) -> PretrainedConfig:
    """The model's config.

    Raises:
        ConfigError: none there, not of a causal LM of text alone that transformers itself knows, or of one quantised already.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{folder} holds no model that can be trained ({error}): take one that transformers knows without code of its own"
        ) from error
    others = [name for name in config.sub_configs if any(sense in name for sense in _SENSES)]
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or others:
        raise ConfigError(
            f"{folder} holds a {config.model_type} model: expected a causal language model; Serin trains no others, such as "
            "multimodal ones or encoders"
        )
    if quantised := getattr(config, "quantization_config", None):
        method = quantised["quant_method"] if isinstance(quantised, dict) else quantised.quant_method
        raise ConfigError(
            f"{folder} is quantised already ({getattr(method, 'value', method)}): take the model that it was made from; "
            "method: qlora quantises that itself, and merge needs whole weights"
        )
    return config
