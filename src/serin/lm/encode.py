"""Embeddings of tokens in their context, by a local encoder that transformers loads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from serin.core.errors import ConfigError
from serin.lm.device import default_device

_POSITIONS_LOST = 2  # RoBERTa and its kin count positions from 2
_MOST_TOKENS = 8192  # where neither tokenizer nor model names a limit


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text's tokens; those that every text is framed with are left out."""

    embeddings: NDArray[np.float32]
    """Tokens x width, each of length 1."""
    unknown: int
    """How many tokens the tokenizer does not know; 0 where it knows every byte."""


class TokenEncoder:
    """An encoder folder, such as BERT's, in float32."""

    def __init__(self, folder: Path, layer: int | None = None, batch_size: int = 32) -> None:
        """``layer`` counts from 1; None is the last.

        Raises ConfigError where the folder holds no encoder, or one with fewer layers.
        """
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder: expected an encoder that transformers loads")
        try:
            self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: PreTrainedModel = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ConfigError(f"{folder} holds no encoder that transformers loads: {error}") from error
        if model.config.is_encoder_decoder:
            raise ConfigError(f"{folder} holds an encoder with a decoder: expected an encoder alone, such as BERT's")
        layers = int(model.config.num_hidden_layers)
        if layer is not None and layer > layers:
            raise ConfigError(
                f"{folder} has {layers} layers, and number {layer} was asked for: choose one of 1 to {layers}"
            )
        self._device = default_device()
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        network: torch.nn.Module = model
        self._model = network.eval().to(self._device)
        self._layer = layer
        self._batch_size = batch_size
        self._longest_tokens = _longest_tokens(self._tokenizer, model)

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Each text, in order; what is longer than the encoder takes is cut. Texts of like length share a batch."""
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
        encoded: dict[int, EncodedText] = {}
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            encoded.update(zip(rows, self._encode_batch([texts[i] for i in rows]), strict=True))
        return [encoded[i] for i in range(len(texts))]

    @torch.inference_mode()
    def _encode_batch(self, texts: Sequence[str]) -> Iterator[EncodedText]:
        rows = self._tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self._longest_tokens,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        own = ~rows.pop("special_tokens_mask").bool() & rows["attention_mask"].bool()
        output = self._model(**rows.to(self._device), output_hidden_states=self._layer is not None)
        hidden = output.last_hidden_state if self._layer is None else output.hidden_states[self._layer]
        unit = torch.nn.functional.normalize(hidden, dim=-1).cpu()
        ids = rows["input_ids"].cpu()
        for row, mask in enumerate(own):
            yield EncodedText(unit[row][mask].numpy(), ids[row][mask].tolist().count(self._tokenizer.unk_token_id))


def _longest_tokens(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Tokenizers that name no limit have a huge one."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None or tokenizer.model_max_length <= positions:
        return min(tokenizer.model_max_length, _MOST_TOKENS)
    return min(int(positions) - _POSITIONS_LOST, _MOST_TOKENS)
