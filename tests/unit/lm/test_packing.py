from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM

from serin.lm.chat import IGNORED, Example
from serin.lm.load import load_model
from serin.lm.packing import Layout, find_layout, lay_out, target_logits, target_nll
from serin.lm.score import response_likelihood

A = Example("a", tuple(range(10, 40)), (*[IGNORED] * 10, *range(20, 40)))
B = Example("b", tuple(range(60, 75)), (*[IGNORED] * 5, *range(65, 75)))
CHANGED = Example("a", tuple(range(110, 140)), (*[IGNORED] * 10, *range(120, 140)))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_changing_every_token_of_one_example_changes_nothing_for_the_other(
    tiny_base: Path, attention: str, layout: Layout, mode: str
) -> None:
    model = load_model(tiny_base)
    model.set_attn_implementation(attention)
    model.train(mode == "train")

    def of_b(first: Example) -> tuple[torch.Tensor, list[torch.Tensor]]:
        model.zero_grad()
        logits = target_logits(model, lay_out([first, B], layout))[-10:]
        torch.nn.functional.cross_entropy(logits, torch.arange(65, 75), reduction="sum").backward()
        return logits.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    (logits, gradients), (logits_after, gradients_after) = of_b(A), of_b(CHANGED)
    torch.testing.assert_close(logits, logits_after, rtol=0, atol=1e-5)
    for before, after in zip(gradients, gradients_after, strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=1e-5)


def test_both_layouts_score_alike_and_as_the_model_does_alone(tiny_base: Path) -> None:
    model = load_model(tiny_base)
    with torch.no_grad():
        packed, padded = (float(target_nll(model, lay_out([A, B], layout))) for layout in ("packed", "padded"))
        alone = sum(
            float(model(torch.tensor([e.input_ids]), labels=torch.tensor([e.labels])).loss) * e.trained_tokens
            for e in (A, B)
        )
    assert packed == pytest.approx(alone, abs=1e-3)
    assert padded == pytest.approx(alone, abs=1e-3)


def test_a_model_that_heeds_positions_is_packed_and_one_that_does_not_is_padded(tiny_base: Path) -> None:
    torch.manual_seed(0)
    model = load_model(tiny_base)
    assert find_layout(model) == "packed"
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=2, n_positions=256))
    assert find_layout(gpt2) == "packed"
    mamba = MambaForCausalLM(MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, state_size=4))
    assert find_layout(mamba) == "padded"


def test_finding_the_layout_leaves_the_model_as_it_was(tiny_base: Path) -> None:
    model = load_model(tiny_base).train()
    state = torch.get_rng_state()
    find_layout(model)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())


def test_the_first_token_of_an_example_is_not_learnt_from_the_one_before() -> None:
    first = Example("c", (7, 8, 9), (7, 8, 9))
    batch = lay_out([A, first], "packed")
    assert batch.targets[-2:].tolist() == [8, 9]
    assert batch.columns[-2:].tolist() == [30, 31]
    assert batch.targets.numel() == 22


def test_the_likelihood_does_not_depend_on_the_batch(tiny_base: Path) -> None:
    model = load_model(tiny_base)
    together = response_likelihood(model, [A, B], batch_size=2)
    alone = [response_likelihood(model, [e]) for e in (A, B)]
    assert together.tokens == sum(a.tokens for a in alone) == 30
    assert abs(together.nll - sum(a.nll for a in alone)) < 1e-3
