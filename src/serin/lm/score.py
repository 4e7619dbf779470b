"""Response log-likelihood: how probable a model finds the reference answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from serin.lm.chat import IGNORED, Example
from serin.lm.packing import collate


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Summed negative log-likelihood in nats over ``tokens`` response tokens; padding and prompts do not count."""

    nll: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp of the mean over tokens, each token weighing the same."""
        return math.exp(self.nll / self.tokens) if self.tokens else math.nan


@torch.no_grad()
def response_likelihood(model: PreTrainedModel, examples: Sequence[Example], batch_size: int = 16) -> Likelihood:
    """Score the labelled tokens of every example."""
    nll, tokens = 0.0, 0
    for start in range(0, len(examples), batch_size):
        batch = {k: v.to(model.device) for k, v in collate(examples[start : start + batch_size]).items()}
        labels = batch.pop("labels")[0, 1:]
        logits = model(**batch, use_cache=False).logits[0, :-1].float()
        nll += float(cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"))
        tokens += int((labels != IGNORED).sum())
    return Likelihood(nll, tokens)
