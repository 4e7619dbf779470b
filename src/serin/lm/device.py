"""Where a model computes and how: CUDA where there is one, the CPU otherwise."""

import ctypes
import os
from typing import Literal

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PretrainedConfig
from transformers.utils.import_utils import is_flash_attn_2_available

from serin.core.errors import ConfigError
from serin.lm.attention import BLOCKS

Attention = Literal["auto", "sdpa", "eager", "flash_attention_2"]

_CACHED_KERNELS = 64
_M_MMAP_THRESHOLD = -3  # malloc.h
_MAPPED_BYTES = 1 << 20
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def bound_kernel_caches() -> None:
    """Have oneDNN, and torch's layer over it, keep the kernels of the last few shapes only; call it before the first operation.

    Packed rows have a length of their own at nearly every step, and by default a thousand kernels are kept for each: half a
    gigabyte after sixty steps in bfloat16, and still growing. A number that the environment gives stays.
    """
    for name in _CACHES:
        os.environ.setdefault(name, str(_CACHED_KERNELS))


def give_memory_back() -> None:
    """Have glibc map every block from a mebibyte on apart, so that what is freed is free; call it before anything is loaded.

    Its heap otherwise keeps holes: recomputation took 1.6 times the memory of its tensors here. Pages that come and go cost time,
    about a third of a step, so this is for where memory is what is short. Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def default_device() -> torch.device:
    """The GPU of this process, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def compute_dtype(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> torch.dtype:
    """The arithmetic of forward passes; ``auto`` is bfloat16 on a GPU and float32 on a CPU."""
    if wanted == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def attention_for(wanted: Attention, config: PretrainedConfig, device: torch.device) -> str:
    """The name of the implementation to load a model with for training.

    ``auto`` is FlashAttention where it can run, and otherwise blocks of SDPA. Eagerly compute the few architectures whose
    scores are capped or have sinks, which SDPA would leave out, and those that transformers has no SDPA for.

    Raises:
        ConfigError: FlashAttention is asked for and cannot run.
    """
    flash = device.type == "cuda" and is_flash_attn_2_available()
    if wanted == "flash_attention_2" and not flash:
        raise ConfigError(
            "train.attention = 'flash_attention_2': needs a GPU and the package flash-attn; install it, or set auto"
        )
    if wanted != "auto":
        return wanted
    text = config.get_text_config()
    has_sdpa = getattr(MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None), "_supports_sdpa", False)
    if not has_sdpa or getattr(text, "attn_logit_softcapping", None) or text.model_type == "gpt_oss":
        return "eager"
    return "flash_attention_2" if flash else BLOCKS
