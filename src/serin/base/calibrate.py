"""Temperature scaling of a causal LM, folded into its weights (Guo et al. 2017, arXiv 1706.04599).

A small model that has read a small corpus several times is too sure of itself on any other text. Dividing its logits by
one number mends that and leaves every greedy answer as it was.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy
from transformers import Qwen3ForCausalLM

TEMPERATURES = tuple(round(0.8 + 0.05 * n, 2) for n in range(25))
"""0.8 to 2.0."""


@torch.no_grad()
def best_temperature(model: Qwen3ForCausalLM, held_out: Sequence[torch.Tensor]) -> float:
    """The temperature under which texts (token ids of shape (length,)) that were not trained on are most probable."""
    nll = dict.fromkeys(TEMPERATURES, 0.0)
    for ids in held_out:
        logits = model(ids.unsqueeze(0).to(model.device), use_cache=False).logits[0, :-1].float()
        for temperature in TEMPERATURES:
            nll[temperature] += float(cross_entropy(logits / temperature, ids[1:].to(model.device), reduction="sum"))
    return min(TEMPERATURES, key=lambda temperature: nll[temperature])


@torch.no_grad()
def fold_temperature(model: Qwen3ForCausalLM, temperature: float) -> None:
    """Divide the logits of the model for good: they are linear in the weight of its last norm."""
    model.model.norm.weight.div_(temperature)
