"""What a run will read: how many examples, how long, and the heaviest micro-batch among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.clients.files import read_json, read_jsonl
from serin.core.errors import ConfigError
from serin.core.params import TrainParams
from serin.lm.load import load_stops, load_tokenizer
from serin.train.data.examples import render_split
from serin.train.data.order import order_of, share_of
from serin.train.data.splits import read_split

_RENDERED_CONVERSATIONS = 1000
_LOOKED_AT_STEPS = 2000
_QUALITY = "quality.json"


@dataclass(frozen=True, slots=True)
class Workload:
    """The train split in lengths."""

    tokens: tuple[int, ...]
    """Of each example, in the data's order or one that stands for it."""
    trained_tokens: tuple[int, ...]
    """Those of them that the loss is taken on."""
    validation_tokens: int
    """Of the whole validation split."""
    is_known: bool
    """Whether the number of examples is that of the data, and not an assumption."""
    notes: tuple[str, ...]

    def heaviest(self, params: TrainParams, micro_batch_size: int) -> list[tuple[int, int]]:
        """(tokens, trained tokens) of each example in the longest micro-batch that the run's order makes of it.

        Of the first two thousand steps, and of one process: several share a step's examples.
        """
        order = order_of(params, len(self.tokens))
        best: list[int] = []
        for step in range(min(order.steps, _LOOKED_AT_STEPS)):
            rows = share_of(order.rows(step), self.tokens, 0, 1)
            for start in range(0, len(rows), micro_batch_size):
                part = rows[start : start + micro_batch_size]
                if sum(self.tokens[row] for row in part) > sum(self.tokens[row] for row in best):
                    best = part
        return [(self.tokens[row], self.trained_tokens[row]) for row in best]


def workload_of(dataset: Path, base: Path, params: TrainParams) -> Workload:
    """Read ``quality.json``; where the split and the tokenizer are at hand, render up to a thousand conversations as well.

    Args:
        dataset: the folder that prepare wrote; all of it but ``quality.json`` may be missing, and then that too.
        base: a folder with at least ``config.json``.
        params: of the stage.

    Raises:
        ConfigError: what training would refuse of the data, as far as it can be seen.
    """
    quality = read_json(dataset / _QUALITY) if (dataset / _QUALITY).is_file() else None
    records = {split: _records(dataset, split, quality) for split in ("train", "validation")}
    if (dataset / "train.jsonl").is_file() and (base / "tokenizer.json").is_file():
        return _rendered(dataset, base, params, records["validation"] or 0)
    if quality is not None and quality["splits"]["train"]["tokens"]:
        return _measured(quality, params)
    lengths = (params.max_tokens,) * (records["train"] or params.batch_size)
    return Workload(
        lengths,
        _all_but_first(lengths),
        (records["validation"] or 0) * params.max_tokens,
        records["train"] is not None,
        (
            f"{dataset / _QUALITY} tells no lengths: every example is taken to have train.max_tokens = {params.max_tokens} "
            "tokens, all trained on",
        ),
    )


def _records(dataset: Path, split: str, quality: dict[str, Any] | None) -> int | None:
    """How many conversations a split has, as far as anything says so."""
    if quality is not None:
        return int(quality["splits"][split]["records"]) if split in quality["splits"] else 0
    path = dataset / f"{split}.jsonl"
    return sum(1 for _ in read_jsonl(path)) if path.is_file() else None


def _rendered(dataset: Path, base: Path, params: TrainParams, validation_records: int) -> Workload:
    """From the data itself, by the code that training uses."""
    conversations = read_split(dataset, "train")
    tokenizer = load_tokenizer(base)
    stops = load_stops(base, tokenizer)
    apart = max(1, -(-len(conversations) // _RENDERED_CONVERSATIONS))
    found = render_split(tokenizer, stops, conversations[::apart], params, "train")
    notes = [f"{found.dropped} examples are longer than train.max_tokens and dropped"] if found.dropped else []
    examples = len(found.examples)
    if apart > 1:
        examples = round(len(found.examples) / found.conversations * len(conversations))
        about = "" if len(found.examples) == found.conversations else ", and so about the number of examples"
        notes.append(f"lengths are those of {found.conversations:,} of {len(conversations):,} conversations{about}")
    tokens = [len(example.input_ids) for example in found.examples]
    trained = [example.trained_tokens for example in found.examples]
    return Workload(
        tuple(np.resize(tokens, examples).tolist()),
        tuple(np.resize(trained, examples).tolist()),
        round(validation_records * found.tokens / len(found.examples)),
        True,
        tuple(notes),
    )


def _measured(quality: dict[str, Any], params: TrainParams) -> Workload:
    """From the quantiles in ``quality.json``, as if each conversation were one example and all of it trained on."""
    split = quality["splits"]["train"]
    shares, quantiles = zip(*sorted((float(q), length) for q, length in split["tokens"].items()), strict=True)
    places = (np.arange(split["records"]) + 0.5) / split["records"]
    lengths: NDArray[Any] = np.rint(np.interp(places, shares, quantiles)).astype(int)
    lengths[-1] = quantiles[-1]
    longer = int((lengths > params.max_tokens).sum())
    if longer and params.over_long == "raise":
        raise ConfigError(
            f"the longest example of the train split has {quantiles[-1]} tokens, more than train.max_tokens = "
            f"{params.max_tokens}: lower prepare.max_tokens, raise this, or set train.over_long to drop or truncate"
        )
    notes = ["every token is taken to be trained on: without the split and the tokenizer nobody knows which are"]
    if longer and params.over_long == "drop":
        lengths = lengths[lengths <= params.max_tokens]
        if not len(lengths):
            raise ConfigError(
                f"no example of the train split is as short as train.max_tokens = {params.max_tokens}: raise it"
            )
        notes.append(f"about {longer} examples are longer than train.max_tokens and dropped")
    shuffled = np.random.default_rng(params.seed).permutation(np.minimum(lengths, params.max_tokens))
    tokens = tuple(int(length) for length in shuffled)
    held_out = quality["splits"].get("validation", {"records": 0, "tokens": {}})
    validation_tokens = int(held_out["records"]) * int(held_out["tokens"].get("0.5", 0))
    return Workload(tokens, _all_but_first(tokens), validation_tokens, True, tuple(notes))


def _all_but_first(tokens: Sequence[int]) -> tuple[int, ...]:
    return tuple(length - 1 for length in tokens)
