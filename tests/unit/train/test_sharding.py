"""What needs no second process; the rest is tests/integration/test_sharding.py."""

from pathlib import Path

import pytest
import torch

from serin.core.params import TrainParams
from serin.lm.chat import IGNORED, Example
from serin.lm.load import load_tokenizer
from serin.lm.packing import Layout
from serin.lm.score import response_likelihood
from serin.train.loop.step import compute_gradient, precision_of
from serin.train.model.build import TrainableModel, build
from serin.train.processes import Processes
from serin.train.sharding import NOTHING, even_out, layers_of

EXAMPLES = [Example(f"r{i}", tuple(range(5, 12 + i)), (IGNORED, *range(6, 12 + i))) for i in range(3)]


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> TrainableModel:
    params = TrainParams.model_validate({"method": "full"})
    return build(params, tiny_base, load_tokenizer(tiny_base), [])


@pytest.mark.parametrize(("examples", "lengths"), [(5, [3, 3]), (4, [2, 2]), (1, [1, 1]), (7, [3, 3, 3])])
def test_all_shares_of_a_step_are_equally_long(examples: int, lengths: list[int]) -> None:
    rows = (EXAMPLES * 3)[:examples]
    teams = [Processes(rank, len(lengths), torch.device("cpu")) for rank in range(len(lengths))]
    shares = [even_out(rows[team.rank :: team.count], examples, team) for team in teams]
    assert [len(share) for share in shares] == lengths
    assert sorted(e.id for share in shares for e in share if e is not NOTHING) == sorted(e.id for e in rows)


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_nothing_is_learnt_from_what_fills_a_share_up(model: TrainableModel, layout: Layout) -> None:
    """In a micro-batch with others, and as one of its own."""
    weights = list(model.trained.values())
    found = []
    for examples in (EXAMPLES, [*EXAMPLES, NOTHING, NOTHING, NOTHING]):
        precision = precision_of(torch.float32, torch.device("cpu"))
        loss = compute_gradient(model.module, weights, examples, 10, 2, layout, precision)
        scored = response_likelihood(model.module, examples, 2, layout)
        found.append((loss, scored, [w.grad.clone() for w in weights if w.grad is not None]))
        for weight in weights:
            weight.grad = None
    (loss, scored, gradient), (filled_loss, filled_scored, filled_gradient) = found
    assert filled_loss == pytest.approx(loss, abs=1e-6)
    assert filled_scored.tokens == scored.tokens
    assert filled_scored.nll == pytest.approx(scored.nll, abs=1e-4)
    for one, other in zip(gradient, filled_gradient, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)


def test_decoder_layers_are_cut_up_one_by_one(model: TrainableModel, tiny_base: Path) -> None:
    adapted = build(TrainParams.model_validate({"lora": {"r": 4}}), tiny_base, load_tokenizer(tiny_base), [])
    for module in (model.module, adapted.module):
        assert [type(layer).__name__ for layer in layers_of(module)] == ["Qwen3DecoderLayer"] * 2
