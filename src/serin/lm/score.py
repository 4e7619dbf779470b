"""Response log-likelihood: how probable a model finds the reference answers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from serin.lm.chat import IGNORED, Example
from serin.lm.packing import Layout, find_layout, lay_out, target_nll, target_nlls


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
def response_likelihood(
    model: torch.nn.Module,
    examples: Sequence[Example],
    batch_size: int = 16,
    layout: Layout | None = None,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Likelihood:
    """Score the labelled tokens of every example; ``on_batch`` hears how many examples are done, and may raise to stop.

    Examples of like length share a batch. ``layout`` None: found on the model.
    """
    device = next(model.parameters()).device
    if layout is None:
        layout = find_layout(model)
    ordered = sorted(examples, key=lambda e: len(e.input_ids))
    nll, tokens = 0.0, 0
    for start in range(0, len(ordered), batch_size):
        batch = lay_out(ordered[start : start + batch_size], layout).to(device)
        nll += float(target_nll(model, batch))
        tokens += batch.targets.numel()
        on_batch(min(start + batch_size, len(ordered)))
    return Likelihood(nll, tokens)


@torch.no_grad()
def likelihood_of_each(model: torch.nn.Module, examples: Sequence[Example], batch_size: int = 16) -> list[Likelihood]:
    """The likelihood of each example's labelled tokens, in the order of the examples."""
    device = next(model.parameters()).device
    layout = find_layout(model)
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].input_ids))
    found: dict[int, Likelihood] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        nlls = target_nlls(model, lay_out([examples[i] for i in rows], layout).to(device))
        counts = [sum(label != IGNORED for label in examples[i].labels[1:]) for i in rows]
        for i, part in zip(rows, torch.split(nlls, counts), strict=True):
            found[i] = Likelihood(float(part.sum()), len(part))
    return [found[i] for i in range(len(examples))]
