from pathlib import Path

import torch

from serin.lm.chat import Example
from serin.lm.load import load_model
from serin.lm.packing import collate
from serin.lm.score import response_likelihood

A = Example("a", tuple(range(10, 40)), (*[-100] * 10, *range(20, 40)))
B = Example("b", tuple(range(60, 75)), (*[-100] * 5, *range(65, 75)))


def logits_of_b(model: torch.nn.Module, first: Example) -> torch.Tensor:
    batch = collate([first, B])
    batch.pop("labels")
    out: torch.Tensor = model(**batch, use_cache=False).logits[0, len(first.input_ids) :]
    return out


def test_examples_of_one_batch_never_see_each_other(tiny_base: Path) -> None:
    model = load_model(tiny_base)
    changed = Example("a", tuple(range(110, 140)), A.labels)
    with torch.no_grad():
        assert torch.allclose(logits_of_b(model, A), logits_of_b(model, changed), atol=1e-5)


def test_the_first_token_of_an_example_is_not_learnt_from_the_one_before() -> None:
    first = Example("c", (7, 8, 9), (7, 8, 9))
    assert collate([A, first])["labels"][0, 30].item() == -100


def test_the_likelihood_does_not_depend_on_the_batch(tiny_base: Path) -> None:
    model = load_model(tiny_base)
    together = response_likelihood(model, [A, B], batch_size=2)
    alone = [response_likelihood(model, [e]) for e in (A, B)]
    assert together.tokens == sum(a.tokens for a in alone) == 30
    assert abs(together.nll - sum(a.nll for a in alone)) < 1e-3
