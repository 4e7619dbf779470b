"""A split as token ids; what is dropped or cut is counted."""

import multiprocessing
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from serin.clients.workers import end_with_parent
from serin.core.conversation import Conversation
from serin.core.errors import ConfigError, FinalError
from serin.core.params import TrainParams
from serin.lm.chat import Example, refuse_padded_ends, render_examples

_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Rendered:
    """One split, ready to train on or to score."""

    examples: tuple[Example, ...]
    conversations: int
    dropped: int
    """Examples that were longer than ``max_tokens`` and are left out."""
    cut: int
    """Examples that were longer and lost their end."""
    longest_tokens: int
    """Of all examples, before anything was dropped or cut."""

    @property
    def tokens(self) -> int:
        """All tokens of the examples that are left."""
        return sum(len(example.input_ids) for example in self.examples)

    @property
    def trained_tokens(self) -> int:
        """Those that the loss is taken on."""
        return sum(example.trained_tokens for example in self.examples)

    def summary(self, split: str) -> str:
        """One line for people."""
        lost = [f"{n} too long and {what}" for n, what in ((self.dropped, "dropped"), (self.cut, "cut")) if n]
        return (
            f"{split}: {len(self.examples)} examples of {self.conversations} conversations, {self.tokens:,} tokens, "
            f"{self.trained_tokens:,} of them trained on, the longest {self.longest_tokens}"
            + (f"; {', '.join(lost)}" if lost else "")
        )


def render_split(
    tokenizer: PreTrainedTokenizerBase,
    stops: Collection[int],
    conversations: Sequence[Conversation],
    params: TrainParams,
    split: str,
    workers: int = 0,
) -> Rendered:
    """Render every conversation, in this process or in ``workers`` others: the result is the same.

    Raises:
        ConfigError: an empty split, a conversation that cannot be rendered as served or has no token to train on, and, where
            params say so, one that is too long.
        FinalError: a worker was killed.
    """
    if not conversations:
        raise ConfigError(
            f"the {split} split is empty: add data, or lower the shares of the other splits in prepare.split"
        )
    examples = list(_render_all(tokenizer, stops, conversations, workers))
    if silent := [e.id for e in examples if not e.trained_tokens]:
        raise ConfigError(f"{len(silent)} conversations have no token to train on, such as {silent[0]}: remove them")
    refuse_padded_ends(tokenizer, examples)
    longest = max(examples, key=lambda e: len(e.input_ids))
    long = sum(len(e.input_ids) > params.max_tokens for e in examples)
    if long and params.over_long == "raise":
        raise ConfigError(
            f"{long} of {len(examples)} examples of the {split} split are longer than train.max_tokens = {params.max_tokens} "
            f"(the longest, {len(longest.input_ids)} tokens, is {longest.id}): lower prepare.max_tokens, raise this, or set "
            "train.over_long to drop or truncate"
        )
    kept = [short for e in examples if (short := _shortened(e, params)) is not None]
    if not kept:
        raise ConfigError(
            f"no example of the {split} split is as short as train.max_tokens = {params.max_tokens}: raise it"
        )
    dropped = len(examples) - len(kept)
    return Rendered(tuple(kept), len(conversations), dropped, long - dropped, len(longest.input_ids))


def _shortened(example: Example, params: TrainParams) -> Example | None:
    """The example as params let it in; None where it is dropped, or nothing to train on is left of it."""
    if len(example.input_ids) <= params.max_tokens:
        return example
    if params.over_long == "drop":
        return None
    cut = Example(example.id, example.input_ids[: params.max_tokens], example.labels[: params.max_tokens])
    return cut if cut.trained_tokens else None


def _render_all(
    tokenizer: PreTrainedTokenizerBase, stops: Collection[int], conversations: Sequence[Conversation], workers: int
) -> Iterator[Example]:
    if workers == 0:
        for conversation in conversations:
            yield from render_examples(tokenizer, conversation, stops)
        return
    chunks = [conversations[i : i + _CHUNK] for i in range(0, len(conversations), _CHUNK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (tokenizer, stops)) as pool:
        try:
            for examples in pool.map(_render_chunk, chunks):
                yield from examples
        except BrokenProcessPool as error:
            raise FinalError(
                "a process that rendered conversations was killed: lower runs.loader_workers and run again"
            ) from error


_given: tuple[PreTrainedTokenizerBase, Collection[int]] | None = None


def _start(tokenizer: PreTrainedTokenizerBase, stops: Collection[int]) -> None:
    global _given
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    end_with_parent()
    _given = tokenizer, stops


def _render_chunk(conversations: Sequence[Conversation]) -> list[Example]:
    assert _given is not None
    tokenizer, stops = _given
    return [example for c in conversations for example in render_examples(tokenizer, c, stops)]
