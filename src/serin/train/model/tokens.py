"""New tokens: in the tokenizer, and as rows of the embeddings."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.errors import ConfigError


def add_tokens(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> list[list[int]]:
    """Add tokens to the vocabulary; for each, the tokens that its text was cut into before.

    Raises:
        ConfigError: a token that the vocabulary has already, one named twice, or none at all.
    """
    vocabulary = tokenizer.get_vocab()
    known = [token for token in tokens if token in vocabulary]
    if known or len(set(tokens)) < len(tokens):
        raise ConfigError(
            f"train.added_tokens: {known or 'a token is named twice'}: the tokenizer has these already; name new ones only"
        )
    pieces = [list(tokenizer(token, add_special_tokens=False)["input_ids"]) for token in tokens]
    if tokenizer.add_tokens(list(tokens)) < len(tokens):
        raise ConfigError(
            f"train.added_tokens = {list(tokens)}: the tokenizer does not take an empty one; leave it out"
        )
    return pieces


@torch.no_grad()
def grow_embeddings(model: PreTrainedModel, added: Sequence[int], pieces: Sequence[Sequence[int]]) -> None:
    """Give the tokens of the ids ``added`` rows in the embeddings, and in the head.

    A new row starts as the mean of the rows of the pieces that its text was cut into, so that the model reads it at first
    about as it did before.
    """
    needed = max(added, default=-1) + 1
    if tables_of(model)[0].weight.shape[0] < needed:
        with torch.random.fork_rng():  # it draws rows, which are set below
            model.resize_token_embeddings(needed, mean_resizing=False)
    for table in tables_of(model):
        for row, parts in zip(added, pieces, strict=True):
            table.weight[row] = table.weight[list(parts)].float().mean(dim=0).to(table.weight.dtype)


def tables_of(model: PreTrainedModel) -> list[torch.nn.Embedding | torch.nn.Linear]:
    """The embeddings, and the head where it has weights of its own."""
    embeddings: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped in transformers
    return [embeddings] if head is None or head.weight is embeddings.weight else [embeddings, head]
