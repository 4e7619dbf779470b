"""Sentence embeddings by a local encoder: mean-pooled states of unit length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from serin.core.errors import ConfigError

_BATCH = 32


class Encoder:
    """An encoder in Hugging Face format (Reimers and Gurevych 2019, arXiv 1908.10084, mean pooling)."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError where the folder holds no encoder that transformers loads."""
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder: expected an encoder in Hugging Face format")
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            self._model: Any = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{folder} holds no encoder that can be loaded: {error}") from error

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], float]:
        """Embeddings (texts × width, each of length 1), and the share of tokens that the tokenizer does not know."""
        embeddings, unknown, tokens = [], 0, 0
        for start in range(0, len(texts), _BATCH):
            batch = self._tokenizer(
                list(texts[start : start + _BATCH]), padding=True, truncation=True, max_length=512, return_tensors="pt"
            )
            mask = batch["attention_mask"]
            tokens += int(mask.sum())
            if self._tokenizer.unk_token_id is not None:
                unknown += int(((batch["input_ids"] == self._tokenizer.unk_token_id) & mask.bool()).sum())
            with torch.inference_mode():
                states = self._model(**batch).last_hidden_state
            pooled = (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
            embeddings.append(torch.nn.functional.normalize(pooled.float(), dim=1).numpy())
        width = embeddings[0].shape[1] if embeddings else 0
        return np.concatenate(embeddings) if embeddings else np.empty((0, width), np.float32), unknown / max(1, tokens)
