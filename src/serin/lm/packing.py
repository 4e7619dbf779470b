"""Batches in which no example sees another, and the logits at the positions that predict a label.

Two layouts. ``packed``: examples laid end to end in one row, without padding; ``position_ids`` restart at each example, no
attention mask is given and no KV cache is used, from which transformers derives a mask of blocks (FlashAttention: lengths of
its own). ``padded``: a row each, padded on the right, where a causal model cannot look. Packing is exact only where the whole
architecture heeds those positions; recurrent layers and some position encodings do not, and would leak without a word. So it
is found out on the model itself.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy

from serin.lm.chat import IGNORED, Example

Layout = Literal["packed", "padded"]

_PROBE_TOKENS = (24, 8)
_LEAK_IN_FLOAT32 = 1e-5
_LEAK_IN_HALF = 2e-2  # kernels may add in another order; a leak is of the order of the logits themselves


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model is given, and where its logits are of interest."""

    inputs: dict[str, torch.Tensor]
    """``input_ids`` of shape (rows, columns) with ``position_ids`` (packed) or ``attention_mask`` (padded), int64."""
    columns: torch.Tensor
    """Columns whose logits are computed, ascending."""
    at: torch.Tensor
    """Flat index into rows x ``columns``, one for each target."""
    targets: torch.Tensor
    """The labelled tokens, each predicted one position earlier."""
    lengths: tuple[int, ...]
    """Tokens of each example."""

    @property
    def tokens(self) -> int:
        """Tokens that are no padding."""
        return sum(self.lengths)

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        return Batch(
            {name: tensor.to(device) for name, tensor in self.inputs.items()},
            self.columns.to(device),
            self.at.to(device),
            self.targets.to(device),
            self.lengths,
        )


def lay_out(examples: Sequence[Example], layout: Layout) -> Batch:
    """One batch. The first token of an example is never a target: nothing of its own comes before it."""
    return _lay_end_to_end(examples) if layout == "packed" else _lay_in_rows(examples)


def target_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Logits of shape (targets, vocabulary), float32; the head computes no others where the architecture lets us choose."""
    inputs: dict[str, Any] = dict(batch.inputs)
    chooses = _takes_logits_to_keep(model)
    if chooses:
        inputs["logits_to_keep"] = batch.columns
    logits: torch.Tensor = model(**inputs, use_cache=False).logits
    if not chooses:
        logits = logits[:, batch.columns]
    if batch.at.numel() == logits.shape[0] * logits.shape[1]:
        return logits.flatten(0, 1).float()
    return logits.flatten(0, 1)[batch.at].float()


def target_nll(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Negative log-likelihood of the targets in nats, summed: a scalar, float32."""
    return cross_entropy(target_logits(model, batch), batch.targets, reduction="sum")


def target_nlls(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Negative log-likelihood of each target in nats, float32; the targets of an example stand together, in its order."""
    return cross_entropy(target_logits(model, batch), batch.targets, reduction="none")


@torch.no_grad()
def find_layout(model: torch.nn.Module) -> Layout:
    """``packed`` where changing every token of one example leaves the logits of the next as they were, else ``padded``.

    Two forward passes over 32 tokens, on this model with its attention implementation; its mode is left as it was.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    first, second = _PROBE_TOKENS
    vocabulary = _unwrapped(model).config.get_text_config().vocab_size
    step = max(1, vocabulary // (2 * (first + second)))
    tokens = [(i * step) % vocabulary for i in range(2 * first + second)]
    changed, rest = tokens[first : 2 * first], tokens[2 * first :]
    found = []
    for start in (tokens[:first], changed):
        examples = [Example("a", tuple(start), tuple(start)), Example("b", tuple(rest), tuple(rest))]
        found.append(target_logits(model, lay_out(examples, "packed").to(device))[-(second - 1) :])
    model.train(was_training)
    exact = all(p.dtype == torch.float32 for p in model.parameters() if p.is_floating_point()) and not (
        torch.is_autocast_enabled(device.type)
    )
    allowed = _LEAK_IN_FLOAT32 if exact else _LEAK_IN_HALF
    scale = max(1.0, float(found[0].abs().max()))
    return "packed" if float((found[0] - found[1]).abs().max()) <= allowed * scale else "padded"


def _lay_end_to_end(examples: Sequence[Example]) -> Batch:
    ids: list[int] = []
    positions: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    for example in examples:
        start = len(ids)
        ids += example.input_ids
        positions += range(len(example.input_ids))
        for i, label in enumerate(example.labels[1:]):
            if label != IGNORED:
                columns.append(start + i)
                targets.append(label)
    return Batch(
        {"input_ids": torch.tensor([ids]), "position_ids": torch.tensor([positions])},
        torch.tensor(columns, dtype=torch.int64),
        torch.arange(len(columns)),
        torch.tensor(targets, dtype=torch.int64),
        tuple(len(e.input_ids) for e in examples),
    )


def _lay_in_rows(examples: Sequence[Example]) -> Batch:
    lengths = tuple(len(e.input_ids) for e in examples)
    longest = max(lengths)
    ids = torch.zeros(len(examples), longest, dtype=torch.int64)  # what stands in the padding is masked and never read
    mask = torch.zeros(len(examples), longest, dtype=torch.int64)
    where = [(row, i, t) for row, e in enumerate(examples) for i, t in enumerate(e.labels[1:]) if t != IGNORED]
    columns = sorted({i for _, i, _ in where})
    place = {column: i for i, column in enumerate(columns)}
    for row, example in enumerate(examples):
        ids[row, : lengths[row]] = torch.tensor(example.input_ids)
        mask[row, : lengths[row]] = 1
    return Batch(
        {"input_ids": ids, "attention_mask": mask},
        torch.tensor(columns, dtype=torch.int64),
        torch.tensor([row * len(columns) + place[i] for row, i, _ in where], dtype=torch.int64),
        torch.tensor([target for _, _, target in where], dtype=torch.int64),
        lengths,
    )


def _takes_logits_to_keep(model: torch.nn.Module) -> bool:
    return "logits_to_keep" in inspect.signature(_unwrapped(model).forward).parameters


def _unwrapped(model: torch.nn.Module) -> Any:
    return model.get_base_model() if isinstance(model, PeftModel) else model
