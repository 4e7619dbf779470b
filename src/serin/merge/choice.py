"""Which base the adapter is added to: measured where that can be, and said why where it cannot."""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from serin.clients.files import read_jsonl, read_manifest
from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.lm.adapted import load_adapted
from serin.lm.chat import Example, render_examples
from serin.lm.load import load_model, load_stops, load_tokenizer
from serin.lm.score import Likelihood, response_likelihood
from serin.merge.base import Differs, Kind
from serin.merge.trained import Trained

Scored = Literal["adapter_on_nf4", "full", "dequantised"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The base to merge onto."""

    kind: Kind
    why: str
    scores: Mapping[str, float] | None = None
    """Mean log-likelihood of a response token in nats, of each of ``Scored``; higher is better. Of what was measured."""
    tokens: int | None = None
    """Response tokens of the validation split that were scored."""

    def as_metrics(self) -> dict[str, Any]:
        """For the manifest."""
        told: dict[str, Any] = {"kind": self.kind, "why": self.why}
        if self.scores is not None:
            told |= {"log_likelihood_per_token": dict(self.scores), "validation_tokens": self.tokens}
        return told


def choose(
    wanted: Literal["full", "dequantised", "auto"],
    base: Path,
    trained: Trained,
    dataset: Path | None,
    write: Callable[[Kind], Path],
    remembered: Callable[[str, Callable[[], Any]], Any],
) -> Choice:
    """Say which base to merge onto; ``auto`` merges onto both and scores them on the validation split, never on the test split.

    Args:
        wanted: by params.
        base: the model's folder.
        trained: the adapter.
        dataset: that it was trained on.
        write: merges onto a base, and gives the folder.
        remembered: gives what an earlier attempt computed under a name, or computes it.

    Raises:
        ConfigError: ``dequantised`` cannot be done, or the dataset is not the one that was trained on.
        InputError: the dataset is damaged.
    """
    if not trained.on_nf4:
        return Choice("full", "nothing was trained on NF4")
    if wanted == "full":
        return Choice("full", "merge.base: full")
    if trained.notes is None:
        told = "the adapter holds no nf4.json, which training writes since it notes the weights that it quantised"
        if wanted == "auto":
            return Choice("full", told)
        raise ConfigError(f"merge.base = 'dequantised': {told}; train again, or set merge.base: full")
    if wanted == "dequantised":
        return Choice("dequantised", "merge.base: dequantised")
    examples = _validation_examples(base, trained, dataset)
    if isinstance(examples, str):
        return Choice("full", examples)

    def score(what: Scored, load: Callable[[], torch.nn.Module]) -> Likelihood:
        def measured() -> dict[str, Any]:
            found = response_likelihood(load(), examples)
            gc.collect()
            return {"nll": found.nll, "tokens": found.tokens}

        return Likelihood(**remembered(f"score.{what}", measured))

    assert trained.folder is not None
    adapter = trained.folder
    try:
        dequantised = write("dequantised")
    except Differs as error:
        return Choice("full", f"the base that was trained on cannot be made here: {error}")
    full = write("full")
    found = {
        "adapter_on_nf4": score("adapter_on_nf4", lambda: load_adapted(base, adapter, nf4=True, dtype=trained.dtype)),
        "full": score("full", lambda: load_model(full)),
        "dequantised": score("dequantised", lambda: load_model(dequantised)),
    }
    if not all(math.isfinite(each.nll) for each in found.values()):
        raise ConfigError(
            "the log-likelihood of the validation split is not finite: the adapter is damaged, train again"
        )
    better: Kind = "full" if found["full"].nll <= found["dequantised"].nll else "dequantised"
    why = "its answers to the validation split are the likelier ones"
    return Choice(better, why, {name: -each.nll / each.tokens for name, each in found.items()}, found["full"].tokens)


def _validation_examples(base: Path, trained: Trained, dataset: Path | None) -> Sequence[Example] | str:
    """What to score, or why there is nothing."""
    if dataset is None:
        return "no dataset was given to score on"
    prepared = read_manifest(dataset, "dataset", verify=True)
    if prepared.digest != trained.inputs["dataset"]:
        raise ConfigError(
            f"{dataset} is {prepared.digest[:12]}, and the adapter was trained on {trained.inputs['dataset'][:12]}: give its own "
            "dataset, whose validation split it never saw, or set merge.base: full"
        )
    assert trained.folder is not None
    assert trained.params is not None
    tokenizer = load_tokenizer(trained.folder if (trained.folder / "tokenizer.json").is_file() else base)
    stops = load_stops(base, tokenizer)
    records = [Conversation.from_dict(record) for record in read_jsonl(dataset / "validation.jsonl")]
    examples = [example for record in records for example in render_examples(tokenizer, record, stops)]
    longest = trained.params.max_tokens
    short = [e for e in examples if len(e.input_ids) <= longest and e.trained_tokens]
    return short or "the validation split has no records to score on"
