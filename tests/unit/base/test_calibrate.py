from pathlib import Path

import torch
from transformers import Qwen3ForCausalLM

from serin.base.calibrate import best_temperature, fold_temperature
from serin.lm.load import load_model


def model_of(folder: Path) -> Qwen3ForCausalLM:
    model = load_model(folder)
    assert isinstance(model, Qwen3ForCausalLM)
    return model


def drawn_from(model: Qwen3ForCausalLM, texts: int) -> list[torch.Tensor]:
    """Texts that the model itself finds as probable as they are."""
    torch.manual_seed(0)
    start = torch.randint(5, model.config.vocab_size, (texts, 1))
    drawn = model.generate(start, do_sample=True, top_k=0, min_new_tokens=60, max_new_tokens=60)  # type: ignore[operator]
    return list(drawn)


def test_folding_divides_the_logits_and_leaves_the_greedy_choice(tiny_base: Path) -> None:
    model = model_of(tiny_base)
    ids = torch.arange(5, 45).unsqueeze(0)
    before = model(ids).logits
    fold_temperature(model, 1.5)
    after = model(ids).logits
    assert torch.allclose(after * 1.5, before, atol=1e-4)
    assert torch.equal(after.argmax(-1), before.argmax(-1))


def test_an_overconfident_model_is_found_out_and_mended(tiny_base: Path) -> None:
    model = model_of(tiny_base)
    fold_temperature(model, 0.1)  # random weights are almost indifferent: make the texts say something
    texts = drawn_from(model, 20)
    assert abs(best_temperature(model, texts) - 1.0) <= 0.1
    fold_temperature(model, 1 / 1.4)
    assert abs(best_temperature(model, texts) - 1.4) <= 0.1
