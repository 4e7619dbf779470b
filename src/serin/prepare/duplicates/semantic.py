"""Records that ask the same in other words: a sentence encoder finds them, by cosine similarity."""

from pathlib import Path

import numpy as np

from serin.core.errors import ConfigError
from serin.core.params import PrepareParams
from serin.prepare.duplicates.near import NONE, Flags, Index
from serin.prepare.spool import Spool

_BLOCK = 1024
# An encoder that does not know a language's words gives all its texts much the same embedding.
_MOST_UNKNOWN = 0.05


def mark_semantic(spool: Spool, params: PrepareParams, alive: Flags, always_kept: Flags, of: Index) -> None:
    """Set ``of`` for each alive record to the earlier, kept one that is most similar, from the threshold on.

    Records that name different numbers are never duplicates.

    Every pair is compared, a block at a time: time grows with the square of the records, memory with their number.

    Raises:
        ConfigError: no encoder stands in ``params.semantic_duplicates.model``, or it does not know the data's language.
    """
    from serin.lm.embed import Encoder

    assert params.semantic_duplicates.model is not None
    numbers, named = np.flatnonzero(alive), spool.column("numbers")
    texts = [spool.conversation(int(number)).text(params.near_duplicates.on) for number in numbers]
    encoder = Encoder(Path(params.semantic_duplicates.model))
    unknown = encoder.unknown_share(texts)
    if unknown > _MOST_UNKNOWN:
        raise ConfigError(
            f"prepare.semantic_duplicates.model does not know {unknown:.0%} of the data's tokens (at most "
            f"{_MOST_UNKNOWN:.0%} may be unknown): take an encoder for these languages"
        )
    embeddings = encoder.encode(texts)
    threshold = params.semantic_duplicates.threshold
    for start in range(0, len(numbers), _BLOCK):
        similar = embeddings[start : start + _BLOCK] @ embeddings[: start + _BLOCK].T
        for row, at in enumerate(range(start, min(start + _BLOCK, len(numbers)))):
            if always_kept[numbers[at]]:
                continue
            earlier = np.flatnonzero(similar[row, :at] >= threshold)
            earlier = earlier[(of[numbers[earlier]] == NONE) & (named[numbers[earlier]] == named[numbers[at]])]
            if len(earlier):
                of[numbers[at]] = numbers[earlier[similar[row, earlier].argmax()]]
