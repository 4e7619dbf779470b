"""A base model with an unmerged adapter on it, as it was trained: on NF4 weights or on plain ones."""

import warnings
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoTokenizer

from serin.clients.files import read_json
from serin.core.errors import ConfigError
from serin.lm.load import load_for_training, load_model


def load_adapted(base: Path, adapter: Path, nf4: bool, dtype: torch.dtype = torch.float32) -> PeftModel:
    """The base with the adapter on it, in eval mode on the default device; with ``nf4`` its linear layers in 4 bits.

    Embeddings grow where the adapter's tokenizer has tokens that the base lacks: the adapter holds their rows.

    Raises:
        ConfigError: the adapter does not fit the base.
    """
    model = load_for_training(base, True, dtype, "sdpa") if nf4 else load_model(base, dtype)
    if (adapter / "tokenizer.json").is_file():
        tokens = len(AutoTokenizer.from_pretrained(str(adapter), local_files_only=True))
        if tokens > model.config.get_text_config().vocab_size:
            model.resize_token_embeddings(tokens, mean_resizing=False)
    with warnings.catch_warnings():
        # PEFT warns of tied embeddings that an adapter parts; here nothing is saved.
        warnings.simplefilter("ignore", UserWarning)
        try:
            adapted = PeftModel.from_pretrained(model, str(adapter), autocast_adapter_dtype=False)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"the adapter in {adapter} does not fit {base}: {error}") from error
    return adapted.eval()


def is_trained_on_nf4(adapter: Path) -> bool:
    """Whether the adapter's manifest says that it was trained on NF4 weights; False for one of plain PEFT."""
    manifest = adapter / "manifest.json"
    return manifest.is_file() and read_json(manifest).get("params", {}).get("method") == "qlora"
