"""Sentence embeddings by a local encoder, as sentence-transformers loads it with its own pooling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.core.errors import ConfigError


class Encoder:
    """An encoder folder (Reimers and Gurevych 2019, arXiv 1908.10084)."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError where the folder holds no encoder, or sentence-transformers is not installed."""
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder: expected an encoder that sentence-transformers loads")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(
                "semantic duplicates need sentence-transformers: pip install 'serin[semantic]'"
            ) from error
        try:
            self._model: Any = SentenceTransformer(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{folder} holds no encoder that can be loaded: {error}") from error

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings, texts × width, each of length 1."""
        embeddings: NDArray[np.float32] = self._model.encode(
            list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return embeddings

    def unknown_share(self, texts: Sequence[str]) -> float:
        """The share of tokens that the encoder's tokenizer does not know, 0 where it knows all bytes."""
        tokenizer = self._model.tokenizer
        if tokenizer.unk_token_id is None or not texts:
            return 0.0
        ids = [i for row in tokenizer(list(texts), add_special_tokens=False)["input_ids"] for i in row]
        return ids.count(tokenizer.unk_token_id) / max(1, len(ids))
