"""New tokens: in the tokenizer, and as rows of the embeddings."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.errors import ConfigError


def add_tokens(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> list[list[int]]:
    """Add tokens to the vocabulary; for each, the tokens that its text was cut into before.

    Raises:
        ConfigError: a token that the vocabulary has already, or one named twice.
    """
    vocabulary = tokenizer.get_vocab()
    known = [token for token in tokens if token in vocabulary]
    if known or len(set(tokens)) < len(tokens):
        raise ConfigError(
            f"train.added_tokens: {known or 'a token is named twice'}: the tokenizer has these already; name new ones only"
        )
    pieces = [list(tokenizer(token, add_special_tokens=False)["input_ids"]) for token in tokens]
    tokenizer.add_tokens(list(tokens))
    return pieces


@torch.no_grad()
def grow_embeddings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pieces: Sequence[Sequence[int]]
) -> list[int]:
    """Give the last ``len(pieces)`` tokens of the vocabulary rows in the embeddings; returns their ids.

    A new row starts as the mean of the rows of the pieces that its text was cut into, so that the model reads it at first
    about as it did before.
    """
    added = list(range(len(tokenizer) - len(pieces), len(tokenizer)))
    if tables_of(model)[0].weight.shape[0] < len(tokenizer):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for table in tables_of(model):
        for row, parts in zip(added, pieces, strict=True):
            table.weight[row] = table.weight[list(parts)].float().mean(dim=0).to(table.weight.dtype)
    return added


def tables_of(model: PreTrainedModel) -> list[torch.nn.Embedding | torch.nn.Linear]:
    """The embeddings, and the head where it has weights of its own."""
    embeddings: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped in transformers
    return [embeddings] if head is None or head.weight is embeddings.weight else [embeddings, head]
